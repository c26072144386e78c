"""What a user does in the console from the first connection to a load that failed and goes on."""

import json
import re
import uuid

import pytest

from tests.helpers.browser import go, violations
from tests.helpers.stack import own

NAME = f"t_{uuid.uuid4().hex[:8]}"
MARKUP = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def table(stack) -> str:
    """A table of its own at the source, with a text that would be markup if it could."""
    stack.execute(
        f"CREATE TABLE {NAME} (id int IDENTITY PRIMARY KEY, zip int, note nvarchar(60))",
        f"INSERT INTO {NAME} (zip, note) VALUES (123, '{MARKUP}'), (124, N'Grüße'), (125, NULL)",
    )
    return NAME


def status(page, word: str):
    """The run's own status, once it is this."""
    return page.locator("#page > .facts .chip", has_text=word)


def test_should_go_from_a_connection_to_rows_and_from_a_failure_to_its_replay(page, stack, table):
    where = stack.connection
    go(page, stack, "#/job")
    if not page.get_by_label("Host").is_visible():  # another test has saved a connection
        page.get_by_text("A new connection").click()
    for label, value in {
        "Name": f"c_{table}", "Host": where["host"], "Port": str(where["port"]), "Database": where["database"],
        "Login": where["username"], "Password": "wrong",
    }.items():  # fmt: skip
        page.get_by_label(label, exact=True).fill(value)
    page.get_by_role("button", name="Test", exact=True).click()
    page.get_by_text("What to do").wait_for()
    page.get_by_label("Password", exact=True).fill(where["password"])
    page.get_by_role("button", name="Test", exact=True).click()
    page.get_by_text("it answers").wait_for()
    page.get_by_role("button", name="Save", exact=True).click()

    page.get_by_label("Find").fill(table)
    page.get_by_label(f"dbo.{table}").check()
    page.get_by_text("Each load reads the whole table").wait_for()
    page.get_by_label("New rows are found by").select_option("id")
    page.get_by_text("as IDENTITY's are").wait_for()
    page.get_by_label("Workflow", exact=True).fill(table)
    page.get_by_label("Job", exact=True).fill("load")
    written = json.loads(page.locator(".beside textarea").input_value())
    assert written["source_config"]["databaseConfig"]["tables"] == [
        {"tableName": f"dbo.{table}", "isIncremental": True, "deltaColumn": "id"}
    ]
    assert table in page.url and where["password"] not in page.url
    page.get_by_role("button", name="Plan", exact=True).click()
    page.get_by_role("region", name="The plan").get_by_text("incremental by id, merge").wait_for()
    page.get_by_role("button", name="Submit", exact=True).click()

    status(page, "succeeded").wait_for()
    row = page.get_by_role("row", name=re.compile(f"dbo.{table}"))
    assert "3" in row.inner_text() and "published" in row.inner_text()
    row.get_by_role("link").click()
    page.get_by_role("heading", name=f"silver.{table}").wait_for()
    page.get_by_role("button", name="Ask", exact=True).click()
    page.get_by_text("3 rows in").wait_for()
    answer = page.get_by_role("region", name="The answer")
    assert MARKUP in answer.inner_text() and "Grüße" in answer.inner_text()
    assert page.locator("img").count() == 0

    stack.execute(f"ALTER TABLE {table} ALTER COLUMN zip varchar(10)", f"INSERT INTO {table} (zip) VALUES ('AB-1')")
    run = stack.post(written).json()["run_id"]
    go(page, stack, f"#/runs/{run}")
    status(page, "failed").wait_for()
    page.get_by_text("column zip was INTEGER and is VARCHAR now").first.wait_for()
    page.get_by_text("What to do:").wait_for()
    decided = stack.http.put(f"/api/silver/{table}/schema", json={"types": {"zip": "varchar"}})
    assert decided.status_code == 200, decided.text
    page.get_by_role("button", name="Replay …", exact=True).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("goes back to its queue").wait_for()
    assert f"flowforge replay --run {run}" in dialog.inner_text()
    dialog.get_by_role("button", name="Put 1 back").click()
    status(page, "succeeded").wait_for()
    assert page.get_by_text("What failed").count() == 0


def rule_of(card, kind: str, severity: str, **fields: str) -> None:
    """Adds a quality rule by the form of a table."""
    fields = {"Rule": kind, **fields, "A row that breaks it": severity}
    for label, value in fields.items():
        if label in ("Rule", "Column", "A row that breaks it"):
            card.get_by_role("combobox", name=label, exact=True).select_option(value)
        else:
            card.get_by_role("textbox", name=label, exact=True).fill(value)
    card.get_by_role("button", name="Add the rule").click()
    card.get_by_text(kind.replace("_", " ") + ":").wait_for()


