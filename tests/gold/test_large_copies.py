"""Copies of tables of more than a few megabytes: read while they are written, whatever was there before, and in one commit."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pytest

from flowforge.domain.errors import TransformRejected
from flowforge.domain.given import given
from flowforge.gold.build import Built, build
from flowforge.gold.models import copy_of_silver
from flowforge.gold.publish import publish
from flowforge.silver.refine import refine
from flowforge.tables.lake import open_table, table_uri
from tests.helpers.lake import delta_table

MANY = 250_000  # rows of a random number and the hash of a key: 24 bytes that no compression makes fewer, so 6 MB


def numbers(count: int, seed: int, **more: pa.Array) -> pa.Table:
    """Rows with a key and a random number."""
    found = np.random.default_rng(seed).integers(-(2**63), 2**63 - 1, count)
    return pa.table({"id": pa.array(range(count), pa.int64()), "number": pa.array(found), **more})


def published(lake, table: str = "customers") -> pa.Table:
    """The rows of the gold table as pyarrow reads them, without silver's own columns."""
    found = delta_table(table_uri(lake.bucket, "gold", table)).to_pyarrow_table()
    return found.select([name for name in found.column_names if not name.startswith("_")]).sort_by("id")


def test_should_publish_what_silver_has_whether_it_has_grown_or_shrunk(lake):
    source = lake.source(key=["id"], load="full_refresh")
    named = pa.array([f"n{n % 7}" for n in range(MANY)])
    for seq, rows in enumerate((numbers(3, 1), numbers(MANY, 2), numbers(MANY, 3, name=named), numbers(3, 4)), 1):
        batch = source.batch(seq, rows)
        refine(batch, lake.bucket)
        assert publish(batch, lake.bucket).gold_tables == {"customers": rows.num_rows}
        found = published(lake)
        assert found.select(rows.column_names).equals(rows)
        assert delta_table(table_uri(lake.bucket, "gold", "customers")).version() == seq  # and its creation


def test_should_write_nothing_anew_where_no_input_has_changed(lake):
    batch = lake.source(key=["id"]).batch(1, numbers(MANY, 1))
    refine(batch, lake.bucket)
    assert [one.how for _ in range(2) for one in publish(batch, lake.bucket).models] == ["full", "unchanged"]


def test_should_have_one_commit_of_several_that_are_made_at_once(lake):
    source = lake.source(key=["id"])
    refine(source.batch(1, numbers(MANY, 1)), lake.bucket)
    with ThreadPoolExecutor(3) as workers:
        built = list(workers.map(lambda _: build(copy_of_silver("g", "customers"), lake.bucket), range(3)))
    assert sorted(one.how for one in built if isinstance(one, Built)) == ["full", "unchanged", "unchanged"]
    assert given(open_table(table_uri(lake.bucket, "gold", "g"))).version() == 1
    assert published(lake, "g").equals(numbers(MANY, 1))


def test_should_build_a_large_copy_whole_once_and_then_what_has_changed(lake):
    source, first = lake.source(key=["id"]), numbers(MANY, 1)
    refine(source.batch(1, first), lake.bucket)
    model = copy_of_silver("g", "customers", "incremental", ["id"])
    hows = [build(model, lake.bucket)]
    refine(source.batch(2, pa.table({"id": [5, MANY], "number": [-5, -6]})), lake.bucket)
    hows.append(build(model, lake.bucket))
    assert [one.how for one in hows if isinstance(one, Built)] == ["full", "incremental"]
    found = published(lake, "g")
    assert found.num_rows == MANY + 1
    assert found.take([5, MANY]).to_pylist() == [{"id": 5, "number": -5}, {"id": MANY, "number": -6}]


def test_should_judge_all_rows_before_any_is_published(lake):
    rules = [{"rule": "range", "column": "id", "min": 0, "max": MANY - 1, "severity": "fail"},
             {"rule": "row_count", "min": MANY, "severity": "warn"}]  # fmt: skip
    source = lake.source(key=["id"], gold={"table": "customers", "quality_rules": rules})
    first = source.batch(1, numbers(MANY, 1))
    refine(first, lake.bucket)
    (model,) = publish(first, lake.bucket).models
    assert [(figure.checked, figure.failed) for figure in model.quality] == [(MANY, 0), (1, 0)]
    assert published(lake).equals(numbers(MANY, 1))
    second = source.batch(2, pa.table({"id": [MANY], "number": [1]}))
    refine(second, lake.bucket)
    with pytest.raises(TransformRejected, match=rf"gold\.customers breaks quality rules: .*1 of {MANY + 1:,} "):
        publish(second, lake.bucket)
    assert published(lake).equals(numbers(MANY, 1))


def test_should_refuse_a_key_that_repeats_among_many_rows(lake):
    twice = pa.array([n // 2 for n in range(MANY)], pa.int64())
    refine(lake.source(key=["id"]).batch(1, numbers(MANY, 1, pair=twice)), lake.bucket)
    with pytest.raises(TransformRejected, match=r"gold\.g: several rows have the same pair"):
        build(copy_of_silver("g", "customers", "incremental", ["pair"]), lake.bucket)
    assert open_table(table_uri(lake.bucket, "gold", "g")) is None
