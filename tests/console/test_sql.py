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
