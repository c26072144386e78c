"""History that ends: what stays of a table however long it is loaded, and what never goes.

Time passes by what is stored growing older.
"""

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import boto3
import pytest

from events.facts import IntervalEmpty
from events.targets import SilverTarget
from flowforge.aws import items
from flowforge.bronze.announcements import landed_fact
from flowforge.bronze.footing import is_known
from flowforge.domain.batch import Batch
from flowforge.domain.errors import NotFound
from flowforge.domain.interval import Interval
from flowforge.domain.manifest import BronzeObject, Manifest
from flowforge.domain.source_columns import SourceColumn
from flowforge.domain.source_key import SourceKey
from flowforge.operations.folding import NEWEST_KEPT, fold_history
from flowforge.operations.watermarks import show
from flowforge.runtime.settings import settings
from flowforge.state import batch_records, batches, claims, corrections, lake_head, outbox, run_stories, runs, table
from flowforge.state.expiry import DAY, EXPIRES_AT
from flowforge.state.run_list import list_runs
from functions.watermark.handler import handler as watermark
from tests.helpers.commands import command
from tests.helpers.server_clock import is_past
from tests.helpers.waiting import wait_for
from tests.helpers.write_state import Writing

pytestmark = pytest.mark.timeout(600)
OLD, YOUNG = 100, 80  # days; ninety are kept
QUIET_BYTES, CHANGED_BYTES, TABLE_BYTES, STEPS_BYTES = (
    700,
    6_500,
    2_000,
    250,
)  # docs/operations.md, "What is remembered, and for how long"
INTERVAL = Interval(column="modified", sql_type="datetime", low=None, high="2025-01-01 00:00:00.000")


class Table:
    """A table whose loads are told by their steps' own writes."""

    def __init__(self, name: str):
        self.name, self.number = name, 0
        self.key = str(SourceKey.of(command(name, "r").connection, "dbo", name, f"bronze_{name}"))

    def open_run(self) -> tuple[str, str]:
        """A run as a request opens it; returns its id and its batch's."""
        self.number += 1
        run = f"run_{self.name}_{self.number:06d}"
        batch_id = f"batch_20251108_061208_{run[-6:]}"
        runs.open_run(run, "wf", "job", batch_id, "api", [(f"bronze_{self.name}", f"dbo.{self.name}")])
        return run, batch_id

    def quiet(self) -> str:
        """A run that finds nothing new."""
        run, _ = self.open_run()
        fact = IntervalEmpty(
            run_id=run, bronze_table=f"bronze_{self.name}", source_key=self.key, generation=1, seq=1,
            source_table=f"dbo.{self.name}", reason="no rows", promise="exact", claimed=False,
        )  # fmt: skip
        run_stories.record(fact)
        return run

    def claim(self, **silver: Any) -> Batch:
        wanted = command(self.name, *self.open_run())
        wanted = wanted.model_copy(update={"silver": SilverTarget.model_validate(wanted.silver.model_dump() | silver)})
        return claims.claim(table.read_state(self.key), wanted, f"dbo.{self.name}", INTERVAL, {"object_id": 7}, [])

    def commit(self, batch: Batch) -> Batch:
        key = f"bronze/{batch.command.bronze.table}/{batch.label}.parquet"
        held = [BronzeObject(key=key, etag='"e"', rows=3, bytes=9)]
        columns = [SourceColumn(name="id", sql_type="int")]
        landed = batches.land(batch, Manifest(bucket="lake", objects=held, rows=3, bytes=9, columns=columns))
        run_stories.record(landed_fact(landed))
        batches.commit(landed)
        return landed

    def changed(self, quarantined: int = 0, **silver: Any) -> Batch:
        """A load that brings rows as far as gold."""
        batch = self.commit(self.claim(**silver))
        batches.mark(batch, refined=True, quarantined=quarantined)
        batches.mark(batch, published=True)
        return batch

    def grow_older(self, days: float) -> None:
        """Makes all that is stored of the table's batches and runs older."""
        for item in batch_records.all_stored(self.key):
            _earlier(settings().watermarks_table, item, {"updated_at": item["updated_at"] - days * DAY})
        for n in range(1, self.number + 1):
            run = f"run_{self.name}_{n:06d}"
            for item in items.query(settings().runs_table, "pk = :pk", {":pk": run}):
                changes: dict[str, Any] = {EXPIRES_AT: item[EXPIRES_AT] - int(days * DAY)} if EXPIRES_AT in item else {}
                if "accepted_at" in item:
                    at = datetime.fromisoformat(item["accepted_at"]) - timedelta(days=days)
                    changes["accepted_at"] = at.isoformat(timespec="milliseconds")
                _earlier(settings().runs_table, item, changes)

    def stored(self) -> list[items.Item]:
        """All items of the table and its runs."""
        own = [*items.scan(settings().watermarks_table), *items.scan(settings().runs_table)]
        return [item for item in own if self.name in item["pk"] or self.name in item["sk"]]

    def numbers(self) -> list[int]:
        return [item["seq"] for item in batch_records.all_stored(self.key)]


