"""A silver table is made anew from bronze: it equals the one that loads made, and comes back when that one was spoilt."""

import subprocess
import sys
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from deltalake import write_deltalake

from flowforge.aws import items
from flowforge.aws.clients import client
from flowforge.domain.errors import Fatal, NotFound, StoreUnavailable, TransformRejected
from flowforge.domain.given import given
from flowforge.operations.rebuild_silver import RebuiltTable, rebuild_silver
from flowforge.runtime.settings import settings
from flowforge.silver.decisions import decide
from flowforge.silver.refine import refine
from flowforge.silver.release import release
from flowforge.state import batch_records
from flowforge.state.folded import fold
from flowforge.tables.delta.access import storage_options
from flowforge.tables.lake import open_table, table_uri
from tests.helpers.lake import with_footers
from tests.helpers.servers import ROOT
from tests.helpers.waiting import LIMIT_SECONDS, wait_for

SQL_TYPES = {"at": {"sql_type": "datetime2(0)"}}
KEPT_OUT = [{"rule": "range", "column": "v", "max": 100, "severity": "quarantine", "name": "small"}]


def numbers(*rows: tuple[Any, ...], kind: pa.DataType | None = None) -> pa.Table:
    ids, values, days = zip(*rows, strict=True)
    at = pa.array(days, pa.timestamp("s"))
    return pa.table({"id": pa.array(ids, pa.int32()), "v": pa.array(values, kind or pa.int32()), "at": at})


def rebuilt(lake: Any, write: bool = False, **options: Any) -> RebuiltTable:
    return rebuild_silver(lake.bucket, "customers", write, options.pop("rows_per_range", 2), **options)


def rows_of(lake: Any) -> list[dict[str, Any]]:
    return sorted(lake.read("silver", "customers").to_pylist(), key=repr)


def spoil(lake: Any, query: str) -> None:
    """Overwrites the table with what the query makes of its rows, as a person with write access might."""
    rows = lake.read("silver", "customers")
    uri = table_uri(lake.bucket, "silver", "customers")
    with duckdb.connect() as engine:
        engine.register("rows", rows)
        made = engine.sql(query)
        write_deltalake(uri, made, mode="overwrite", schema_mode="overwrite", storage_options=storage_options())


def left_over(lake: Any) -> list[str]:
    found = client("s3").list_objects_v2(Bucket=lake.bucket, Prefix="rebuild/").get("Contents", [])
    return [item["Key"] for item in found]


@pytest.mark.parametrize(
    ("strategy", "deletes", "key", "cursor"),
    [
        ("merge", "hard", ["id"], "at"),
        ("merge", "soft", ["id"], None),
        ("merge", "hard", [], None),
        ("scd2", "soft", ["id"], "at"),
        ("scd2", "soft", ["id"], None),
        ("append", "hard", ["id"], "at"),
        ("append", "hard", [], None),
        ("replace", "hard", ["id"], None),
    ],
)
def test_should_make_the_same_table_anew_with_every_strategy(lake, recorded, strategy, deletes, key, cursor):
    source = lake.source(key=key, cursor=cursor, strategy=strategy, deletes=deletes, rules=KEPT_OUT)
    recorded(source.batch(1, numbers((1, 10, 1), (2, 20, 1), (3, 30, 1)), load="full_refresh"))
    recorded(source.batch(3, numbers((1, 10, 1), (2, 22, 5), (3, 31, 3), (4, 500, 5), (5, 50, 5))))
    recorded(source.batch(2, numbers((1, 10, 1), (2, 21, 3), (3, 31, 3))))
    recorded(source.batch(4, numbers((1, 11, 7), (5, 51, 7)), load="full_refresh"))
    before, version = rows_of(lake), given(open_table(table_uri(lake.bucket, "silver", "customers"))).version()
    quarantine = lake.read("quarantine", "customers").num_rows
    found = rebuilt(lake, write=True)
    assert found.difference.equal, found.document()
    assert (found.version, found.batches) == (None, 4)
    assert given(open_table(table_uri(lake.bucket, "silver", "customers"))).version() == version
    spoil(lake, "SELECT * REPLACE (v + 1 AS v) FROM rows WHERE id <> 2")
    assert rebuilt(lake, write=True).version is not None
    own = (
        {"_generation", "_seq"} if strategy == "append" else set()
    )  # there the batch that came first has brought a row
    kept = [[{k: v for k, v in row.items() if k not in own} for row in rows] for rows in (before, rows_of(lake))]
    assert sorted(kept[0], key=repr) == sorted(kept[1], key=repr)
    assert lake.read("quarantine", "customers").num_rows == quarantine
    assert left_over(lake) == []