def test_should_write_where_each_table_goes_and_its_rules_into_the_request(page, stack, table):
    saved = stack.http.post("/api/connections", json={"id": f"r_{table}", **stack.connection})
    assert saved.status_code == 201, saved.text
    go(
        page,
        stack,
        f'#/job?connection=r_{table}&tables={{"dbo.{table}":{{}},"dbo.accounts":{{"cursor":"account_id"}}}}',
    )
    others = page.locator(".card").nth(1)
    others.get_by_text("Change Tracking is not ready").click()
    others.get_by_text("ENABLE CHANGE_TRACKING").wait_for()
    card = page.locator(".card").first
    card.get_by_text("Rules", exact=True).click()
    rule_of(card, "not_null", "quarantine", Column="note")
    rule_of(card, "range", "warn", **{"Column": "id", "At least": "1", "At most": "200"})
    rule_of(card, "row_count", "fail", **{"At least": "1"})
    rule_of(card, "allowed_values", "fail", Column="note", Values="a, b")
    card.get_by_role("button", name="Remove allowed values").click()
    card.get_by_label("Into silver.").fill(f"{table}_other")
    card.get_by_label("Into gold.").fill(f"{table}_gold")
    assert violations(page) == []
    page.reload()
    page.get_by_text("as chosen").wait_for()
    first, second = json.loads(page.locator(".beside textarea").input_value())["source_config"]["databaseConfig"][
        "tables"
    ]
    rules = [
        {"rule": "not_null", "column": "note", "severity": "quarantine"},
        {"rule": "range", "column": "id", "min": 1, "max": 200, "severity": "warn"},
        {"rule": "row_count", "min": 1, "severity": "fail"},
    ]
    silver = {"tableName": f"{table}_other", "qualityRules": rules}
    whole = {"bronzeConfig": {"loadStrategy": "full_refresh"}, "silverConfig": silver}
    whole |= {"goldConfig": {"tableName": f"{table}_gold"}}
    assert first == {"tableName": f"dbo.{table}", "destination_config": whole}
    assert second == {"tableName": "dbo.accounts", "isIncremental": True, "deltaColumn": "account_id"}
    page.get_by_role("button", name="Submit", exact=True).click()
    page.wait_for_url("**/#/runs/**")
    assert stack.finished(page.url.rpartition("/")[2])["status"] == "succeeded"
    told = stack.http.get(f"/api/silver/{table}_other/quality").json()
    assert told["quarantine"][0]["rows"] >= 1 and len(told["rules"]) == len(rules)


def test_should_offer_change_tracking_where_it_is_ready_and_plan_it_with_what_the_load_before_has_cost(page, stack):
    name = f"k_{NAME}"
    on = "IF NOT EXISTS (SELECT * FROM sys.change_tracking_databases) ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON"
    stack.execute(f"CREATE TABLE {name} (id int PRIMARY KEY)", on, f"ALTER TABLE {name} ENABLE CHANGE_TRACKING")
    stack.execute(f"INSERT INTO {name} VALUES (1), (2), (3)")
    saved = stack.http.post("/api/connections", json={"id": name, **stack.connection})
    assert saved.status_code == 201, saved.text
    go(page, stack, f'#/job?connection={name}&tables={{"dbo.{name}":{{}}}}')
    page.get_by_role("combobox", name="New rows are found by").select_option(":changes")
    page.get_by_text("every insert, update and delete that is committed").wait_for()
    written = json.loads(page.locator(".beside textarea").input_value())
    assert written["source_config"]["databaseConfig"]["tables"] == [
        {"tableName": f"dbo.{name}", "isIncremental": True, "changeTracking": True}
    ]
    address = page.url
    plan = page.get_by_role("region", name="The plan")
    page.get_by_role("button", name="Plan", exact=True).click()
    plan.get_by_text("Change Tracking").first.wait_for()
    assert "Last load" not in plan.inner_text()
    page.get_by_role("button", name="Submit", exact=True).click()
    status(page, "succeeded").wait_for()
    page.locator(".facts").first.get_by_text(re.compile(r"about 0\.\d{6} USD")).wait_for()
    stack.execute(f"INSERT INTO {name} VALUES (4)", f"DELETE FROM {name} WHERE id = 1")
    page.goto("about:blank")
    page.goto(address)
    page.get_by_role("combobox", name="New rows are found by").wait_for()
    page.get_by_role("button", name="Plan", exact=True).click()
    plan.get_by_text(re.compile(r"3 rows in .* s, about 0\.\d{6} USD")).wait_for()
    assert "changes" in plan.inner_text()
    opened_everywhere(page)


def opened_everywhere(page) -> None:
    """axe on the page with all of its steps open, then with each of its dialogs; light and dark, and on a phone."""
    page.evaluate("document.querySelectorAll('#page details').forEach(one => { one.open = true; })")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert violations(page) == [], scheme
        for words in ("Schedule …", "Save as template …"):
            page.get_by_role("button", name=words, exact=True).click()
            page.get_by_role("dialog").get_by_role("button", name="Close").wait_for()
            assert violations(page) == [], (scheme, words)
            page.keyboard.press("Escape")
            page.get_by_role("dialog").wait_for(state="detached")
    page.set_viewport_size({"width": 375, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 375


def test_should_show_what_a_replay_would_do_and_do_nothing_when_it_is_closed(page, stack):
    missing = f"m_{uuid.uuid4().hex[:8]}"
    run = stack.run(stack.request({"tableName": missing}, **own(missing)))
    go(page, stack, f"#/runs/{run['run_id']}")
    button = page.get_by_role("button", name="Replay …", exact=True)
    button.focus()
    page.keyboard.press("Enter")
    page.get_by_role("dialog").get_by_text("UnknownTable").wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("dialog").wait_for(state="hidden")
    assert button.evaluate("one => one === document.activeElement")
    letters = stack.http.get("/api/dead-letters").json()["messages"]
    assert [one["table"] for one in letters if one["run_id"] == run["run_id"]] == [f"bronze_{missing}"]
