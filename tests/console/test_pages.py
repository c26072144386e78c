"""Every page of the console: for all eyes and hands, light and dark, on a small screen, and never with an old status."""

import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import typer

from flowforge.cli.app import app
from tests.helpers.browser import go, let_in, violations
from tests.helpers.stack import own
from tests.helpers.waiting import wait_for

TABLE = "console_accounts"
ADDRESSES = (f"tables/silver.{TABLE}", f"tables/gold.{TABLE}", "tables", "runs", "runs/RUN", "job", "files",
             "files?state=waiting", "models", "models/MODEL", "sql", "connections", "letters", "alerts", "nothing", "schedules",
             "schedules/WORKFLOW", "templates/customer_360", "job?template=customer_360")  # fmt: skip


@pytest.fixture(scope="module")
def run(stack) -> str:
    """The id of a run that loaded one table and failed at another; its workflow has a schedule."""
    entries = [{"tableName": "accounts", "destination_config": own(TABLE)}, {"tableName": "none_such"}]
    request = stack.request({"tables": entries})
    scheduled = {name: value for name, value in request.items() if name != "batch_id"}
    kept = stack.http.put(f"/api/schedules/{request['workflow_id']}", json={"request": scheduled, "rate": "100 days"})
    assert kept.status_code == 200, kept.text
    return stack.run(request)["run_id"]


@pytest.mark.parametrize("address", ADDRESSES)
def test_should_be_for_all_eyes_and_fit_a_small_screen(page, stack, run, address):
    workflow = stack.http.get(f"/api/runs/{run}").json()["workflow_id"]
    go(page, stack, "#/" + address.replace("RUN", run).replace("WORKFLOW", workflow).replace("MODEL", TABLE))
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        assert violations(page) == [], scheme
    for width in (640, 375):  # 1280 at 200 %, and a phone
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    for command in page.locator(".command code").all_text_contents():
        taken(command)


def taken(text: str) -> None:
    """Parses a command as the command line does, and runs nothing."""
    program, *words = shlex.split(text)
    assert program == "flowforge"
    command: Any = typer.main.get_command(app)
    while words and words[0] in getattr(command, "commands", {}):
        command = command.commands[words.pop(0)]
    command.make_context("flowforge", words)


def test_should_find_a_fault_that_is_put_in(page, stack):
    go(page, stack, "#/runs")
    page.evaluate("document.querySelector('.filters label').replaceWith(document.createElement('input'))")
    assert any(one.startswith("label ") for one in violations(page))


def test_should_say_since_when_it_knows_nothing_new_and_when_it_asks_again(page, stack):
    go(page, stack, "#/runs")
    page.route("**/api/**", lambda route: route.abort())
    page.locator("#trouble").get_by_text("Not known since").wait_for()
    page.get_by_text(re.compile(r"shown as of .* attempt \d+ in \d+ s")).wait_for()
    assert "stale" in page.locator("html").get_attribute("class")
    page.get_by_role("button", name="Ask now").click()
    page.unroute("**/api/**")
    page.get_by_text("known at").wait_for()
    assert "stale" not in (page.locator("html").get_attribute("class") or "")


def test_should_hold_what_is_shown_in_the_address_and_go_back(page, stack, run):
    go(page, stack, "#/runs")
    page.get_by_label("Find").fill("nowhere to be found")
    page.get_by_text("None of these runs fits.").wait_for()
    page.reload()
    page.get_by_text("None of these runs fits.").wait_for()
    assert page.get_by_label("Find").input_value() == "nowhere to be found"
    page.get_by_role("link", name="Models").click()
    page.get_by_role("heading", name="Models").wait_for()
    page.go_back()
    page.get_by_text("None of these runs fits.").wait_for()


def test_should_find_failed_runs_that_are_not_among_the_newest(page, stack, run):
    workflow = stack.http.get(f"/api/runs/{run}").json()["workflow_id"]
    go(page, stack, f"#/runs?workflow={workflow}")
    page.get_by_role("combobox", name="Status").select_option("failed")
    page.wait_for_url(f"**/#/runs?workflow={workflow}&status=failed")
    page.locator("tbody .chip", has_text="failed").first.wait_for()
    assert page.locator(".command code").inner_text() == f"flowforge status --status failed --workflow {workflow}"
    page.get_by_role("combobox", name="Status").select_option("under-way")
    page.get_by_text("No run is under way").wait_for()
    page.reload()
    page.get_by_text("No run is under way").wait_for()
    assert page.get_by_role("combobox", name="Status").input_value() == "under-way"


def test_should_ask_for_older_failed_runs_until_there_are_some(browser, stack, run):
    """What the API would answer is made up: ten thousand runs take minutes to make."""
    asked = []
    one = next(found for found in stack.http.get("/api/runs").json()["runs"] if found["run_id"] == run)

    def answer(route):
        asked.append(route.request.url)
        route.fulfill(json={"runs": [], "next": f"p{len(asked)}"} if len(asked) < 3 else {"runs": [one]})

    with let_in(browser, stack) as page:
        page.route("**/api/runs?**", answer)
        go(page, stack, "#/runs?status=failed")
        page.locator("tbody .chip", has_text="failed").first.wait_for()
        assert ["cursor=p1" in asked[1], "cursor=p2" in asked[2]] == [True, True]