@pytest.mark.parametrize("strategy", ["merge", "scd2", "append"])
@pytest.mark.parametrize("lost", [False, True])
def test_should_make_the_same_table_anew_from_batches_that_are_no_longer_recorded(lake, recorded, strategy, lost):
    key = "srv:1/db/dbo.customers>bronze_customers"
    command = {"source_key": key, "requested_key": ["id"] if strategy != "append" else []}
    source = lake.source(key=["id"], strategy=strategy, deletes="soft", columns=SQL_TYPES, **command)
    made = [
        recorded(with_footers(lake, source.batch(1, numbers((1, 10, 1), (2, 20, 1)), load="full_refresh"))),
        recorded(with_footers(lake, source.batch(2, numbers((2, 21, 3), (3, 30, 3))))),
        recorded(source.batch(3, numbers((1, 11, 7), (3, 31, 7)), load="full_refresh")),
    ]
    before = rows_of(lake)
    assert fold(key, made[:2])
    assert [batch.seq for batch in batch_records.all_batches(key)] == [3]
    if lost:
        for item in client("s3").list_objects_v2(Bucket=lake.bucket, Prefix="silver/customers/")["Contents"]:
            client("s3").delete_object(Bucket=lake.bucket, Key=item["Key"])
        items.put(settings().watermarks_table, {"pk": "TABLES", "sk": key, "silver_table": "customers"})
        assert rebuilt(lake, write=True).version is not None
        assert rows_of(lake) == before
        return
    found = rebuilt(lake)
    assert (found.batches, found.difference.equal) == (3, True), found.document()


def test_should_name_what_differs_before_anything_is_replaced(lake, recorded):
    source = lake.source(key=["id"])
    recorded(source.batch(1, numbers(*((n, n, 1) for n in range(1, 7)))))
    before = rows_of(lake)
    spoil(lake, "SELECT * REPLACE (CASE WHEN id = 2 THEN 99 ELSE v END AS v) FROM rows WHERE id <> 5")
    spoilt = rows_of(lake)
    found = rebuilt(lake)
    assert (found.version, found.difference.rows, found.difference.new_rows) == (None, 5, 6)
    told = found.document()
    assert (told["equal"], told["ranges_compared"]) == (False, 3)
    first, last = told["ranges"]
    assert (first["first"], first["last"], first["changed"], first["examples"]) == ("1", "2", 1, ["2"])
    assert (last["missing"], last["rows"], last["new_rows"], last["examples"]) == (1, 1, 2, ["5"])
    assert first["checksum"] != first["new_checksum"]
    assert rows_of(lake) == spoilt
    rebuilt(lake, write=True)
    assert rows_of(lake) == before
    again = batch_records.find_batch("srv/db/dbo.customers/bronze_customers", 1, 1)
    assert not given(again).published  # the sweeper tells of it again, so that gold follows


def test_should_bring_back_types_that_a_person_has_spoilt(lake, recorded):
    source = lake.source(key=["id"])
    money = pa.decimal128(12, 2)
    recorded(source.batch(1, numbers((1, Decimal("13.44"), 1), (2, Decimal("0.10"), 1), kind=money)))
    before = rows_of(lake)
    spoil(lake, "SELECT * REPLACE (CAST(v AS FLOAT) AS v) FROM rows")
    found = rebuilt(lake, write=True)
    assert found.difference.columns == ["column v is REAL, bronze makes it DECIMAL(12,2)"]
    assert rows_of(lake) == before
    refine(source.batch(2, numbers((3, Decimal("7.00"), 2), kind=money)), lake.bucket)
    assert refine(source.batch(1, numbers((1, Decimal("13.44"), 1), kind=money)), lake.bucket).already_applied


@pytest.mark.parametrize("lost", ["a file", "the table"])
def test_should_bring_back_a_table_whose_objects_are_lost(lake, recorded, lost):
    source = lake.source(key=["id"])
    first = recorded(source.batch(1, numbers((1, 1, 1), (2, 2, 1))))
    recorded(source.batch(2, numbers((2, 3, 2))))
    before = rows_of(lake)
    prefix = "silver/customers/" + ("part-" if lost == "a file" else "")
    for item in client("s3").list_objects_v2(Bucket=lake.bucket, Prefix=prefix)["Contents"]:
        client("s3").delete_object(Bucket=lake.bucket, Key=item["Key"])
    if lost == "the table":
        items.put(settings().watermarks_table, {"pk": "TABLES", "sk": first.source_key, "silver_table": "customers"})
    assert rebuilt(lake).difference.unreadable
    rebuilt(lake, write=True)
    assert rows_of(lake) == before
    assert refine(first, lake.bucket).already_applied


