"""SQL and models in the console: what is refused is shown at its line."""

from tests.helpers.browser import go, violations


def test_should_show_what_is_refused_at_its_line(page, stack):
    go(page, stack, "#/sql")
    area = page.locator("textarea")
    area.fill("SELECT 1 AS one,\n  nothing AS two")
    page.keyboard.press("Control+Enter")
    page.get_by_text("Line 2:").wait_for()
    assert "nothing AS two" in page.locator(".note code").inner_text()
    assert violations(page) == []
    page.get_by_role("button", name="Go there").click()
    assert area.evaluate("one => one.value.slice(one.selectionStart, one.selectionEnd)") == "  nothing AS two"


def test_should_stop_a_question_at_the_server_and_take_the_next(page, stack):
    go(page, stack, "#/sql")
    page.locator("textarea").fill(
        "SELECT count(*) FROM range(4000000000) a, range(4000000000) b WHERE (a.range + b.range) % 7 = 1"
    )
    page.get_by_role("button", name="Ask", exact=True).click()
    page.get_by_role("button", name="Stop").click()
    page.get_by_text("the query was stopped, as somebody has asked for").wait_for()
    assert page.get_by_role("button", name="Stop").count() == 0
    page.locator("textarea").fill("SELECT 1 AS one")
    page.get_by_role("button", name="Ask", exact=True).click()
    page.get_by_text("1 rows in").wait_for()


def test_should_keep_a_model_once_its_line_is_mended(page, stack):
    go(page, stack, "#/models")
    page.get_by_text("Write a model").click()
    page.get_by_role("textbox", name="Gold table").fill("console_numbers")
    area = page.locator("textarea")
    area.fill("SELECT 1 AS id\nFROM silver.none_such")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("Line 2:").wait_for()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert violations(page) == [], scheme
    page.set_viewport_size({"width": 375, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    page.get_by_role("checkbox").check()
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("Line 2:").wait_for(state="detached")
    page.locator("#told").get_by_text("gold.console_numbers is saved").wait_for(state="attached")
