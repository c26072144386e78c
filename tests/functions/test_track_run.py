"""The run history: events twice, in any order, failures mended by a replay."""

import base64
import itertools
import json
from collections import Counter
from typing import Any
from urllib.parse import unquote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings

from events import facts
from events.envelopes import eventbridge, http, sqs
from events.sample_messages import messages
from flowforge.state import runs
from functions.track_run.handler import handler
from tests.helpers.examples import examples
from tests.helpers.told_events import BATCHES, CHAIN, SAMPLES, get, tell, tell_together

pytestmark = pytest.mark.usefixtures("answers_as_told")


@pytest.fixture(autouse=True)
def queues(aws, monkeypatch):
    aws.use("TrackQueue", "TrackDeadLetters", monkeypatch)


@pytest.fixture
def run_id(unique) -> str:
    run_id = unique("run")
    runs.open_run(run_id, "wf_001", "job", "batch", "http", [("bronze_customers", "dbo.customers")])
    return run_id


@pytest.mark.parametrize("order", list(itertools.permutations(CHAIN)))
def test_should_come_to_the_same_end_in_whatever_order_events_arrive(context, unique, order, run_id):
    for name in order:
        assert runs.read_run(run_id)["status"] != "succeeded"
        tell(context, run_id, name, name)
    run = runs.read_run(run_id)
    assert run["status"] == "succeeded"
    (table,) = run["tables"]
    assert (table["status"], table["records"], table["silver_rows"]) == ("published", 500, 500)
    assert table["gold_tables"] == {"customers": 500}
    figures = {"rule": "unique customer_id", "severity": "fail", "checked": 500, "failed": 0}
    assert table["gold_quality"] == {"customers": [figures]}
    assert table["watermark_after"] == "2025-11-08 06:12:06.997"
    assert run["finished_at"] == table["finished_at"]


def test_should_count_runs_and_the_rows_that_silver_has_changed_once(context, run_id, capsys):
    accepted = next(m for m in messages() if isinstance(m, facts.JobAccepted))
    sample = next(m for m in messages() if isinstance(m, facts.SilverRefined))
    refined = sample.model_copy(update={"run_id": run_id})
    again = refined.model_copy(update={"already_applied": True})
    bodies = [eventbridge(type(m).__name__, json.loads(m.model_dump_json())) for m in (accepted, refined, again)]
    handler(sqs(*bodies), context)
    (told,) = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]
    assert told["Runs"] == [1]
    assert told["RowsRefined"] == [refined.inserted + refined.updated + refined.deleted]


def test_should_show_a_table_without_rows_as_empty_and_the_run_as_succeeded(context, run_id):
    tell(context, run_id, "IntervalEmpty")
    run = runs.read_run(run_id)
    assert (run["status"], run["tables"][0]["status"], run["tables"][0]["reason"]) == ("succeeded", "empty", "no rows")


def test_should_fail_the_run_when_one_table_fails_and_only_once_its_siblings_are_done(context, unique):
    run_id = unique("run")
    runs.open_run(run_id, "wf", "job", "batch", "http", [("bronze_a", "a"), ("bronze_b", "b")])
    tell(context, run_id, "StepFailed", table="bronze_a")
    assert runs.read_run(run_id)["status"] == "running"
    tell(context, run_id, *CHAIN, table="bronze_b")
    run = runs.read_run(run_id)
    assert (run["status"], [t["status"] for t in run["tables"]]) == ("failed", ["failed", "published"])
    assert run["tables"][0]["error"]["remedy"]


def test_should_turn_green_when_a_replay_mends_the_failed_step(context, run_id):
    tell(context, run_id, "StepFailed")
    tell(context, run_id, *CHAIN)
    assert runs.read_run(run_id)["status"] == "succeeded"


def test_should_show_runs_over_http(context, run_id):
    status, run = get(context, f"/api/runs/{run_id}", "/api/runs/{id}")
    assert (status, run["run_id"], run["status"]) == (200, run_id, "accepted")
    status, listed = get(context, "/api/runs", "/api/runs", limit="1")
    assert (status, [r["run_id"] for r in listed["runs"]]) == (200, [run_id])
    assert get(context, "/api/runs", "/api/runs", workflow_id="nobody's")[1] == {"runs": []}


