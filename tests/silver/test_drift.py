"""Sources whose columns change: what silver follows, what it refuses, and how a refused batch is applied after a decision."""

from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowforge.domain.errors import Fatal, TransformRejected
from flowforge.domain.given import given as present
from flowforge.silver.decisions import decide, schema_of
from flowforge.silver.drift import compare, widens
from flowforge.silver.refine import refine
from flowforge.tables.lake import open_table, table_uri

TYPES = ["BOOLEAN", "SMALLINT", "INTEGER", "BIGINT", "FLOAT", "DOUBLE", "VARCHAR", "BLOB", "DATE", "TIMESTAMP"]
TYPES += ["TIMESTAMP WITH TIME ZONE", "DECIMAL(10,2)", "DECIMAL(12,2)", "DECIMAL(12,4)"]


def rows_of(lake: Any, *names: str) -> list[tuple[Any, ...]]:
    return sorted((tuple(row[n] for n in names) for row in lake.read("silver", "customers").to_pylist()), key=repr)


def typed(**columns: tuple[list[Any], pa.DataType]) -> pa.Table:
    return pa.table({name: pa.array(values, kind) for name, (values, kind) in columns.items()})


def test_should_widen_columns_without_touching_a_value(lake):
    source = lake.source(key=["id"])
    money = [Decimal("12345.67"), None]
    refine(
        source.batch(
            1,
            typed(
                id=([1, 2], pa.int16()),
                rate=([0.5, 1.25], pa.float32()),
                amount=(money, pa.decimal128(10, 2)),
                at=([10, 20], pa.timestamp("ms")),
            ),
        ),
        lake.bucket,
    )
    second = source.batch(
        2,
        typed(
            id=([2, 2**40], pa.int64()),
            rate=([0.1, 0.2], pa.float64()),
            amount=([Decimal("9999999999999.99"), None], pa.decimal128(15, 2)),
            at=([30, 40], pa.timestamp("ms")),
        ),
    )
    result = refine(second, lake.bucket)
    assert (result.inserted, result.updated) == (1, 1)
    assert result.schema_changes == [
        "column id was SMALLINT and is BIGINT now",
        "column rate was REAL and is DOUBLE now",
        "column amount was DECIMAL(10,2) and is DECIMAL(15,2) now",
    ]
    assert rows_of(lake, "id", "rate", "amount") == [
        (1, 0.5, money[0]),
        (2**40, 0.2, None),
        (2, 0.1, Decimal("9999999999999.99")),
    ]
    assert refine(second, lake.bucket).already_applied
    narrow = typed(
        id=([7], pa.int32()),
        rate=([1.5], pa.float32()),
        amount=(money[:1], pa.decimal128(10, 2)),
        at=([1], pa.timestamp("ms")),
    )
    late = refine(source.batch(1, narrow, generation=0), lake.bucket)
    assert (late.inserted, late.schema_changes) == (1, [])


def test_should_keep_a_dropped_column_as_null_and_tell_once(lake):
    source = lake.source(key=["id"])
    text = pa.string()
    refine(source.batch(1, typed(id=([1, 2], pa.int32()), city=(["Rome", "Oslo"], text))), lake.bucket)
    first = refine(source.batch(3, typed(id=([2, 3], pa.int32()))), lake.bucket)
    assert first.schema_changes == ["column city is gone from the source"]
    assert refine(source.batch(4, typed(id=([4], pa.int32()))), lake.bucket).schema_changes == []
    assert rows_of(lake, "id", "city") == [(1, "Rome"), (2, None), (3, None), (4, None)]
    assert refine(source.batch(2, typed(id=([5], pa.int32()), city=(["Bonn"], text))), lake.bucket).schema_changes == []
    assert schema_of(lake.bucket, "customers")["dropped"] == ["city"]
    back = refine(source.batch(5, typed(id=([6], pa.int32()), city=(["Bern"], text))), lake.bucket)
    assert back.schema_changes == ["column city is back"]


@pytest.mark.parametrize("strategy", ["scd2", "append", "replace"])
def test_should_follow_added_dropped_and_widened_columns_with_every_strategy(lake, strategy):
    source = lake.source(key=["id"], strategy=strategy)
    refine(source.batch(1, typed(id=([1], pa.int16()), old=(["x"], pa.string()))), lake.bucket)
    result = refine(source.batch(2, typed(id=([2], pa.int32()), new=([5], pa.uint8()))), lake.bucket)
    assert len(result.schema_changes) == 3
    expected = [(1, "x", None), (2, None, 5)]
    assert rows_of(lake, "id", "old", "new") == (expected[1:] if strategy == "replace" else expected)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ((1, pa.int64()), (1, pa.int32()), "column v was BIGINT and is INTEGER now"),
        (("1", pa.string()), (1, pa.int32()), "column v was VARCHAR and is INTEGER now"),
        ((1, pa.date32()), (1, pa.timestamp("us")), "column v was DATE and is TIMESTAMP now"),
        ((1, pa.int32()), (Decimal(1), pa.decimal128(12, 0)), "column v was INTEGER and is DECIMAL"),
    ],
)
def test_should_refuse_any_other_change_and_say_what_to_do(lake, before, after, told):
    source = lake.source(key=["id"])
    refine(source.batch(1, typed(id=([1], pa.int32()), v=([before[0]], before[1]))), lake.bucket)
    version = present(open_table(table_uri(lake.bucket, "silver", "customers"))).version()
    with pytest.raises(TransformRejected, match=told.replace("(", r"\(")) as refusal:
        refine(source.batch(2, typed(id=([1], pa.int32()), v=([after[0]], after[1]))), lake.bucket)
    assert "flowforge schema" in refusal.value.remedy
    assert present(open_table(table_uri(lake.bucket, "silver", "customers"))).version() == version


