"""Silver's own look at a batch's identity: one that has taken another's place in the order is refused, not taken for it."""

import pyarrow as pa
import pytest

from flowforge.domain.batch import Batch
from flowforge.domain.errors import LakeChanged
from flowforge.domain.given import given
from flowforge.silver.refine import refine
from flowforge.tables.base import once
from flowforge.tables.lake import open_table, table_uri


def rows(value: int) -> pa.Table:
    return pa.table({"id": pa.array([1], pa.int32()), "v": pa.array([value], pa.int32())})


def claimed(batch: Batch, claim: str, epoch: str) -> Batch:
    return batch.model_copy(update={"claim": claim * 16, "epoch": epoch * 16})


def test_should_refuse_a_batch_that_has_the_place_of_another(lake):
    source = lake.source(key=["id"])
    first = claimed(source.batch(1, rows(1)), "a", "e")
    refine(first, lake.bucket)
    other = claimed(source.batch(1, rows(2), label="again"), "b", "f")
    with pytest.raises(LakeChanged, match=r"holds another batch that is .* generation 1 batch 1 too") as refused:
        refine(other, lake.bucket)
    assert "flowforge watermark rebuild" in refused.value.remedy
    assert refine(first, lake.bucket).already_applied
    assert lake.read("silver", "customers")["v"].to_pylist() == [1]


def test_should_refuse_a_batch_of_an_unknown_state_below_what_it_holds_and_take_one_that_is_late(lake):
    source = lake.source(key=["id"])
    refine(claimed(source.batch(1, rows(1)), "a", "e"), lake.bucket)
    refine(claimed(source.batch(4, rows(4)), "d", "e"), lake.bucket)
    with pytest.raises(
        LakeChanged, match="up to generation 1, batch 4; generation 1, batch 2 is of a watermark table that"
    ):
        refine(claimed(source.batch(2, rows(2)), "b", "f"), lake.bucket)
    assert refine(claimed(source.batch(3, rows(3)), "c", "e"), lake.bucket).updated == 0
    assert lake.read("silver", "customers")["v"].to_pylist() == [4]


def test_should_know_the_batches_of_a_version_before_by_their_place(lake):
    source = lake.source(key=["id"])
    old = source.batch(1, rows(1))
    refine(old, lake.bucket)
    assert refine(old, lake.bucket).already_applied
    refine(claimed(source.batch(2, rows(2)), "b", "e"), lake.bucket)
    assert lake.read("silver", "customers")["v"].to_pylist() == [2]


def test_should_know_its_batches_though_the_newest_commit_is_no_batchs(lake):
    """Marks are looked for in the newest commit first, and in all of the log where that does not name them."""
    source = lake.source(key=["id"])
    first, second = (claimed(source.batch(n, rows(n)), claim, "e") for n, claim in ((1, "a"), (2, "b")))
    refine(first, lake.bucket)
    _commit_of_somebody_else(lake)
    assert refine(first, lake.bucket).already_applied
    assert not refine(second, lake.bucket).already_applied
    _commit_of_somebody_else(lake)
    for batch in (first, second):
        assert refine(batch, lake.bucket).already_applied
    assert lake.read("silver", "customers")["v"].to_pylist() == [2]


def _commit_of_somebody_else(lake) -> None:
    table = open_table(table_uri(lake.bucket, "silver", "customers"))
    given(table).swap([], [], once({"somebody/else": 1}))
