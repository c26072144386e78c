"""What a merge reads and writes, whatever else happens: only touched files, all of a batch or nothing, any number of rows."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowforge.domain.given import given as present
from flowforge.operations.query import query
from flowforge.silver.refine import refine
from flowforge.tables.lake import open_table, table_uri
from tests.helpers.aws_proxy import AwsProxy, Call, Fault
from tests.helpers.servers import ROOT
from tests.helpers.waiting import LIMIT_SECONDS

WORKER = ROOT / "tests" / "helpers" / "lake_worker.py"


def rows(first: int, last: int, name: str, key: Callable[[int], Any] = int) -> pa.Table:
    ids = range(first, last + 1)
    return pa.table({"id": [key(n) for n in ids], "name": [name] * len(ids)})


def files(lake: Any) -> list[str]:
    return sorted(present(open_table(table_uri(lake.bucket, "silver", "customers"))).file_uris())


def silver(lake: Any) -> dict[Any, str]:
    return {row["id"]: row["name"] for row in lake.read("silver", "customers").to_pylist()}


@pytest.mark.parametrize("key", [int, "key-{}".format], ids=["numbers", "texts"])
def test_should_leave_the_files_alone_that_hold_no_row_of_the_batch(lake, key):
    source = lake.source(key=["id"])
    refine(source.batch(1, rows(1, 50, "old", key)), lake.bucket)
    (first,) = files(lake)
    refine(source.batch(2, rows(101, 150, "old", key)), lake.bucket)
    assert len(files(lake)) == 2
    result = refine(source.batch(3, rows(150, 151, "new", key)), lake.bucket)
    assert (result.inserted, result.updated, result.silver_rows) == (1, 1, 101)
    assert len(files(lake)) == 2, "the added row went into the file that was rewritten anyway"
    assert first in files(lake)
    before = files(lake)
    assert refine(source.batch(2, rows(1, 5, "late", key), label="late"), lake.bucket).already_applied
    refine(source.batch(1, rows(1, 50, "later", key), generation=0), lake.bucket)
    assert files(lake) == before, "no row changed, so no file did"
    assert silver(lake) == {key(n): "new" if n >= 150 else "old" for n in [*range(1, 51), *range(101, 152)]}


def test_should_drop_a_file_of_which_every_row_is_removed(lake):
    source = lake.source(key=["id"])
    refine(source.batch(1, rows(1, 3, "a")), lake.bucket)
    refine(source.batch(2, rows(11, 13, "a")), lake.bucket)
    result = refine(source.batch(3, pa.table({"id": [11], "name": ["b"]}), load="full_refresh"), lake.bucket)
    assert (result.updated, result.deleted, result.silver_rows) == (1, 5, 1)
    assert silver(lake) == {11: "b"}
    assert refine(source.batch(4, rows(12, 12, "c"), load="full_refresh"), lake.bucket).silver_rows == 1
    assert silver(lake) == {12: "c"}


def test_should_merge_more_cells_than_are_held_in_memory(lake):
    def wide(first: int, last: int, value: int) -> pa.Table:
        count = last - first + 1
        return pa.table({"id": range(first, last + 1)} | {f"c{n}": pa.array([value] * count) for n in range(200)})

    source = lake.source(key=["id"])
    refine(source.batch(1, wide(1, 10, 1)), lake.bucket)
    refine(source.batch(2, wide(300_001, 300_010, 1)), lake.bucket)
    result = refine(source.batch(3, wide(6, 260_000, 3)), lake.bucket)
    assert (result.inserted, result.updated, result.silver_rows) == (259_990, 5, 260_010)
    assert len(files(lake)) == 2
    ids = "SELECT count(*), count(DISTINCT id) FROM silver.customers"
    assert [tuple(row) for row in query(ids, lake.bucket).rows] == [(260_010, 260_010)]
    old = query("SELECT id FROM silver.customers WHERE c199 = 1 ORDER BY id", lake.bucket).rows
    assert [key for (key,) in old] == [1, 2, 3, 4, 5, *range(300_001, 300_011)]


def blobs(first: int, last: int, size: int) -> pa.Table:
    ids = range(first, last + 1)
    return pa.table({"id": list(ids), "content": [os.urandom(size) for _ in ids]})


@pytest.fixture
def proxy(s3_variables: dict[str, str]):
    with AwsProxy(s3_variables.get("AWS_ENDPOINT_URL_S3") or s3_variables["AWS_ENDPOINT_URL"]) as found:
        yield found


@pytest.mark.parametrize(
    ("dies", "size", "written"),
    [("between portions", 3_600_000, 1), ("before the commit", 10, 1), ("after the commit", 10, 1)],
)
def test_should_hold_the_version_before_or_all_of_the_batch_when_killed(lake, proxy, dies, size, written):
    source = lake.source(key=["id"])
    for seq in (1, 2):
        refine(source.batch(seq, blobs(100 * seq, 100 * seq + 9, size)), lake.bucket)
    before = files(lake)
    batch = source.batch(3, pa.table({"id": [100, 200, 300], "content": [b"new"] * 3}))
    worker = subprocess.Popen(
        [sys.executable, str(WORKER), lake.bucket, batch.model_dump_json()],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"AWS_ENDPOINT_URL_S3": proxy.url},
    )  # fmt: skip
    completed: list[str] = []

    def rule(call: Call) -> Fault | None:
        if call.operation == "S3.PUT" and re.search(r"silver/customers/_delta_log/\d+\.json", call.path):
            return Fault(dies.split()[0], worker.kill)
        ends_file = call.operation == ("S3.POST" if size > 1_000_000 else "S3.PUT") and "uploads=" not in call.path
        if ends_file and "silver/customers/part-" in call.path:
            completed.append(call.path)
            return Fault("after", worker.kill) if dies == "between portions" else None
        return None

    proxy.rule = rule
    try:
        assert present(worker.stdout).readline() == "ready\n", present(worker.stderr).read()
        worker.communicate("go\n", timeout=LIMIT_SECONDS)
        assert worker.returncode == -9
    finally:
        worker.kill()
        worker.wait()
    assert len(completed) == written, "files were written before it died"
    assert (files(lake) == before) == (dies != "after the commit")
    result = refine(batch, lake.bucket)
    assert (result.inserted, result.updated, result.silver_rows) == (1, 2, 21)
    assert result.already_applied == (dies == "after the commit")
    found = query("SELECT id, octet_length(content) FROM silver.customers ORDER BY id", lake.bucket).rows
    lengths = dict.fromkeys([*range(100, 110), *range(200, 210)], size) | dict.fromkeys((100, 200, 300), 3)
    assert [tuple(row) for row in found] == list(lengths.items())


ROWS = st.dictionaries(st.tuples(st.integers(0, 7), st.sampled_from("xy")), st.none() | st.integers(0, 3), max_size=6)
BATCHES = st.lists(st.tuples(ROWS, st.booleans()), min_size=2, max_size=5)


def naive(batches: list[tuple[int, dict, bool]], strategy: str, deletes: str) -> dict[Any, Any]:
    """The simplest thing that can be right: batches applied to a dictionary in their order."""
    held: dict[Any, Any] = {}
    for seq, found, is_full in sorted(batches, key=lambda batch: batch[0]):
        if strategy == "append":
            held |= {(*key, at): (seq, False) for key, at in found.items() if (*key, at) not in held}
            continue
        gone = set(held) - set(found) if is_full else set()
        held = {
            key: (told, key in gone or marked)
            for key, (told, marked) in held.items()
            if key not in gone or deletes == "soft"
        }
        held |= {key: ((seq, at), False) for key, at in found.items()}
    return held


@pytest.mark.parametrize("strategy", ["merge", "append"])
@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=BATCHES, deletes=st.sampled_from(["hard", "soft"]), data=st.data())
def test_should_end_like_a_dictionary_whatever_comes_in_whatever_order(lake, strategy, batches, deletes, data):
    sent = [
        (seq, found, is_full and strategy == "merge" and bool(found))
        for seq, (found, is_full) in enumerate(batches, 1)
        if found
    ]
    lake = type(lake)(lake.s3)
    cursor = {"cursor": "at"} if strategy == "append" else {}
    source = lake.source(key=["a", "b"], strategy=strategy, deletes=deletes, **cursor)
    for seq, found, is_full in data.draw(st.permutations(sent)):
        keys = list(found)
        table = pa.table(
            {
                "a": pa.array([a for a, _ in keys], pa.int32()),
                "b": pa.array([b for _, b in keys], pa.string()),
                "at": pa.array([found[key] for key in keys], pa.int64()),
                "told": pa.array([seq] * len(keys), pa.int64()),
            }
        )
        changed = refine(source.batch(seq, table, load="full_refresh" if is_full else "append"), lake.bucket)
        assert changed.silver_rows == present(open_table(table_uri(lake.bucket, "silver", "customers"))).count()
    if not sent:
        return
    got: dict[Any, Any] = {}
    for row in lake.read("silver", "customers").to_pylist():
        key = (row["a"], row["b"], row["at"]) if strategy == "append" else (row["a"], row["b"])
        assert key not in got, "a row is there twice"
        told = row["told"] if strategy == "append" else (row["told"], row["at"])
        got[key] = (told, bool(row.get("_is_deleted", False)))
    expected = naive(sent, strategy, deletes)
    if strategy == "append":  # which of two batches told a row first depends on which came first
        assert set(got) == set(expected)
        return
    live = {key: told for key, (told, is_gone) in expected.items() if not is_gone}
    assert {key: told for key, (told, is_gone) in got.items() if not is_gone} == live
    # a batch that a refresh has overtaken is not applied, so a row that only it had was never there to be marked
    assert {key for key, (_, is_gone) in got.items() if is_gone} <= set(expected) - set(live)
