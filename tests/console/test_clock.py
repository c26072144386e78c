"""Schedules through a whole stack: its clock starts what is due, folds what was missed, and starts nothing beside a run."""

import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.helpers.browser import go
from tests.helpers.stack import Stack, own
from tests.helpers.waiting import wait_for

NAME = f"w_{uuid.uuid4().hex[:8]}"


def scheduled(stack: Stack, workflow: str, **connection: Any) -> None:
    """Lets the workflow load a table once an hour."""
    document = stack.request({"tableName": "accounts"}, **own(workflow))
    document["source_config"]["connection"] |= connection
    request = {name: value for name, value in document.items() if name != "batch_id"} | {"workflow_id": workflow}
    kept = stack.http.put(f"/api/schedules/{workflow}", json={"request": request, "rate": "1 hour"})
    assert kept.status_code == 200, kept.text


def hours_pass(stack: Stack, workflow: str, hours: float) -> None:
    """Lets the schedule have been due for so long, as if the stack had been down meanwhile."""
    dynamodb = stack.client("dynamodb")
    table = next(one for one in dynamodb.list_tables()["TableNames"] if one.endswith("Schedules"))
    due = (datetime.now(UTC) - timedelta(hours=hours)).isoformat(timespec="seconds")
    key = {"pk": {"S": "SCHEDULES"}, "sk": {"S": workflow}}
    values = {":due": {"S": due}}
    dynamodb.update_item(
        TableName=table, Key=key, UpdateExpression="SET due_at = :due", ExpressionAttributeValues=values
    )


def ticked(stack: Stack, workflow: str) -> dict[str, Any]:
    """The schedule after the clock has looked."""
    (fired,) = stack.http.post("/_local/schedule/SchedulesFunctionClock").json()["outcomes"]
    assert fired["result"]["failed"] == 0, fired
    return stack.http.get(f"/api/schedules/{workflow}").json()


@contextmanager
def silent_server() -> Iterator[int]:
    """The port of a source that takes connections and says nothing: its run is under way until its login has timed out."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_should_start_one_run_for_all_times_that_were_missed_and_show_the_next(page, stack):
    scheduled(stack, NAME)
    assert ticked(stack, NAME)["last_run"] is None
    hours_pass(stack, NAME, hours=3.5)
    told = ticked(stack, NAME)
    assert told["missed"]["times"] == 4
    assert datetime.fromisoformat(told["next_at"]) > datetime.now(UTC)
    assert ticked(stack, NAME)["last_run"] == told["last_run"]

    def begun() -> bool:
        return stack.http.get(f"/api/runs/{told['last_run']}").status_code == 200

    wait_for(begun, "the run")
    run = stack.finished(told["last_run"])
    assert (run["status"], run["trigger"], run["workflow_id"]) == ("succeeded", "schedule", NAME)
    go(page, stack, f"#/schedules/{NAME}")
    page.get_by_text("4 times since").wait_for()
    page.locator(".facts .chip", has_text="succeeded").wait_for()
    stack.http.delete(f"/api/schedules/{NAME}")


def test_should_start_nothing_while_the_last_run_is_going_and_say_why(stack):
    workflow = f"{NAME}_busy"
    with silent_server() as port:
        scheduled(stack, workflow, port=port)
        hours_pass(stack, workflow, hours=0.5)
        first = ticked(stack, workflow)
        hours_pass(stack, workflow, hours=0.2)
        second = ticked(stack, workflow)
        assert first["last_run"]
        assert second["last_run"] == first["last_run"]
        assert second["skipped"]["times"] == 1
        assert first["last_run"] in second["skipped"]["why"]
        stack.http.delete(f"/api/schedules/{workflow}")
