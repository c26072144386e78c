"""What an earlier version has written, really by its own functions (see `tests/helpers/write_state.py`), and this one going on
above it: state, lake, and messages that were on their way.

The tests follow one another in time: what is loaded by one is there for the next.
"""

import base64
import fcntl
import json
import lzma
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from events.envelopes import http
from flowforge.lineage.graph import read_graph
from flowforge.operations.query import query
from flowforge.operations.replay import DeadLetterFilter, put_back
from flowforge.operations.watermarks import show
from flowforge.runtime.settings import settings
from flowforge.state.runs import read_run
from flowforge.state.table import read_state
from functions.track_run.handler import handler as track_run
from tests.helpers.standin import StandIn, start, stop
from tests.helpers.write_state import CREATE, PORT, TABLES, Writing, command, keep_secret

ARCHIVES = sorted((Path(__file__).parents[1] / "upgrade").glob("*.json.xz"))
KEYS = {table: f"localhost:{PORT}/BFSI_Test/dbo.{table}>bronze_{table}" for table in TABLES}


def attribute(value: Any) -> Any:
    """A DynamoDB value of the archive; its bytes were kept as text."""
    (kind, inner), *_ = value.items()
    return {kind: inner.encode("latin-1")} if kind == "B" else value


@pytest.fixture(scope="module")
def lake_bucket() -> str:
    """The bucket that is named in what was kept."""
    return "flowforge-data"


