"""Upkeep: fewer files, the same rows, whoever else writes; earlier versions as long as they are kept."""

import json
import subprocess
import sys
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from events.commands import MaintainTable
from flowforge.domain.errors import NotFound, QueryRefused
from flowforge.domain.given import given
from flowforge.domain.names import TableName
from flowforge.gold.build import Built, build
from flowforge.gold.models import read_model
from flowforge.operations.query import query
from flowforge.operations.upkeep import maintain, maintained_tables, tidy
from flowforge.silver.refine import refine
from flowforge.tables.base import once
from flowforge.tables.lake import open_table, table_uri
from tests.helpers.lake import delta_table
from tests.helpers.servers import ROOT
from tests.helpers.waiting import LIMIT_SECONDS

NAME = TableName("silver", "customers")
WORKER = ROOT / "tests" / "helpers" / "upkeep_worker.py"


def people(*rows: tuple[int, str]) -> pa.Table:
    return pa.table({"id": pa.array([row[0] for row in rows], pa.int64()), "name": [row[1] for row in rows]})


def fill(lake, batches: int):
    source = lake.source(key=["id"], strategy="append", cursor="id")
    for seq in range(1, batches + 1):
        refine(source.batch(seq, people((seq, f"n{seq}"))), lake.bucket)
    return source


def rows(lake) -> list[tuple[int, str]]:
    return sorted((row["id"], row["name"]) for row in lake.read("silver", "customers").to_pylist())


def test_should_merge_small_files_and_tell_what_was_before_and_after(lake):
    fill(lake, 5)
    before = rows(lake)
    done = maintain(NAME, lake.bucket, 168)
    assert (done.before.files, done.before.small, done.compacted) == (5, 5, 5)
    assert (done.after.files, done.after.objects, done.deleted) == (1, 6, 0)
    assert rows(lake) == before
    assert maintain(NAME, lake.bucket, 168).compacted == 0


def test_should_keep_types_columns_and_the_statistics_that_merges_prune_by(lake):
    source = lake.source(key=["id"])
    at = pa.array([datetime(2024, 1, 2)], pa.timestamp("us"))
    refine(source.batch(1, people((1, "a"))), lake.bucket)
    refine(source.batch(2, people((5, "b")).append_column("at", at)), lake.bucket)
    before = delta_table(table_uri(lake.bucket, "silver", "customers"))
    maintain(NAME, lake.bucket, 168)
    after = delta_table(table_uri(lake.bucket, "silver", "customers"))
    assert after.schema() == before.schema()
    assert len(after.file_uris()) == 1
    actions = after.get_add_actions(flatten=True)
    assert (actions["min.id"].to_pylist(), actions["max.id"].to_pylist(), actions["num_records"].to_pylist()) == (
        [1],
        [5],
        [2],
    )
    result = refine(
        source.batch(3, people((5, "c"), (6, "d")).append_column("at", pa.array([None, None], at.type))), lake.bucket
    )
    assert (result.inserted, result.updated) == (1, 1)


def test_should_know_a_batch_that_comes_again_after_the_upkeep(lake):
    source = fill(lake, 1)
    table = given(open_table(table_uri(lake.bucket, "silver", "customers")))
    table.set_properties({"delta.checkpointInterval": "1000"}, once())  # as its owner wants it
    for seq in range(2, 22):
        refine(source.batch(seq, people((seq, f"n{seq}"))), lake.bucket)
    assert tidy(NAME, lake.bucket, 0).checkpoint
    assert given(open_table(table.uri)).properties()["delta.checkpointInterval"] == "1000"
    before = rows(lake)
    assert refine(source.batch(3, people((3, "n3"))), lake.bucket).already_applied
    assert rows(lake) == before


def test_should_delete_what_no_kept_version_needs_and_nothing_younger(lake):
    source = lake.source(key=["id"])
    for seq in (1, 2, 3):
        refine(source.batch(seq, people((1, f"n{seq}"))), lake.bucket)
    orphan = "silver/customers/part-of-a-commit-that-failed.parquet"
    lake.s3.put_object(Bucket=lake.bucket, Key=orphan, Body=b"x")
    assert maintain(NAME, lake.bucket, 24).deleted == 0
    done = tidy(NAME, lake.bucket, 0)
    assert done.deleted >= 3
    assert done.after.objects == done.after.files == 1
    assert rows(lake) == [(1, "n3")]