def _earlier(table: str, item: items.Item, changes: dict[str, Any]) -> None:
    items.put(table, item | changes)


@pytest.fixture
def make(aws, unique) -> Callable[[], Table]:
    return lambda: Table(unique("t"))


def fold(context) -> dict[str, int]:
    """A round of the function, and one with time for the tables of all other tests, too."""
    total = Counter(watermark({"fold": True}, context))
    total.update(fold_history(budget_seconds=600))
    assert total["failed"] == 0
    return dict(total)


def test_should_keep_no_more_however_often_a_table_is_loaded(make, context):
    table, sizes = make(), []
    for loads in (NEWEST_KEPT + 5, 5):
        for _ in range(loads):
            table.changed()
            table.quiet()
        table.grow_older(OLD)
        fold(context)
        sizes.append((len(table.stored()), sum(map(items.size_of, table.stored()))))
    assert (
        sizes[0][0] == sizes[1][0] == 3 * NEWEST_KEPT + 5
    )  # each batch with its run and label; state, sums, names, owners
    assert abs(sizes[1][1] - sizes[0][1]) < 100
    sums = show(f"bronze_{table.name}")["folded"]
    assert (sums["batches"], sums["records"]) == (10, 3 * 10)


def test_should_store_no_more_for_a_load_than_operations_say(aws, loads, monkeypatch):
    """The figures of docs/operations.md, by the functions' own writes."""
    for name in ("FLOWFORGE_QUEUE_URL", "FLOWFORGE_DEAD_LETTER_QUEUE_URL"):
        monkeypatch.setenv(name, "")  # what the chain sets is undone
    load, chain = loads(), Writing(aws.name, None)
    for queue in ("Ingest", "Watermark", "Refine", "Publish", "Track", "Lineage"):
        chain.take(queue)
    found = {}
    for run in ("first", "changed", "quiet"):
        if run == "changed":
            changed_at = str(load.watermark())
            load.execute(f"UPDATE {{t}} SET at = '{changed_at}' WHERE id = 30")
            # Else the quiet load reads the row again.
            wait_for(partial(is_past, load.server, changed_at, seconds=3), "the server's clock to pass the row")
        before = _sizes(load.name)
        wanted = load.command(run)
        chain.load(wanted.model_copy(update={"batch_id": f"batch_20251108_061208_{wanted.run_id[-6:]}"}))
        after = _sizes(load.name)
        added = {key: size for key, size in after.items() if key not in before}
        assert sum(size for (_, sk), size in added.items() if sk.startswith("STEPS#")) < STEPS_BYTES
        of_the_run = {"RUN", "NAMES#00000000"} | {sk for _, sk in added if sk.startswith("STEPS#")}
        new = [size for (_, sk), size in added.items() if sk not in of_the_run]
        found[run] = (len(new), sum(new))
    assert found["quiet"][0] == 1 and found["quiet"][1] < QUIET_BYTES, found
    assert found["changed"][0] == 4 and found["changed"][1] < CHANGED_BYTES, found
    assert sum(size for (_, sk), size in after.items() if sk in ("STATE", "FOLDED")) < TABLE_BYTES


def _sizes(name: str) -> dict[tuple[str, str], int]:
    own = [*items.scan(settings().watermarks_table), *items.scan(settings().runs_table)]
    return {(one["pk"], one["sk"]): items.size_of(one) for one in own if name in one["pk"] or name in one["sk"]}


def test_should_keep_what_is_younger_than_the_history(make, context):
    table = make()
    for _ in range(NEWEST_KEPT + 5):
        table.changed()
    table.grow_older(YOUNG)
    count = len(table.stored())
    fold(context)
    assert len(table.stored()) == count
    assert runs.read_run(f"run_{table.name}_000001")["tables"][0]["records"] == 3