@pytest.fixture(scope="module")
def server(aws, tmp_path_factory) -> Iterator[StandIn]:
    """A source at the address that is in the source keys; another run of these tests on the machine waits for it."""
    with (Path(tempfile.gettempdir()) / f"flowforge-test-{PORT}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        started = start(tmp_path_factory.mktemp("tls"), "--port", str(PORT))
        yield started
        stop(started)


@pytest.fixture(scope="module", params=ARCHIVES, ids=lambda path: path.name.partition(".")[0])
def kept(request) -> dict[str, Any]:
    return json.loads(lzma.decompress(request.param.read_bytes()))


@pytest.fixture(scope="module")
def before(aws, server, kept) -> Iterator[Writing]:
    """The deployment with what was kept of it, and its source with the rows of then, its clock an hour on."""
    with pytest.MonkeyPatch.context() as environment, server.connect() as source:
        environment.setenv("FLOWFORGE_SOURCE_CA_FILE", str(server.ca_file))
        environment.setenv(
            "FLOWFORGE_REPLAY_QUEUES", f"refine={aws.name('RefineDeadLetters')}>{aws.name('RefineQueue')}"
        )
        for name in ("FLOWFORGE_QUEUE_URL", "FLOWFORGE_DEAD_LETTER_QUEUE_URL"):
            environment.setenv(name, "")
        writing = Writing(aws.name, source)
        _restore(aws, kept)
        _fill(writing, kept)
        keep_secret()
        for queue in ("Ingest", "Watermark", "Refine", "Publish", "Track", "Lineage"):
            writing.take(queue)
        yield writing


def _restore(aws, kept: dict[str, Any]) -> None:
    for table, found in kept["items"].items():
        for item in found:
            values = {name: attribute(value) for name, value in item.items()}
            boto3.client("dynamodb").put_item(TableName=aws.name(table), Item=values)
    for key, body in kept["objects"].items():
        boto3.client("s3").put_object(Bucket=aws.name("Lake"), Key=key, Body=base64.b85decode(body))


def _fill(writing: Writing, kept: dict[str, Any]) -> None:
    for table in TABLES:
        writing.execute(CREATE.format(t=table))
        rows = ", ".join(f"({id}, '{name}', '{at}')" for id, name, at in kept["rows"][table])
        writing.execute(f"INSERT INTO {table} (id, name, at) VALUES {rows}")
    mark = read_state(KEYS["kept"]).watermarks["at"]
    identity = mark.identity
    writing.execute(f"EXEC flowforge_replica 'go on', '{identity['database_created']}', '{identity['recovery_fork']}'")
    writing.execute(f"EXEC flowforge_clock 'set', '{mark.value}'; EXEC flowforge_clock 'advance', 3600000")


def silver(table: str) -> list[tuple[int, str]]:
    return query(f"SELECT id, name FROM silver.{table} ORDER BY id, name", settings().bucket).rows


def work_off(writing: Writing, *queues: str) -> None:
    functions = {
        "Refine": "refine_silver",
        "Publish": "publish_gold",
        "Track": "track_run",
        "Lineage": "record_lineage",
    }
    for queue in queues or functions:
        for body in writing.take(queue):
            writing.handle(queue, functions[queue], body)


def test_should_show_the_runs_batches_and_watermarks_of_a_version_before(before, context):
    run = read_run("run_kept_load1")
    (table,) = run["tables"]
    assert (run["status"], table["records"], table["updated"], table["inserted"]) == ("succeeded", 2, 1, 1)
    assert read_run("run_kept_load2")["status"] == "running"
    listed = json.loads(
        track_run(http("GET", "/api/runs", query={"limit": "200", "workflow_id": "w"}), context)["body"]
    )["runs"]
    assert {f"run_{table}_load{n}" for table in TABLES for n in (0, 1)} <= {run["run_id"] for run in listed}
    shown = show("bronze_kept")
    assert [(past["seq"], past["state"], past["records"]) for past in shown["history"]] == [
        (3, "committed", 3), (2, "refined", 2), (1, "refined", 3)]  # fmt: skip
    assert shown["watermarks"]["at"]["value"] == shown["history"][0]["high"]


@pytest.mark.parametrize("table", TABLES)
def test_should_apply_nothing_twice_that_comes_again(before, kept, table):
    rows = silver(table)
    for body in kept["messages"]["again"][table]:
        before.handle("Refine", "refine_silver", body)
    before.handle("Ingest", "ingest_table", json.loads(command(table, "load1").model_dump_json()))
    (told,) = before.take("Publish")
    assert told["detail"]["already_applied"]
    before.take("Watermark")
    before.take("Refine")
    assert silver(table) == rows
    assert max(past["seq"] for past in show(f"bronze_{table}")["history"]) == {"kept": 3, "added": 2}[table]


def test_should_replay_what_was_on_its_way_to_silver(before, kept):
    (body,) = kept["messages"]["under_way"]
    dead_letters = before.name("RefineDeadLetters")
    boto3.client("sqs").send_message(QueueUrl=dead_letters, MessageBody=json.dumps(body))
    assert (3, "three") in silver("kept")
    (letter,) = put_back(DeadLetterFilter(run_id="run_kept_load2"))["messages"]
    assert letter["table"] == "bronze_kept"
    work_off(before)
    assert silver("kept") == [(1, "one"), (2, "TWO"), (3, "THREE"), (4, "four")]
    assert read_run("run_kept_load2")["status"] == "succeeded"


@pytest.mark.parametrize("table", TABLES)
def test_should_go_on_with_what_is_new_and_nothing_else(before, table):
    rows = silver(table)
    before.execute(f"UPDATE {table} SET name = 'ONE', at = SYSUTCDATETIME() WHERE id = 1")
    before.execute(f"INSERT INTO {table} (id, name) VALUES (5, 'five')")
    before.execute("EXEC flowforge_clock 'advance', 60000")
    before.load(command(table, "load3"))
    loaded = read_run(f"run_{table}_load3")
    assert (
        loaded["status"] == "succeeded" and loaded["tables"][0]["records"] >= 2
    )  # with the overlap of where it goes on
    new = {(1, "ONE"), (5, "five")}
    old = [row for row in rows if TABLES[table] == "append" or row[0] != 1]
    assert silver(table) == sorted([*old, *new])
    gold = query(f"SELECT count(*) FROM gold.{table}", settings().bucket).rows
    assert gold == [(len(old) + 2,)]


def test_should_go_on_with_the_lineage(before):
    graph = read_graph(settings().bucket)
    for table in TABLES:
        found = graph.find(f"silver.{table}")
        assert {graph.tables[one].alias for one in graph.above(found.id)} == {f"bronze.bronze_{table}"}
        assert {graph.tables[one].alias for one in graph.below(found.id)} == {f"gold.{table}"}
