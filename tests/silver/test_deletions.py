"""Which rows of silver a batch of keys takes out: those whose keys it lacks, as the source compares keys, and no others."""

from decimal import Decimal
from itertools import count
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowforge.domain.batch import Batch
from flowforge.domain.errors import DeletesRefused, TransformRejected
from flowforge.domain.given import given as present
from flowforge.engines.duckdb.sql import read_parquet
from flowforge.engines.registry import ENGINE
from flowforge.silver.decisions import decisions_of
from flowforge.silver.deletions import find_gone
from flowforge.silver.objects import uris_of
from flowforge.silver.reading import plan_of
from flowforge.silver.refine import refine
from flowforge.tables.lake import open_table, table_uri
from tests.helpers.examples import examples
from tests.helpers.lake import Lake, Source


def keys(source: Source, seq: int, data: pa.Table | list[pa.Table], **changes: Any) -> Batch:
    """A batch of keys, as ingestion would have landed it."""
    batch = source.batch(seq, data, **changes)
    return batch.model_copy(update={"command": batch.command.model_copy(update={"only_keys": True})})


def left(lake: Lake, source: Source, *names: str) -> list[tuple]:
    rows = lake.read("silver", source.table).select(list(names)).to_pylist()
    return sorted((tuple(row[name] for name in names) for row in rows), key=str)


PAIRS = st.sets(st.tuples(st.integers(0, 6), st.one_of(st.none(), st.sampled_from(["a", "b", "c"]))), min_size=1)


def test_should_find_what_the_keys_lack_in_however_many_portions(lake):
    """Keys of two columns, of which one may be NULL, which is a value."""
    numbers = count()

    @settings(max_examples=examples(25), deadline=None)
    @given(held=PAIRS, there=PAIRS, portions=st.integers(1, 5))
    def answers(held: set[tuple], there: set[tuple], portions: int) -> None:
        source = lake.source(f"pairs_{next(numbers)}", requested_key=["a", "b"])
        rows = rows_of(held).append_column("v", pa.array([1] * len(held), pa.int32()))
        refine(source.batch(1, rows), lake.bucket, lake.s3)
        batch = keys(source, 2, rows_of(there))
        with ENGINE.session() as session:
            table = present(open_table(table_uri(lake.bucket, "silver", source.table)))
            plan = plan_of(session, batch, decisions_of(table).key)
            at_once = max(1, len(there) // portions)
            gone = find_gone(session, table, batch, plan, read_parquet(uris_of(batch)), keys_at_once=at_once)
        assert (gone.count, gone.rows) == (len(held - there), len(held))
        assert refine(batch, lake.bucket, lake.s3).deleted == len(held - there)
        assert set(left(lake, source, "a", "b")) == held & there

    answers()


def rows_of(pairs: set[tuple]) -> pa.Table:
    columns = list(zip(*sorted(pairs, key=str), strict=True))
    return pa.table({"a": pa.array(columns[0], pa.int32()), "b": pa.array(columns[1], pa.string())})


def test_should_compare_texts_by_their_collation_and_numbers_by_their_value(lake):
    columns = {"code": {"sql_type": "varchar(9)", "collation": "Latin1_General_CI_AS", "padded": True}}
    source = lake.source("folded", key=["code", "id", "rate"], columns=columns)
    ids, rates = pa.array([1, 2, 3], pa.int32()), [Decimal("1.00"), Decimal("2.50"), Decimal("3.00")]
    rows = {"code": ["Abc", "def", "x"], "id": ids, "rate": pa.array(rates, pa.decimal128(9, 2)), "v": [1, 2, 3]}
    refine(source.batch(1, pa.table(rows)), lake.bucket, lake.s3)
    wider = {"id": pa.array([1, 2, 3 + 2**32], pa.int64()), "rate": pa.array(rates, pa.decimal128(12, 2))}
    batch = keys(source, 2, pa.table({"code": ["ABC  ", "DEF", "X"], **wider}))
    assert refine(batch, lake.bucket, lake.s3).deleted == 1
    assert left(lake, source, "code", "v") == [("Abc", 1), ("def", 2)]


def test_should_take_out_nothing_of_a_later_batch_and_apply_the_same_keys_once(lake):
    source = lake.source("later", key=["id"])
    refine(source.batch(1, pa.table({"id": [1, 2, 3]})), lake.bucket, lake.s3)
    refine(source.batch(3, pa.table({"id": [2, 4]})), lake.bucket, lake.s3)
    batch = keys(source, 2, [pa.table({"id": [1]}), pa.table({"id": pa.array([], pa.int64())})])
    result = refine(batch, lake.bucket, lake.s3)
    assert (result.deleted, result.silver_rows, left(lake, source, "id")) == (1, 3, [(1,), (2,), (4,)])
    again = refine(batch, lake.bucket, lake.s3)
    assert (again.already_applied, again.deleted, again.version) == (True, 1, result.version)


@pytest.mark.parametrize(("share", "gone"), [(0.29, 29), (0.2899, None), (0.0001, None)])
def test_should_allow_a_share_and_not_a_row_more(lake, share, gone):
    key = "srv:1433/db/dbo.share>bronze_share"
    source = lake.source("share", key=["id"], silver={"most_deleted": share}, source_key=key)
    refine(source.batch(1, pa.table({"id": list(range(100))})), lake.bucket, lake.s3)
    batch = keys(source, 2, pa.table({"id": list(range(71))}))
    if gone is None:
        with pytest.raises(DeletesRefused, match=r"29 of 100 rows \(29.00%\) have a key that dbo.share has") as caught:
            refine(batch, lake.bucket, lake.s3)
        assert "--max-delete-share 0.29" in caught.value.remedy
    else:
        assert refine(batch, lake.bucket, lake.s3).deleted == gone


def test_should_say_so_where_there_is_nothing_to_compare_with(lake):
    source = lake.source("nothing", key=["id"])
    with pytest.raises(TransformRejected, match=r"there is no table silver\.nothing"):
        refine(keys(source, 1, pa.table({"id": [1]})), lake.bucket, lake.s3)


def test_should_refuse_keys_of_another_type_before_they_are_taken_for_others(lake):
    source = lake.source("retyped", key=["id"])
    refine(source.batch(1, pa.table({"id": ["007", "8"]})), lake.bucket, lake.s3)
    with pytest.raises(TransformRejected, match="column id was VARCHAR and is BIGINT now"):
        refine(keys(source, 2, pa.table({"id": [7, 8]})), lake.bucket, lake.s3)
    assert left(lake, source, "id") == [("007",), ("8",)]