def test_should_keep_the_newest_that_has_landed_however_old(make, context):
    table = make()
    landed = table.changed()
    for _ in range(NEWEST_KEPT + 5):
        batches.close_empty(table.claim())
    table.grow_older(10 * OLD)
    fold(context)
    assert table.numbers() == [1, *range(7, NEWEST_KEPT + 7)]
    newest = batch_records.newest(table.key, lambda batch: batch.manifest is not None)
    assert newest and newest.claim == landed.claim


def _voided(one: Table) -> None:
    batch = one.claim()
    held = Manifest(
        bucket="lake", objects=[BronzeObject(key="k", etag='"e"', rows=1, bytes=1)], rows=1, bytes=1, columns=[]
    )
    batches.land(batch, held)
    corrections.set_watermark(_state(one), "modified", "2024-01-01", "again")


@pytest.mark.parametrize(
    "leave",
    [
        pytest.param(lambda table: table.commit(table.claim()), id="silver lacks it"),
        pytest.param(lambda table: table.changed(quarantined=2), id="rows in quarantine"),
        pytest.param(_voided, id="voided by hand after it had landed"),
    ],
)
def test_should_keep_what_somebody_may_still_need(make, context, leave):
    table = make()
    table.changed()
    leave(table)
    for _ in range(NEWEST_KEPT):
        table.changed()
    table.grow_older(OLD)
    fold(context)
    assert 2 in table.numbers() and 1 not in table.numbers()


def _state(one: Table) -> table.TableState:
    return table.read_state(one.key)


def test_should_fold_records_of_a_version_before_unless_rules_may_have_kept_rows_out(make, context):
    one = make()
    rule = {"rule": "not_null", "column": "id", "severity": "quarantine"}
    one.changed()
    one.changed(quality_rules=[rule])
    for _ in range(NEWEST_KEPT):
        one.changed()
    for item in batch_records.all_stored(one.key):
        before = {name: value for name, value in item.items() if name not in ("quarantined", "footers")}
        items.put(settings().watermarks_table, before)
    one.grow_older(OLD)
    fold(context)
    assert one.numbers() == list(range(2, NEWEST_KEPT + 3))


def test_should_know_an_older_lake_by_a_batch_that_was_folded(make, context):
    one = make()
    first = one.changed()
    for _ in range(NEWEST_KEPT):
        one.changed()
    one.grow_older(OLD)
    fold(context)
    head = lake_head.Head(source_key=one.key, epoch=first.epoch, generation=1, seq=1, claim=first.claim)
    assert batch_records.find_batch(one.key, 1, 1) is None
    assert is_known(_state(one), head)
    assert not is_known(_state(one), head.model_copy(update={"epoch": "another"}))


def test_should_give_no_object_name_twice_that_a_client_has_given(make, context):
    one = make()
    wanted = command(one.name, one.open_run()[0], "nightly")
    first = claims.claim(_state(one), wanted, f"dbo.{one.name}", INTERVAL, {}, [])
    batches.mark(one.commit(first), refined=True, quarantined=0, published=True)
    for _ in range(NEWEST_KEPT):
        one.changed()
    one.grow_older(OLD)
    fold(context)
    assert 1 not in one.numbers()
    again = claims.claim(_state(one), command(one.name, "other", "nightly"), f"dbo.{one.name}", INTERVAL, {}, [])
    assert again.label == f"nightly~{again.seq}"


def test_should_take_a_run_for_gone_as_soon_as_its_time_is_over(make, context):
    one = make()
    run = one.quiet()
    one.grow_older(91)
    with pytest.raises(NotFound, match=run):
        runs.read_run(run)
    assert run not in {found["run_id"] for found in list_runs(200)["runs"]}


def test_should_forget_no_run_whose_tables_are_not_queued(make, context):
    one = make()
    run, _ = one.open_run()
    outbox.keep(run, [command(one.name, run)])
    one.grow_older(OLD)
    fold(context)
    assert outbox.kept(run)[0]
    outbox.forget(run)
    fold(context)
    assert not list(items.query(settings().runs_table, "pk = :pk", {":pk": run}))


def test_should_have_the_table_remove_runs_by_itself(aws):
    told = boto3.client("dynamodb").describe_time_to_live(TableName=aws.name("Runs"))["TimeToLiveDescription"]
    assert (told["TimeToLiveStatus"], told["AttributeName"]) == ("ENABLED", EXPIRES_AT)