def test_should_refuse_a_retention_that_runs_and_readers_may_outlive(lake):
    fill(lake, 1)
    with pytest.raises(QueryRefused, match="too short"):
        maintain(NAME, lake.bucket, 23)
    with pytest.raises(NotFound, match=r"no table silver\.nothing"):
        maintain(TableName("silver", "nothing"), lake.bucket, 168)
    assert maintained_tables(lake.bucket) == [NAME]


def test_should_lose_and_double_nothing_beside_merges_and_other_upkeep(lake):
    """Processes, as on AWS: batches are merged while two others compact and vacuum without pause."""
    source = lake.source(key=["id"])
    refine(source.batch(1, people((10, "new"))), lake.bucket)
    keepers = [_start(lake.bucket, "customers") for _ in range(2)]
    try:
        for keeper in keepers:
            assert given(keeper.stdout).readline() == "ready\n"
        for seq in range(2, 8):
            changed = people((seq * 10, "new")) if seq % 2 else people((seq * 10 - 10, f"seq {seq}"), (seq * 10, "new"))
            refine(source.batch(seq, changed), lake.bucket)
    finally:
        told = [keeper.communicate("stop\n", timeout=LIMIT_SECONDS)[0] for keeper in keepers]
    assert rows(lake) == [
        (10, "seq 2"), (20, "new"), (30, "seq 4"), (40, "new"), (50, "seq 6"), (60, "new"), (70, "new")
    ]  # fmt: skip
    assert sum(json.loads(text)["compacted"] for text in told) > 0


def _start(*arguments: str) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, str(WORKER), *arguments], stdin=pipe, stdout=pipe, text=True)


def test_should_make_no_model_stale(lake):
    fill(lake, 3)
    model = read_model("n", "SELECT count(*) AS n FROM silver.customers")
    build(model, lake.bucket)
    maintain(NAME, lake.bucket, 168)
    again = build(model, lake.bucket)
    assert isinstance(again, Built)
    assert again.how == "unchanged"
    table = open_table(table_uri(lake.bucket, "silver", "customers"))
    assert given(table).data_version() < given(table).version()


def test_should_answer_as_of_a_version_or_a_time(lake):
    source = lake.source(key=["id"])
    refine(source.batch(1, people((1, "one"))), lake.bucket)
    version = given(open_table(table_uri(lake.bucket, "silver", "customers"))).version()
    between = datetime.now(UTC)
    refine(source.batch(2, people((1, "two"))), lake.bucket)
    sql = "SELECT name FROM silver.customers"
    assert query(sql, lake.bucket, version).rows == [("one",)]
    assert query(sql, lake.bucket, between).rows == [("one",)]
    assert query(sql, lake.bucket, datetime.now(UTC)).rows == [("two",)]
    with pytest.raises(NotFound, match=r"silver\.customers begins at"):
        query(sql, lake.bucket, datetime(2020, 1, 1, tzinfo=UTC))
    with pytest.raises(NotFound, match="no version 99: its newest one is"):
        query(sql, lake.bucket, 99)
    with pytest.raises(QueryRefused, match="one table's own"):
        query("SELECT 1 AS n FROM silver.customers a, silver.others b", lake.bucket, 1)
    with pytest.raises(QueryRefused, match=r"bronze\.bronze_customers has no versions"):
        query("SELECT * FROM bronze.bronze_customers", lake.bucket, between)
    tidy(NAME, lake.bucket, 0)
    with pytest.raises(NotFound, match="have been vacuumed"):
        query(sql, lake.bucket, version)


def test_should_do_the_upkeep_of_one_table_by_a_message(lake, monkeypatch):
    from flowforge.operations.upkeep_step import maintain_one

    fill(lake, 9)
    monkeypatch.setenv("FLOWFORGE_BUCKET", lake.bucket)
    maintain_one(MaintainTable(layer="silver", table="customers"))
    maintain_one(MaintainTable(layer="silver", table="gone"))
    assert len(given(open_table(table_uri(lake.bucket, "silver", "customers"))).file_uris()) == 1
