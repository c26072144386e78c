"""Schedules and templates in the console: set, changed, paused, removed; run, and made from a request."""

import json
import re
import uuid
from typing import Any

import pytest

from tests.helpers.browser import go, let_in, violations

WORKFLOW = f"w_{uuid.uuid4().hex[:8]}"


@pytest.fixture(scope="module")
def connection(stack) -> str:
    """The id of a saved connection."""
    saved = stack.http.post("/api/connections", json={"id": f"c_{WORKFLOW}", **stack.connection})
    assert saved.status_code == 201, saved.text
    return saved.json()["id"]


def chosen(connection: str) -> str:
    """A new job's address, with all that a user has chosen."""
    return f'#/job?connection={connection}&tables={{"dbo.accounts":{{}}}}&workflow={WORKFLOW}&job=load'


def test_should_set_change_pause_and_remove_a_schedule_by_keyboard_and_mouse(page, stack, connection):
    go(page, stack, chosen(connection))
    page.get_by_role("button", name="Schedule …", exact=True).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("textbox", name="Times").fill("61 * * * *")
    assert violations(page) == []
    dialog.get_by_role("button", name="Set the schedule").click()
    dialog.locator(".problem").get_by_text("cron").wait_for()
    dialog.get_by_role("combobox", name="It starts").select_option("rate")
    dialog.get_by_role("textbox", name="Every").fill("3 hours")
    assert '--rate "3 hours"' in dialog.locator(".command code").inner_text()
    dialog.get_by_role("button", name="Set the schedule").click()

    page.get_by_role("heading", name=WORKFLOW).wait_for()
    page.get_by_text("every 3 hours").wait_for()
    assert page.get_by_label("Its request").get_by_text("dbo.accounts").count() == 1
    page.get_by_role("link", name="Schedules").click()
    row = page.get_by_role("row", name=re.compile(WORKFLOW))
    row.get_by_text("every 3 hours").wait_for()
    assert row.locator("time").count() == 1
    pause = row.get_by_role("button", name=f"Pause {WORKFLOW}")
    pause.focus()
    page.keyboard.press("Enter")
    row.locator(".chip", has_text="paused").wait_for()
    assert stack.http.get(f"/api/schedules/{WORKFLOW}").json()["paused"] is True
    row.get_by_role("button", name=f"Resume {WORKFLOW}").click()
    row.get_by_role("button", name=f"Pause {WORKFLOW}").wait_for()

    row.get_by_role("button", name=f"Change {WORKFLOW}").click()
    assert dialog.get_by_role("textbox", name="Every").input_value() == "3 hours"
    dialog.get_by_role("combobox", name="It starts").select_option("cron")
    dialog.get_by_role("textbox", name="Times").fill("30 2 * * 1-5")
    dialog.get_by_role("textbox", name="Time zone").fill("Europe/Berlin")
    dialog.get_by_role("button", name="Set the schedule").click()
    row.get_by_text("30 2 * * 1-5").wait_for()
    kept = stack.http.get(f"/api/schedules/{WORKFLOW}").json()
    assert kept["timezone"] == "Europe/Berlin" and len(kept["next"]) == 5
    assert kept["request"]["source_config"]["connection"] == {"connectionId": connection}

    row.get_by_role("button", name=f"Remove {WORKFLOW}").click()
    dialog.get_by_text("go on").wait_for()
    dialog.get_by_role("button", name=f"Remove {WORKFLOW}", exact=True).click()
    row.wait_for(state="detached")
    assert stack.http.get(f"/api/schedules/{WORKFLOW}").status_code == 404


