"""Functions run at once, each in a process of its own, as on AWS."""

import json
import subprocess
import sys
from typing import Any

import pyarrow as pa

from flowforge.domain.batch import Batch
from flowforge.domain.given import given
from flowforge.silver.refine import refine
from tests.helpers.servers import ROOT
from tests.helpers.waiting import LIMIT_SECONDS

WORKER = ROOT / "tests" / "helpers" / "lake_worker.py"


def run_at_once(bucket: str, batches: list[Batch]) -> list[dict[str, Any]]:
    """Starts a process for each batch, lets all go when all are ready, and returns what they printed."""
    pipe = subprocess.PIPE
    workers = [
        subprocess.Popen(
            [sys.executable, str(WORKER), bucket, batch.model_dump_json()],
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            text=True,
        )
        for batch in batches
    ]
    try:
        for worker in workers:
            assert given(worker.stdout).readline() == "ready\n", given(worker.stderr).read()
        for worker in workers:
            given(worker.stdin).write("go\n")
            given(worker.stdin).flush()
        outputs = [worker.communicate(timeout=LIMIT_SECONDS) for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
    assert all(output for output, _ in outputs), [errors for _, errors in outputs]
    return [json.loads(output) for output, _ in outputs]


def numbers(*ids: int, value: str = "v") -> pa.Table:
    return pa.table({"id": list(ids), "value": [value] * len(ids)})


def test_should_refine_publish_and_query_where_pyarrow_cannot_be_imported(lake):
    (result,) = run_at_once(lake.bucket, [lake.source(key=["id"]).batch(1, numbers(1, 2))])
    assert result["refined"]["silver_rows"] == 2
    assert result["gold"]["gold_tables"] == {"customers": 2}
    assert result["counted"] == 2


def test_should_apply_a_batch_once_when_it_is_delivered_twice_at_once(lake):
    source = lake.source(key=["id"], strategy="append")
    refine(source.batch(1, numbers(1, 2)), lake.bucket)
    batch = source.batch(2, numbers(3, 4, 5))
    results = run_at_once(lake.bucket, [batch, batch, batch])
    assert sorted(result["refined"]["already_applied"] for result in results) == [False, True, True]
    assert {result["refined"]["inserted"] for result in results} == {3}
    assert sorted(row["id"] for row in lake.read("silver", "customers").to_pylist()) == [1, 2, 3, 4, 5]


def test_should_create_the_table_once_when_its_first_batches_arrive_at_once(lake):
    source = lake.source(key=["id"])
    first, second = source.batch(1, numbers(1, 2, value="one")), source.batch(2, numbers(2, 3, value="two"))
    results = run_at_once(lake.bucket, [second, first, first])
    assert all("error" not in result for result in results), results
    assert sorted((row["id"], row["value"]) for row in lake.read("silver", "customers").to_pylist()) == [
        (1, "one"),
        (2, "two"),
        (3, "two"),
    ]


def test_should_lose_nothing_when_different_batches_are_applied_at_once(lake):
    source = lake.source(key=["id"])
    refine(source.batch(1, numbers(1, 2, 3, value="old")), lake.bucket)
    batches = [source.batch(n, numbers(1, 10 * n, value=f"b{n}")) for n in (4, 2, 3)]
    results = run_at_once(lake.bucket, batches)
    assert all("error" not in result for result in results), results
    assert {row["id"]: row["value"] for row in lake.read("silver", "customers").to_pylist()} == {
        1: "b4", 2: "old", 3: "old", 20: "b2", 30: "b3", 40: "b4",
    }  # fmt: skip
    gold = lake.read("gold", "customers")
    assert gold.num_rows == 6


def test_should_keep_one_history_when_its_batches_are_applied_at_once(lake):
    def states(*rows: tuple[int, str, int]) -> pa.Table:
        ids, values, moments = zip(*rows, strict=True)
        return pa.table({"id": ids, "value": values, "at": pa.array(moments, pa.timestamp("ms"))})

    source = lake.source(key=["id"], cursor="at", strategy="scd2")
    refine(source.batch(1, states((1, "one", 1), (2, "one", 1))), lake.bucket)
    third, second = source.batch(3, states((1, "three", 3))), source.batch(2, states((1, "two", 2)))
    results = run_at_once(lake.bucket, [third, second, third])
    assert all("error" not in result for result in results), results
    rows = sorted(lake.read("silver", "customers").to_pylist(), key=lambda row: (row["id"], row["_valid_from"]))
    assert [row["value"] for row in rows] == ["one", "two", "three", "one"]
    assert [row["_valid_to"] for row in rows[:2]] == [row["_valid_from"] for row in rows[1:3]]
    assert [row["_is_current"] for row in rows] == [False, False, True, True]
