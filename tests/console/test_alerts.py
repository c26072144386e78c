"""Alerts through a whole stack: what a webhook and Slack get while runs go on, and what the console shows of it."""

import base64
import hashlib
import hmac
import json
import uuid
from typing import Any

from tests.helpers.alert_receiver import ALERT_KEY, AlertReceiver, Taken
from tests.helpers.browser import go, violations
from tests.helpers.stack import Stack, own
from tests.helpers.waiting import wait_for

NAME = f"a_{uuid.uuid4().hex[:8]}"
RULE = {"rule": "not_null", "column": "email", "severity": "quarantine"}


def told(receiver: AlertReceiver, kind: str, table: str = f"bronze_{NAME}") -> Taken:
    """The alert of this kind about the table, once the webhook has got it."""

    def found() -> Taken | None:
        calls = [one for one in receiver.taken if one.path == "/alerts"]
        return next((one for one in calls if (one.document["kind"], one.document["table"]) == (kind, table)), None)

    return wait_for(found, f"alert {kind}")


def is_in_slack(receiver: AlertReceiver, kind: str) -> bool:
    texts = [one.document["text"] for one in receiver.taken if one.path == "/slack"]
    return any(f"*{kind}*" in text and NAME in text for text in texts)


def is_signed(taken: Taken) -> bool:
    content = f"{taken.headers['webhook-id']}.{taken.headers['webhook-timestamp']}.".encode() + taken.body
    digest = base64.b64encode(hmac.new(ALERT_KEY.encode(), content, hashlib.sha256).digest()).decode()
    return taken.headers["webhook-signature"] == f"v1,{digest}"


def request(stack: Stack, **silver: Any) -> dict[str, Any]:
    place = own(NAME)
    return stack.request({"tableName": NAME}, **place | {"silverConfig": place["silverConfig"] | silver})


def test_should_tell_what_happens_and_be_in_the_way_of_no_run(page, stack, receiver):
    receiver.answers.append(503)  # whoever is told of the first does not take it at once
    assert stack.run(request(stack))["status"] == "failed"
    failure = told(receiver, "failure")
    assert is_signed(failure)
    assert (failure.document["run_id"], failure.document["details"]["error"]) != ("", "")

    stack.execute(
        f"CREATE TABLE {NAME} (id int PRIMARY KEY, email varchar(50))", f"INSERT INTO {NAME} VALUES (1, 'a@b')"
    )
    assert stack.run(request(stack))["status"] == "succeeded"
    assert is_signed(told(receiver, "recovery"))

    stack.execute(f"ALTER TABLE {NAME} ADD phone varchar(20)", f"INSERT INTO {NAME} VALUES (2, NULL, '1')")
    assert stack.run(request(stack, qualityRules=[RULE]))["status"] == "succeeded"
    assert "phone" in told(receiver, "drift").document["title"]
    assert told(receiver, "quarantine").document["details"]["rows"] == 1

    hours_pass(stack)
    fired = stack.http.post("/_local/schedule/SendAlertsFunctionClock")
    assert fired.status_code == 200, fired.text
    assert told(receiver, "nothing-new").document["details"]["hours"] == 1
    for kind in ("failure", "recovery", "drift", "quarantine", "nothing-new"):
        wait_for(lambda kind=kind: is_in_slack(receiver, kind), f"{kind} in Slack, which is told after the webhook")

    go(page, stack, "#/alerts")
    page.get_by_role("row", name=NAME).filter(has_text="nothing-new").first.wait_for()
    assert page.get_by_role("row", name=NAME).count() >= 5


def hours_pass(stack: Stack) -> None:
    """Moves back in time what is remembered of the table's last rows."""
    dynamodb = stack.client("dynamodb")
    table = next(one for one in dynamodb.list_tables()["TableNames"] if one.endswith("Schedules"))
    key = {"pk": {"S": f"ALERT#bronze_{NAME}"}, "sk": {"S": "TABLE"}}
    wait_for(lambda: "due_at" in dynamodb.get_item(TableName=table, Key=key).get("Item", {}), "the note of new rows")
    long_ago = {":at": {"S": "2026-01-01T00:00:00+00:00"}}
    dynamodb.update_item(
        TableName=table, Key=key, UpdateExpression="SET new_at = :at, due_at = :at", ExpressionAttributeValues=long_ago
    )


def test_should_send_a_test_and_show_who_took_it(page, stack, receiver):
    go(page, stack, "#/alerts")
    page.get_by_role("button", name="Send a test …").click()
    dialog = page.get_by_role("dialog")
    assert violations(page) == []
    dialog.get_by_role("button", name="Send it").click()
    dialog.get_by_text("sent").nth(1).wait_for()
    test = told(receiver, "test", "")
    assert is_signed(test)
    wait_for(
        lambda: any("*test*" in json.dumps(one.document) for one in receiver.taken if one.path == "/slack"),
        "a test in Slack",
    )
    dialog.get_by_role("button", name="Close").click()
    page.get_by_role("row", name="A test").get_by_text("sent").wait_for()