def test_should_be_used_by_keyboard_and_keep_its_colours(page, stack):
    go(page, stack, "#/runs")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    back = "getComputedStyle(document.body).backgroundColor"
    page.emulate_media(color_scheme="light")
    light = page.evaluate(back)
    page.get_by_role("button", name="Colours").click()
    page.get_by_role("button", name="Colours: light").click()
    page.reload()
    page.get_by_role("button", name="Colours: dark").wait_for()
    assert page.evaluate(back) != light
    page.get_by_role("button", name="Colours: dark").click()


def test_should_tell_a_browser_that_was_not_let_in_how_to_get_in(browser, stack):
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(stack.facts["api"])
        page.get_by_text("flowforge console").first.wait_for()
        assert page.locator("table").count() == 0


def test_should_take_a_thousand_tables_and_keep_focus_while_it_asks_again(browser, stack):
    """What the API would answer is made up: a lake of that size takes minutes to fill."""
    tables = [{"layer": "silver", "table": f"t{n:04}", "version": 1, "rows": n, "files": 1, "bytes": n, "written_at": None,
               "columns": [], "rules": [], "watermarks": {}} for n in range(1000)]  # fmt: skip
    with let_in(browser, stack) as page:
        page.clock.install()
        page.route("**/api/tables?**", lambda route: route.fulfill(json={"tables": tables}))
        go(page, stack, "#/tables?sort=-Rows")
        assert "t0999" in page.locator("tbody tr").first.inner_text()
        assert page.locator("tbody tr").count() == len(tables)
        link = page.get_by_role("link", name="silver.t0500")
        link.focus()
        tables.append(tables[0] | {"table": "t_new", "rows": 1_000_000})
        page.clock.fast_forward(60_000)
        page.get_by_role("link", name="silver.t_new").wait_for()
        assert link.evaluate("one => one === document.activeElement")


def test_should_show_the_first_tables_while_it_asks_for_the_others(browser, stack):
    """What the API would answer is made up: its second answer comes when the test lets it."""
    some = [{"layer": "silver", "table": f"t{n:03}", "version": 1, "rows": n, "files": 1, "bytes": n, "columns": [], "rules": []}
            for n in range(20)]  # fmt: skip
    held = []

    def answer(route):
        if "cursor" in route.request.url:
            held.append(route)
        else:
            route.fulfill(json={"tables": some[:15], "next": "behind"})

    with let_in(browser, stack) as page:
        page.route("**/api/tables?**", answer)
        page.goto("about:blank")
        page.goto(f"{stack.facts['api']}/#/tables")
        page.get_by_role("link", name="silver.t014").wait_for()
        page.locator("#known").get_by_text("asking for more").wait_for()
        assert page.locator("tbody tr").count() == 15
        wait_for(lambda: page.evaluate("true") and held, "the second question")
        held[0].fulfill(json={"tables": some[15:]})
        page.get_by_role("link", name="silver.t019").wait_for()
        page.get_by_text("known at").wait_for()
        assert page.locator("tbody tr").count() == len(some)


@contextmanager
def run_under_way(browser, stack, found: dict, table: dict, active: dict) -> Iterator[Any]:
    """The page of a run that is made up to be under way, with one table and its batch, ten seconds later."""
    with let_in(browser, stack) as page:
        page.clock.install()
        page.route("**/api/runs/**", lambda route: route.fulfill(json=found | {"status": "running", "tables": [table]}))
        page.route("**/api/watermarks/**", lambda route: route.fulfill(json={"active_batch": active}))
        go(page, stack, f"#/runs/{found['run_id']}")
        page.get_by_text("asked every 1 s").wait_for()
        page.clock.fast_forward(10_000)
        yield page


def test_should_show_the_rows_of_a_table_that_is_being_read_at_once(browser, stack, run):
    """A long read is made up: one of the bank's tables takes no second."""
    found = stack.http.get(f"/api/runs/{run}").json()
    table = found["tables"][0] | {"status": "queued", "error": None, "records": None, "slices": None, "seconds": {}}
    active = {"seq": 1, "state": "claimed", "attempts": 1, "lease_until": 0, "free_in_seconds": 25, "silent_seconds": 5,
              "heartbeat_seconds": 8, "run_id": run, "rows_so_far": 1_234_000, "claimed_at": 0}  # fmt: skip
    with run_under_way(browser, stack, found, table, active) as page:
        page.get_by_text("1,234,000").wait_for()
        page.locator("tbody .chip", has_text="reading").wait_for()
        active["run_id"] = "another"
        page.clock.fast_forward(10_000)
        page.get_by_text("A batch of another run is under way").wait_for()


def test_should_tell_which_attempt_a_run_that_does_not_move_waits_for(browser, stack, run):
    """A worker that has just died is made up: its claim lasts on."""
    found = stack.http.get(f"/api/runs/{run}").json()
    table = found["tables"][0] | {"status": "queued", "error": None}
    active = {"seq": 1, "state": "claimed", "attempts": 1, "lease_until": 0, "free_in_seconds": 40, "silent_seconds": 50,
              "heartbeat_seconds": 5}  # fmt: skip
    with run_under_way(browser, stack, found, table, active) as page:
        page.get_by_text("the next attempt is free in 40 s").wait_for()