def test_should_apply_the_refused_batch_after_a_type_is_decided(lake):
    source = lake.source(key=["id"])
    refine(source.batch(1, typed(id=([1], pa.int32()), zip=([123], pa.int32()))), lake.bucket)
    refused = source.batch(2, typed(id=([2], pa.int32()), zip=(["AB-1"], pa.string())))
    with pytest.raises(TransformRejected, match="column zip was INTEGER and is VARCHAR now"):
        refine(refused, lake.bucket)
    told = decide(lake.bucket, "customers", {"zip": "VARCHAR"}, None, False)
    assert {"name": "zip", "type": "INTEGER", "decided": "VARCHAR"} in told["columns"]
    assert refine(refused, lake.bucket).schema_changes == ["column zip was INTEGER and is VARCHAR now"]
    refine(source.batch(3, typed(id=([3], pa.int32()), zip=([7], pa.int64()))), lake.bucket)
    assert rows_of(lake, "id", "zip") == [(1, "123"), (2, "AB-1"), (3, "7")]


def test_should_refuse_a_decided_type_that_would_lose_a_value(lake):
    source = lake.source(key=["id"])
    refine(source.batch(1, typed(id=([1, 2], pa.int32()), v=(["1.50", "1.505"], pa.string()))), lake.bucket)
    batch = source.batch(2, typed(id=([3], pa.int32()), v=([Decimal("7.25")], pa.decimal128(10, 2))))
    decide(lake.bucket, "customers", {"v": "DECIMAL(10,2)"}, None, False)
    with pytest.raises(
        TransformRejected, match=r"holds 1 value of v that would not come back equal from DECIMAL\(10,2\)"
    ):
        refine(batch, lake.bucket)
    decide(lake.bucket, "customers", {"v": "DECIMAL(10,3)"}, None, False)
    refine(batch, lake.bucket)
    assert rows_of(lake, "v") == [(Decimal("1.500"),), (Decimal("1.505"),), (Decimal("7.250"),)]
    with pytest.raises(
        TransformRejected, match=r"the batch brings 1 value of v that would not come back equal from DECIMAL\(10,3\)"
    ):
        refine(source.batch(3, typed(id=([4], pa.int32()), v=(["much"], pa.string()))), lake.bucket)


def test_should_refuse_decisions_about_what_is_not_there(lake):
    refine(lake.source(key=["id"]).batch(1, typed(id=([1], pa.int32()))), lake.bucket)
    with pytest.raises(Fatal, match="has no column x"):
        decide(lake.bucket, "customers", {"x": "VARCHAR"}, None, False)
    with pytest.raises(Fatal, match="is no type of silver"):
        decide(lake.bucket, "customers", {"id": "varchar); DROP"}, None, False)


def test_should_keep_the_tables_key_when_that_is_decided(lake):
    old, new = lake.source(key=["id"]), lake.source(key=["id", "part"])
    refine(old.batch(1, typed(id=([1], pa.int32()), part=([1], pa.int32()))), lake.bucket)
    changed = new.batch(2, typed(id=([1, 2], pa.int32()), part=([2, 1], pa.int32())))
    with pytest.raises(TransformRejected, match="tells rows apart by id, this batch by id, part"):
        refine(changed, lake.bucket)
    decide(lake.bucket, "customers", {}, None, True)
    assert refine(changed, lake.bucket).updated == 1
    assert rows_of(lake, "id", "part") == [(1, 2), (2, 1)]


def test_should_stop_at_every_change_under_a_contract_until_it_is_accepted(lake):
    source = lake.source(key=["id"], schema_mode="contract")
    refine(source.batch(1, typed(id=([1], pa.int16()), old=(["x"], pa.string()))), lake.bucket)
    changed = source.batch(2, typed(id=([2], pa.int32()), new=([5], pa.int32())))
    with pytest.raises(TransformRejected) as refusal:
        refine(changed, lake.bucket)
    for told in ("old is gone", "new is new", "id was SMALLINT and is INTEGER"):
        assert told in str(refusal.value)
    order = 1 << 40 | 2
    assert decide(lake.bucket, "customers", {}, order, False)["accepted_up_to"] == order
    assert refine(changed, lake.bucket).inserted == 1
    refine(source.batch(3, typed(id=([3], pa.int32()), new=([6], pa.int32()))), lake.bucket)
    with pytest.raises(TransformRejected, match="column more is new"):
        refine(source.batch(4, typed(id=([4], pa.int32()), new=([6], pa.int32()), more=([1], pa.int32()))), lake.bucket)


@given(st.sampled_from(TYPES), st.sampled_from(TYPES), st.integers(-(2**15), 2**15 - 1))
def test_should_widen_only_where_every_value_stays_what_it_is(narrow, wide, value):
    if widens(narrow, wide):
        assert not widens(wide, narrow)
        sql = (
            f"SELECT CAST(CAST(CAST({value} / 16 AS {narrow}) AS {wide}) AS {narrow}) = CAST({value} / 16 AS {narrow})"
        )
        assert duckdb.sql(sql).fetchone() == (True,)


@pytest.mark.parametrize("late", [False, True])
def test_should_compare_nothing_but_what_differs(late):
    same = {"a": "INTEGER", "b": "DECIMAL(10,2)", "_seq": "BIGINT"}
    drift = compare(same, dict(same), {}, late)
    assert (drift.types, drift.changes(same), drift.refused, drift.dropped) == (same, [], [], [])
