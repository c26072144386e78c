"""A large table shows how far it has come, while it goes on: by its slices, or by the heartbeat of the worker that reads it."""

import io
import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from rich.console import Console

from events.commands import IngestSlice
from events.envelopes import eventbridge, http, sqs
from events.facts import BronzeLanded
from flowforge.bronze.ingest import ingest
from flowforge.bronze.ingest_slice import ingest_slice
from flowforge.cli import rendering
from flowforge.state import runs
from functions.track_run.handler import handler
from functions.watermark.handler import handler as watermark
from tests.helpers.loads import MANY
from tests.helpers.waiting import wait_for


def tell(context, *facts) -> None:
    """Tells track_run, as the bus does."""
    for fact in facts:
        handler(sqs(eventbridge(type(fact).__name__, fact.model_dump(mode="json"))), context)


def shown(run_id: str) -> tuple[str, str]:
    """The status of a run's only table, and what a person sees of the run."""
    told = runs.read_run(run_id)
    console = Console(file=(written := io.StringIO()), width=160)
    console.print(rendering.run_summary(told), rendering.table_line(told["tables"][0]))
    return told["tables"][0]["status"], written.getvalue()


@pytest.fixture
def track(aws, monkeypatch) -> None:
    aws.use("TrackQueue", "TrackDeadLetters", monkeypatch)


def test_should_tell_the_rows_of_a_table_that_is_read_at_once_with_its_heartbeat(loads, context, monkeypatch):
    monkeypatch.setenv("FLOWFORGE_LEASE_SECONDS", "2")
    load = loads(rows="INSERT INTO {t} SELECT transaction_id, '2024-01-01' FROM transactions")
    load.execute("INSERT INTO {t} SELECT transaction_id + 10000000, '2024-01-01' FROM transactions")
    load.execute("EXEC flowforge_fault 'stall', 9000, 1, 'FROM [dbo].[{t}]'")
    path, route = f"/api/watermarks/bronze_{load.name}", "/api/watermarks/{table}"

    def told() -> dict | None:
        active = json.loads(watermark(http("GET", path, route), context)["body"]).get("active_batch") or {}
        return active if active.get("rows_so_far") else None

    with ThreadPoolExecutor(1) as pool:
        loading = pool.submit(ingest, load.command("one", None))
        try:
            active = wait_for(told, "a heartbeat with rows", 60)
        finally:
            load.execute("EXEC flowforge_fault 'none'")
        (fact,) = loading.result().facts
    assert isinstance(fact, BronzeLanded)
    assert 0 < active["rows_so_far"] < fact.records == 10_000
    assert (active["run_id"], active["state"]) == (fact.run_id, "claimed")
    assert active["claimed_at"] <= time.time()


@pytest.mark.usefixtures("sliced", "track")
def test_should_show_the_slices_that_have_been_read_and_their_rows(loads, context):
    load = loads(rows=MANY)
    command = load.command("one", None)
    runs.open_run(command.run_id, "w", "j", "one", "http", [(command.bronze.table, load.name)])
    queued = ingest(command)
    tell(context, *queued.progress)
    status, text = shown(command.run_id)
    assert status == "reading"
    assert text.count("reading, 0 of 5 slices, 0 rows so far") == 2
    slices = [IngestSlice.model_validate(message["body"]) for message in load.aws.messages("SliceQueue")]
    outcomes = [ingest_slice(one) for one in slices[:3]]
    tell(context, *(fact for outcome in reversed(outcomes) for fact in outcome.progress))
    assert "3 of 5 slices" in shown(command.run_id)[1]
    tell(context, *queued.progress)  # told again, late
    assert "3 of 5 slices" in shown(command.run_id)[1]
    tell(context, *(fact for one in slices[3:] for fact in ingest_slice(one).facts))
    status, text = shown(command.run_id)
    assert (status, "so far" in text, "9 rows" in text) == ("landed", False, True)