@pytest.mark.parametrize("limit", ["-1", "x", "9999", "²", "9" * 4_400, "0" * 4_400 + "9999"])
def test_should_refuse_a_limit_that_is_none(context, limit):
    status, answer = get(context, "/api/runs", "/api/runs", limit=limit)
    assert (status, answer["mistakes"][0]["field"]) == (400, "limit")


@settings(max_examples=examples(25), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(BATCHES)
def test_should_list_a_run_as_it_is_shown_whatever_has_been_told_of_it(context, unique, batches):
    run_id, workflow = unique("run"), unique("wf")
    runs.open_run(run_id, workflow, "job", "batch", "http", [("bronze_a", "a"), ("bronze_b", "b"), ("bronze_c", "c")])
    for batch in batches:
        tell_together(context, *((run_id, *event) for event in batch))
    (listed,) = get(context, "/api/runs", "/api/runs", workflow_id=workflow)[1]["runs"]
    shown = runs.read_run(run_id)
    assert [one["status"] for one in listed["tables"]] == [one["status"] for one in shown["tables"]]
    assert {k: v for k, v in listed.items() if k != "tables"} == {k: v for k, v in shown.items() if k != "tables"}


def test_should_write_what_a_batch_tells_of_a_run_in_one_call_more_than_it_has_tables(aws, context, unique):
    tables = [f"bronze_{n}" for n in range(8)]
    first, other = unique("run"), unique("run")
    for run_id in (first, other):
        runs.open_run(run_id, run_id, "job", "batch", "http", [(table, table) for table in tables])
    batch = [(first, "IntervalEmpty", table) for table in tables] + [(other, "IntervalEmpty", tables[0])]
    before = Counter(aws.calls())
    tell_together(context, *batch)
    assert Counter(aws.calls()) - before == {"DynamoDB UpdateItem": 8 + 1 + 2}  # of the other run both, as ever
    tell_together(context, *reversed(batch[3:]))  # comes again, in other company
    for run_id, statuses in ((first, ["empty"] * 8), (other, ["empty", *["queued"] * 7])):
        (listed,) = get(context, "/api/runs", "/api/runs", workflow_id=run_id)[1]["runs"]
        shown = runs.read_run(run_id)
        assert [one["status"] for one in listed["tables"]] == [one["status"] for one in shown["tables"]] == statuses
        assert listed["finished_at"] == shown["finished_at"]


def test_should_write_what_a_batch_tells_of_one_table_in_one_call(aws, context, run_id):
    told = [(run_id, name, "bronze_customers") for name in (*CHAIN, "BronzeLanded")]
    before = Counter(aws.calls())
    tell_together(context, *told)
    assert Counter(aws.calls()) - before == {"DynamoDB UpdateItem": 1 + 1}  # the table's story, and its steps
    first = runs.read_run(run_id)
    assert (first["status"], first["tables"][0]["records"], first["tables"][0]["silver_rows"]) == (
        "succeeded",
        500,
        500,
    )
    tell_together(context, *reversed(told), (run_id, "StepFailed", "bronze_customers"))  # comes again; fails meanwhile
    again = runs.read_run(run_id)
    assert (again["status"], again["finished_at"]) == (first["status"], first["finished_at"])


def test_should_leave_to_its_own_turn_what_is_no_event(aws, context, unique):
    run_id = unique("run")
    runs.open_run(run_id, run_id, "job", "batch", "http", [("bronze_a", "a"), ("bronze_b", "b")])
    good = [SAMPLES["IntervalEmpty"].model_copy(update={"run_id": run_id, "bronze_table": f"bronze_{n}"}) for n in "ab"]
    bodies = [eventbridge("IntervalEmpty", json.loads(m.model_dump_json())) for m in good]
    bad = ["{", "[1]", json.dumps(eventbridge("IntervalEmpty", {"run_id": 7}))]
    assert handler(sqs(bad[0], bodies[0], *bad[1:], bodies[1]), context) == {"batchItemFailures": []}
    assert runs.read_run(run_id)["status"] == "succeeded"
    assert len(aws.messages("TrackDeadLetters")) == len(bad)


def test_should_list_a_table_as_the_catalog_spells_it(context, unique, run_id):
    workflow = runs.read_run(run_id)["workflow_id"]
    tell(context, run_id, "BronzeLanded", table="Bronze_Customers")
    listed = get(context, "/api/runs", "/api/runs", workflow_id=workflow, limit="200")[1]["runs"]
    assert [run["tables"] for run in listed if run["run_id"] == run_id] == [
        [{"table": "Bronze_Customers", "status": "landed"}]
    ]


def test_should_answer_404_with_a_remedy_for_an_unknown_run(context):
    status, answer = get(context, "/api/runs/run_nobody", "/api/runs/{id}")
    assert (status, answer["error"]) == (404, "NotFound")
    assert answer["remedy"]


def test_should_show_every_table_of_a_run_of_thousands(context, unique):
    run_id = unique("run")
    pairs = [(f"bronze_{'x' * 100}_{n}", f"dbo.{'x' * 100}_{n}") for n in range(2_500)]
    runs.open_run(run_id, "wf", "job", "batch", "http", pairs)
    run = runs.read_run(run_id)
    assert [(t["table"], t["source_table"]) for t in run["tables"]] == pairs
    assert run["status"] == "accepted"


def test_should_show_a_run_of_more_tables_than_a_function_can_tell_of_in_plain_text(context, unique):
    run_id, path = unique("run"), "/api/runs/{id}"
    pairs = [(f"bronze_{n}", f"dbo.{n}") for n in range(9_000)]
    runs.open_run(run_id, "wf", "job", "batch", "http", pairs)
    asked = http("GET", f"/api/runs/{run_id}", path)

    def answered(**accepted: str) -> dict[str, Any]:
        headers = {name.replace("_", "-"): value for name, value in accepted.items()}
        return handler(asked | {"headers": asked["headers"] | headers}, context)

    for plain in (answered(), answered(accept_encoding="br, gzip; q=0.0")):
        assert (plain["statusCode"], plain["isBase64Encoded"]) == (422, False)
        refused = json.loads(plain["body"])
        assert (refused["error"], refused["remedy"]) == ("TooLarge", "send Accept-Encoding: gzip")
    answer = answered(accept_encoding="deflate, GZIP;q=0.5")
    assert len(json.dumps(answer)) < 6 * 2**20
    told = httpx.Response(200, headers=answer["headers"], content=base64.b64decode(answer["body"])).json()
    assert [(table["table"], table["source_table"]) for table in told["tables"]] == pairs


ODD = ["%F0%9F%98%80", "a%00b", "a%2Fb", "a%22%23%3F", "%0A", "Ж", "100%25", "a%2520b", "%ED%A0%80", "%FF"]


@pytest.mark.parametrize("name", ODD)
def test_should_find_a_route_whatever_is_in_its_parameters(context, name):
    status, answer = get(context, f"/api/runs/{name}", "/api/runs/{id}")
    assert (status, answer["error"]) == (404, "NotFound")
    assert repr(unquote(name)) in answer["message"]


def test_should_sum_what_the_deliveries_of_a_table_have_used_each_once(context, run_id):
    def used(delivery: str, name: str, **known) -> dict:
        counts = {"s3_puts": 3_000_000, "dynamodb_writes": 1.5}
        usage = {"id": delivery, "seconds": 2.5, "memory_mb": 2048, "counts": counts}
        body = json.loads(SAMPLES[name].model_dump_json())
        return body | {"run_id": run_id, "bronze_table": "bronze_customers", "usage": usage | known}

    told = [used("a", "SlicesRead", step="ingest", cold=True), used("b", "SlicesRead", step="ingest", attempt=3)]
    told += [used("c", "BronzeLanded", step="ingest"), used("d", "BronzeLanded", step="ingest")]  # landed; told again
    told += [used("e", "SilverRefined", step="silver")]
    names = ["SlicesRead", "SlicesRead", "BronzeLanded", "BronzeLanded", "SilverRefined"]
    bodies = [eventbridge(name, body) for name, body in zip(names, told, strict=True)]
    assert handler(sqs(*bodies, *reversed(bodies)), context) == {"batchItemFailures": []}

    _, run = get(context, f"/api/runs/{run_id}", "/api/runs/{id}")
    ingest, silver = run["tables"][0]["usage"]
    assert ingest == {
        "step": "ingest",
        "deliveries": 4,
        "cold_starts": 1,
        "silent": 2,
        "seconds": 10,
        "gb_seconds": 20,
        "counts": {"s3_puts": 12_000_000, "dynamodb_writes": 6},
    }
    assert (silver["step"], silver["deliveries"]) == ("silver", 1)
