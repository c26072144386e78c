"""SQL and models in the console: what is refused is shown at its line; a model that is kept can be changed."""

from tests.helpers.browser import go, violations
from tests.helpers.waiting import wait_for


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
    page.get_by_role("heading", name="Model of gold.console_numbers").wait_for()


def test_should_open_a_kept_model_and_replace_that_version_alone(page, stack):
    first, second = "-- numbers\nSELECT 1 AS id", "-- numbers\nSELECT 2 AS id"
    path = "/api/models/console_changed"
    assert stack.http.put(path, json={"sql": first}).status_code == 200
    go(page, stack, "#/models")
    page.get_by_role("link", name="models/console_changed.sql").click()
    page.get_by_role("heading", name="Model of gold.console_changed").wait_for()
    area = page.locator("textarea")
    assert area.input_value() == first
    area.fill("-- numbers\nSELECT nothing AS id")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("Line 2:").wait_for()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert violations(page) == [], scheme
    page.set_viewport_size({"width": 375, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    area.fill(second)
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("its table is built anew").wait_for()
    assert stack.http.get(path).json()["sql"] == second
    area.fill(f"{second}, 3 AS other")
    page.get_by_role("button", name="Save", exact=True).click()
    wait_for(
        lambda: page.evaluate("true") and stack.http.get(path).json()["sql"].endswith("other"), "the second change"
    )
    assert stack.http.put(path, json={"sql": first}).status_code == 200
    area.fill("SELECT 4 AS id")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("was changed or removed since it was read").wait_for()
    assert stack.http.get(path).json()["sql"] == first and area.input_value() == "SELECT 4 AS id"
