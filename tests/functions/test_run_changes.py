"""Who follows a run is told what has changed since the look before, and comes to the same as who reads all of it."""

import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from flowforge.aws.clients import client
from flowforge.runtime.settings import settings as deployed
from flowforge.state import runs
from flowforge.state.run_unchanged import Unchanged
from tests.helpers.examples import examples
from tests.helpers.told_events import BATCHES, CHAIN, get, tell, tell_together

pytestmark = pytest.mark.usefixtures("answers_as_told")
LATER = (datetime.now(UTC) + timedelta(hours=1)).isoformat()


@pytest.fixture(autouse=True)
def queues(aws, monkeypatch):
    aws.use("TrackQueue", "TrackDeadLetters", monkeypatch)


def look(context: Any, run_id: str, since: str | None = None) -> dict[str, Any]:
    status, run = get(context, f"/api/runs/{run_id}", "/api/runs/{id}", **({"since": since} if since else {}))
    assert status == 200
    return run


def without_time(run: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in run.items() if name != "as_of"}


@settings(max_examples=examples(25), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(BATCHES)
def test_should_come_to_what_is_shown_of_all_whatever_is_told_between_two_looks(context, unique, batches):
    run_id = unique("run")
    runs.open_run(run_id, "wf", "job", "batch", "http", [("bronze_a", "a"), ("bronze_b", "b"), ("bronze_c", "c")])
    seen: dict[str, Any] = look(context, run_id)
    for batch in batches:
        tell_together(context, *((run_id, *event) for event in batch))
        assert re.fullmatch(r"[0-9TZ:.-]+", seen["as_of"])  # may stand in an address as it is
        told = look(context, run_id, str(seen["as_of"]))
        changed = {table["table"].lower(): table for table in told["tables"]}
        tables = [changed.get(table["table"].lower(), table) for table in seen["tables"]]
        seen = told | {"tables": tables}
        assert without_time(seen) == without_time(look(context, run_id))


def test_should_tell_of_no_table_that_has_not_changed_and_yet_how_the_run_stands(context, unique):
    run_id = unique("run")
    quiet = [Unchanged("bronze_c", "c", "nothing new", "", "7")]
    tables = [(f"bronze_{name}", name) for name in "abc"]
    runs.open_run(run_id, "wf", "job", "batch", "http", tables, unchanged=quiet)
    tell_together(context, *((run_id, name, f"bronze_{table}") for name in CHAIN for table in "ab"))
    whole, changed = look(context, run_id), look(context, run_id, LATER)
    assert changed["tables"] == []
    assert changed["status"] == "succeeded"
    assert {**without_time(changed), "tables": whole["tables"]} == without_time(whole)


def test_should_tell_each_time_how_far_a_sliced_table_is(context, unique):
    run_id = unique("run")
    runs.open_run(run_id, "wf", "job", "batch", "http", [("bronze_a", "a"), ("bronze_b", "b")])
    tell(context, run_id, "SlicesRead", table="bronze_a")
    (table,) = look(context, run_id, LATER)["tables"]
    assert (table["table"], table["status"]) == ("bronze_a", "reading")
    tell(context, run_id, "BronzeLanded", table="bronze_a")
    assert look(context, run_id, LATER)["tables"] == []


def test_should_read_a_run_of_any_size_in_two_calls_and_its_changes(aws, context, unique):
    run_id = unique("run")
    tables = [f"bronze_{n}" for n in range(60)]
    runs.open_run(run_id, "wf", "job", "batch", "http", [(table, table) for table in tables])
    for start in range(0, 60, 10):
        tell_together(context, *((run_id, "BronzeLanded", table) for table in tables[start : start + 10]))
    since = look(context, run_id)["as_of"]
    for asked, calls in ((LATER, {"DynamoDB Query": 1}), (since, {"DynamoDB Query": 1, "DynamoDB BatchGetItem": 1})):
        before = Counter(aws.calls())
        look(context, run_id, asked)
        assert Counter(aws.calls()) - before == calls


def test_should_tell_all_of_a_run_of_a_version_before(context, unique):
    run_id = unique("run")
    runs.open_run(run_id, "wf", "job", "batch", "http", [("bronze_a", "a")])
    key = {"pk": {"S": run_id}, "sk": {"S": "RUN"}}
    client("dynamodb").update_item(
        TableName=deployed().runs_table, Key=key, UpdateExpression="REMOVE steps_in", ReturnValues="NONE"
    )
    assert [table["table"] for table in look(context, run_id, LATER)["tables"]] == ["bronze_a"]


def test_should_refuse_a_moment_that_is_none_and_a_run_that_is_not_known(context, unique):
    for since in ("yesterday", "2026-01-02T03:04:05", "9" * 400):
        status, answer = get(context, "/api/runs/run_1", "/api/runs/{id}", since=since)
        assert (status, answer["mistakes"][0]["field"]) == (400, "since")
    status, answer = get(context, f"/api/runs/{unique('run')}", "/api/runs/{id}", since=LATER)
    assert (status, answer["error"]) == (404, "NotFound")


@pytest.mark.parametrize("since", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_should_tell_all_of_a_run_since_a_moment_at_an_end_of_the_calendar(context, unique, since):
    run_id = unique("run")
    runs.open_run(run_id, "wf", "job", "batch", "http", [("bronze_a", "a")])
    assert [table["status"] for table in look(context, run_id, since)["tables"]] == ["queued"]