def test_should_keep_what_a_person_has_decided(lake, recorded):
    source = lake.source(key=["id"], schema_mode="contract")
    recorded(source.batch(1, numbers((1, 7, 1))))
    decide(lake.bucket, "customers", {"v": "nvarchar(10)"}, 1 << 40 | 2, False)
    recorded(source.batch(2, numbers((2, "x", 2), kind=pa.string()).append_column("more", pa.array([5]))))
    before = rows_of(lake)
    assert rebuilt(lake).difference.equal
    spoil(lake, "SELECT * FROM rows WHERE id = 1")
    rebuilt(lake, write=True)
    assert rows_of(lake) == before
    with pytest.raises(TransformRejected, match="has a contract"):
        refine(source.batch(3, numbers((3, "y", 3), kind=pa.string())), lake.bucket)


def test_should_take_in_loads_that_come_meanwhile(lake, recorded):
    source = lake.source(key=["id"])
    recorded(source.batch(1, numbers((1, 1, 1), (2, 2, 1))))
    spoil(lake, "SELECT * FROM rows WHERE id = 1")
    coming = [source.batch(2, numbers((3, 3, 2))), source.batch(3, numbers((1, 10, 3)))]

    def meanwhile(told: str) -> None:
        if told == "replacing …" and coming:
            recorded(coming.pop(0))

    found = rebuilt(lake, write=True, progress=meanwhile)
    assert (found.batches, coming) == (3, [])
    assert [(row["id"], row["v"]) for row in rows_of(lake)] == [(1, 10), (2, 2), (3, 3)]
    assert rebuilt(lake).difference.equal


def test_should_leave_out_what_silver_has_refused(lake, recorded):
    source = lake.source(key=["id"])
    recorded(source.batch(1, numbers((1, 1, 1))))
    recorded(source.batch(2, numbers((2, 2, 2))), applied=False)
    found = rebuilt(lake)
    assert (found.batches, found.difference.equal) == (1, True)


def test_should_stop_when_rows_are_released_meanwhile(lake, recorded):
    source = lake.source(key=["id"], rules=KEPT_OUT)
    batch = recorded(source.batch(1, numbers((1, 1, 1), (2, 200, 1))))
    spoil(lake, "SELECT * REPLACE (v + 1 AS v) FROM rows")

    def meanwhile(told: str) -> None:
        if told == "replacing …":
            release(batch, lake.bucket, [])

    with pytest.raises(StoreUnavailable, match="released from quarantine meanwhile"):
        rebuilt(lake, write=True, progress=meanwhile)
    rebuilt(lake, write=True)
    assert [(row["id"], row["v"]) for row in rows_of(lake)] == [(1, 1), (2, 200)]


def test_should_refuse_to_make_a_table_smaller_because_records_are_lost(lake, recorded):
    source = lake.source(key=["id"])
    recorded(source.batch(1, numbers((1, 1, 1))))
    refine(source.batch(2, numbers((2, 2, 2))), lake.bucket)
    with pytest.raises(Fatal, match="1 rows of 1 batches that are not recorded") as refusal:
        rebuilt(lake, write=True)
    assert "watermark rebuild" in refusal.value.remedy
    with pytest.raises(NotFound):
        rebuild_silver(lake.bucket, "no_such_table", False, 10)


def test_should_leave_the_table_alone_when_it_is_killed(lake, recorded):
    source = lake.source(key=["id"])
    for seq in range(1, 9):
        recorded(source.batch(seq, numbers((seq, seq, seq), (100, seq, seq))))
    spoil(lake, "SELECT * FROM rows WHERE id < 5")
    spoilt, version = rows_of(lake), given(open_table(table_uri(lake.bucket, "silver", "customers"))).version()
    worker = subprocess.Popen(
        [sys.executable, "-m", "tests.helpers.rebuild_worker", lake.bucket, "customers"], cwd=ROOT
    )
    wait_for(lambda: left_over(lake) or worker.poll() is not None, "the table that is being made")
    worker.kill()
    worker.wait(LIMIT_SECONDS)
    assert (rows_of(lake), given(open_table(table_uri(lake.bucket, "silver", "customers"))).version()) == (
        spoilt,
        version,
    )
    rebuilt(lake, write=True)
    assert {row["id"] for row in rows_of(lake)} == {*range(1, 9), 100}