def test_should_say_why_a_schedule_started_nothing(browser, stack):
    """What the API would answer is made up: the clock looks once a minute."""
    moment = "2026-11-29T03:00:00Z"
    shown: dict[str, Any] = {
        "workflow_id": "nightly", "rate": "1 hour", "paused": False, "next_at": moment, "started_at": moment, "last_run": "run_1",
        "skipped": {"times": 2, "due": moment, "at": moment, "why": "run_1 is still going"},
        "missed": {"times": 7, "since": moment, "until": moment, "at": moment},
    }  # fmt: skip
    waiting = {"workflow_id": "reports", "after": "nightly", "paused": False, "holding": "run_2 is still going"}
    unread = {"workflow_id": "broken", "problem": "the schedule cannot be read"}
    with let_in(browser, stack) as page:
        page.route("**/api/schedules?**", lambda route: route.fulfill(json={"schedules": [shown, waiting, unread]}))
        go(page, stack, "#/schedules")
        row = page.get_by_role("row", name=re.compile("nightly.*every 1 hour"))
        assert "skipped 2 times" in row.inner_text() and "run_1 is still going" in row.inner_text()
        assert "7 times since" in row.inner_text() and "became one run" in row.inner_text()
        row = page.get_by_role("row", name=re.compile("reports"))
        assert "after nightly" in row.inner_text() and "waits: run_2 is still going" in row.inner_text()
        row = page.get_by_role("row", name=re.compile("broken"))
        assert "cannot be read" in row.inner_text() and row.get_by_role("button").count() == 1
        assert violations(page) == []


def test_should_run_a_template_with_a_connection(page, stack, connection):
    go(page, stack, "#/templates/customer_360")
    page.get_by_text("gold.customer_360").click()
    page.get_by_label("The SQL of gold.customer_360").get_by_text("One row per customer").wait_for()
    page.get_by_role("link", name="Schedules").click()
    page.get_by_role("button", name="Run customer_360").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("combobox", name="Connection").select_option(connection)
    assert violations(page) == []
    dialog.get_by_role("button", name="Run it").click()
    page.wait_for_url("**/#/runs/**")
    page.get_by_role("link", name="Customer 360").wait_for()
    run = stack.finished(page.url.rpartition("/")[2])
    assert run["status"] == "succeeded" and "customer_360" in json.dumps(run["tables"])


def test_should_schedule_a_template(page, stack, connection):
    go(page, stack, "#/schedules")
    page.get_by_role("button", name="Schedule customer_360").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("combobox", name="Connection").select_option(connection)
    dialog.get_by_role("textbox", name="Times").fill("0 3 * * *")
    dialog.get_by_role("checkbox").check()
    dialog.get_by_role("button", name="Set the schedule").click()
    page.get_by_role("heading", name="customer_360").wait_for()
    page.locator(".facts .chip", has_text="paused").wait_for()
    stack.http.delete("/api/schedules/customer_360")


def test_should_save_a_request_as_a_template_without_its_connection(page, stack, connection):
    go(page, stack, chosen(connection))
    request = json.loads(page.locator(".beside textarea").input_value())
    page.get_by_role("button", name="Save as template …").click()
    dialog = page.get_by_role("dialog")
    for label, value in {"Name": "my_accounts", "Title": "Accounts", "What it does": "Loads accounts."}.items():
        dialog.get_by_role("textbox", name=label).fill(value)
    assert violations(page) == []
    dialog.get_by_role("button", name="Save it").click()
    page.get_by_role("heading", name="my_accounts").wait_for()
    page.get_by_text("Loads accounts.").wait_for()
    del request["source_config"]["connection"]
    assert stack.http.get("/api/templates/my_accounts").json()["request"] == request
    page.get_by_role("button", name="Remove my_accounts").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove my_accounts", exact=True).click()
    page.get_by_role("link", name="Customer 360 of a bank").wait_for()
    assert page.get_by_role("link", name="Accounts").count() == 0


def test_should_start_a_new_job_from_a_template(page, stack, connection):
    go(page, stack, f"#/job?template=customer_360&connection={connection}")
    request = json.loads(page.locator(".beside textarea").input_value())
    shipped = stack.http.get("/api/templates/customer_360").json()["request"]
    source = shipped["source_config"] | {"connection": {"connectionId": connection}}
    assert request == shipped | {"source_config": source}
