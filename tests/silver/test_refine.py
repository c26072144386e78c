"""Batches of every kind, applied to silver."""

import random
from uuid import uuid4

import pyarrow as pa
import pytest

from flowforge.domain.errors import TransformRejected
from flowforge.domain.given import given
from flowforge.silver.refine import refine
from flowforge.tables.lake import open_table, table_uri
from tests.helpers.silver_people import people, rows_of


def test_should_create_silver_from_the_first_batch(lake):
    batch = lake.source(key=["id"]).batch(1, people((1, "Ann", 10), (2, "Bob", 10)))
    result = refine(batch, lake.bucket)
    assert (result.silver_table, result.inserted, result.updated, result.silver_rows) == ("customers", 2, 0, 2)
    assert not result.already_applied
    assert [row[:2] for row in rows_of(lake)] == [(1, "Ann"), (2, "Bob")]


@pytest.mark.parametrize("rows", [2, 150_000])  # fetched, and read where they are
def test_should_read_the_objects_that_landed_and_no_others(lake, rows):
    source = lake.source(key=["id"])
    data = pa.table({"id": pa.array(range(rows), pa.int32()), "text": [uuid4().hex for _ in range(rows)]})
    assert refine(source.batch(1, data), lake.bucket).inserted == rows
    later = source.batch(2, data)
    (item,) = given(later.manifest).objects
    assert (item.bytes > 2**22) is (rows > 2)
    lake.s3.put_object(Bucket=lake.bucket, Key=item.key, Body=b"another")
    with pytest.raises(TransformRejected, match="its ETag differs"):
        refine(later, lake.bucket)
    lake.s3.delete_object(Bucket=lake.bucket, Key=item.key)
    with pytest.raises(TransformRejected, match="is gone from"):
        refine(later, lake.bucket)


def test_should_update_known_keys_and_insert_new_ones(lake):
    source = lake.source(key=["id"], cursor="changed")
    refine(source.batch(1, people((1, "Ann", 10), (2, "Bob", 10))), lake.bucket)
    result = refine(source.batch(2, [people((2, "Bobby", 20)), people((3, "Cyd", 20))]), lake.bucket)
    assert (result.inserted, result.updated, result.silver_rows) == (1, 1, 3)
    assert [row[:2] for row in rows_of(lake)] == [(1, "Ann"), (2, "Bobby"), (3, "Cyd")]


def test_should_change_nothing_when_a_batch_comes_twice(lake):
    source = lake.source(key=["id"])
    refine(source.batch(1, people((1, "Ann", 10))), lake.bucket)
    second = source.batch(2, people((1, "Anna", 20), (5, "Eve", 20)))
    first_time = refine(second, lake.bucket)
    again = refine(second, lake.bucket)
    assert again.already_applied
    assert (again.version, again.inserted, again.updated) == (first_time.version, 1, 1)
    assert given(open_table(table_uri(lake.bucket, "silver", "customers"))).version() == first_time.version


def test_should_keep_the_later_batch_when_batches_arrive_out_of_order(lake):
    source = lake.source(key=["id"])
    refine(source.batch(1, people((1, "one", 10))), lake.bucket)
    refine(source.batch(3, people((1, "three", 30))), lake.bucket)
    late = refine(source.batch(2, people((1, "two", 99), (2, "new in two", 99))), lake.bucket)
    assert (late.inserted, late.updated) == (1, 0)
    assert [row[:2] for row in rows_of(lake)] == [(1, "three"), (2, "new in two")]


def test_should_record_a_batch_that_has_nothing_to_change(lake):
    source = lake.source(key=["id"])
    refine(source.batch(2, people((1, "newer", 20))), lake.bucket)
    superseded = source.batch(1, people((1, "older", 10)))
    result = refine(superseded, lake.bucket)
    assert (result.inserted, result.updated, result.already_applied) == (0, 0, False)
    again = refine(superseded, lake.bucket)
    assert again.already_applied
    assert again.version == result.version == given(open_table(table_uri(lake.bucket, "silver", "customers"))).version()


def test_should_put_a_later_generation_above_any_seq_of_an_earlier_one(lake):
    source = lake.source(key=["id"])
    refine(source.batch(1, people((1, "reloaded", 10)), generation=2), lake.bucket)
    refine(source.batch(9, people((1, "before the reset", 90))), lake.bucket)
    assert rows_of(lake)[0][1] == "reloaded"


def test_should_take_the_newest_row_of_a_key_within_a_batch_with_null_cursors_oldest(lake):
    source = lake.source(key=["id"], cursor="changed")
    batch = source.batch(1, people((1, "null", None), (1, "old", 10), (1, "new", 20), (2, "null only", None)))
    result = refine(batch, lake.bucket)
    assert (result.inserted, result.quarantined) == (2, 0)
    assert [row[:2] for row in rows_of(lake)] == [(1, "new"), (2, "null only")]


def test_should_quarantine_null_keys_and_rows_that_contradict_each_other(lake):
    source = lake.source(key=["id"], cursor="changed")
    refine(source.batch(1, people((1, "before", 1))), lake.bucket)
    rows = [(1, "a", 20), (1, "b", 20), (1, "older", 5), (None, "nobody", 20), (2, "same", 20), (2, "same", 20)]
    batch = source.batch(2, people(*rows))
    result = refine(batch, lake.bucket)
    assert (result.inserted, result.updated, result.quarantined) == (1, 0, 3)
    assert [row[:2] for row in rows_of(lake)] == [(1, "before"), (2, "same")]
    kept = rows_of(lake, layer="quarantine")
    assert [(row[0], row[2]) for row in kept] == [
        ("a key column is NULL", "nobody"),
        ("rows with the same key and cursor differ", "a"),
        ("rows with the same key and cursor differ", "b"),
    ]
    refine(batch, lake.bucket)
    assert len(rows_of(lake, layer="quarantine")) == 3


def test_should_tell_rows_without_key_apart_by_content_and_occurrence(lake):
    source = lake.source(cursor="changed")
    refine(source.batch(1, people((1, "x", 10), (1, "x", 10), (2, "y", None))), lake.bucket)
    overlap = refine(source.batch(2, people((1, "x", 10), (1, "x", 10), (1, "x", 10), (3, "z", 20))), lake.bucket)
    assert (overlap.inserted, overlap.silver_rows) == (2, 5)


def test_should_remove_only_older_rows_in_a_full_refresh(lake):
    source = lake.source(key=["id"])
    refine(source.batch(1, people((1, "stays", 10), (2, "goes", 10))), lake.bucket)
    refine(source.batch(5, people((7, "later than the refresh", 50))), lake.bucket)
    result = refine(source.batch(4, people((1, "refreshed", 40), (3, "new", 40)), load="full_refresh"), lake.bucket)
    assert (result.inserted, result.updated, result.silver_rows) == (1, 1, 3)
    assert [row[:2] for row in rows_of(lake)] == [(1, "refreshed"), (3, "new"), (7, "later than the refresh")]


def test_should_remove_rows_from_every_file_in_a_full_refresh(lake):
    source = lake.source(key=["id"])
    for seq in range(1, 5):
        refine(source.batch(seq, people(*[(seq * 1000 + n, "old", seq) for n in range(50)])), lake.bucket)
    assert len(given(open_table(table_uri(lake.bucket, "silver", "customers"))).file_uris()) > 1
    result = refine(source.batch(9, people((1001, "kept", 9), (1, "new", 9)), load="full_refresh"), lake.bucket)
    assert (result.inserted, result.updated, result.silver_rows) == (1, 1, 2)


@pytest.mark.parametrize("seed", range(3))
def test_should_end_the_same_whatever_the_order_of_delivery(lake, seed):
    chance = random.Random(seed)
    refreshes = {(1, 3), (2, 2)}
    batches, contents = [], {}
    source = lake.source(key=["id"])
    for generation, seq in [(1, 1), (1, 2), (1, 3), (1, 4), (2, 1), (2, 2), (2, 3)]:
        order = (generation, seq)
        contents[order] = {key: f"{order} of {key}" for key in chance.sample(range(8), 4)}
        load = "full_refresh" if order in refreshes else "append"
        rows = people(*[(key, name, 1) for key, name in contents[order].items()])
        batches.append(source.batch(seq, rows, generation=generation, load=load))
    deliveries = batches + chance.sample(batches, 3)
    chance.shuffle(deliveries)
    for batch in deliveries:
        refine(batch, lake.bucket)
    expected: dict[int, str] = {}
    for order in sorted(contents):
        expected = contents[order] if order in refreshes else {**expected, **contents[order]}
    assert {row[0]: row[1] for row in rows_of(lake)} == expected


def test_should_record_but_not_apply_a_batch_older_than_the_last_refresh(lake):
    source = lake.source(key=["id"])
    refine(source.batch(3, people((1, "three", 30)), load="full_refresh"), lake.bucket)
    late = source.batch(2, people((1, "two", 20), (2, "deleted since", 20)))
    result = refine(late, lake.bucket)
    assert (result.inserted, result.updated, result.silver_rows) == (0, 0, 1)
    again = refine(late, lake.bucket)
    assert again.already_applied
    assert again.version == result.version == given(open_table(table_uri(lake.bucket, "silver", "customers"))).version()
    assert [row[:2] for row in rows_of(lake)] == [(1, "three")]


def test_should_not_delete_a_row_because_its_key_is_in_quarantine(lake):
    source = lake.source(key=["id"])
    refine(source.batch(1, people((1, "known", 10), (2, "goes", 10))), lake.bucket)
    refine(source.batch(2, people((1, "a", 20), (1, "b", 20)), load="full_refresh"), lake.bucket)
    assert [row[:2] for row in rows_of(lake)] == [(1, "known")]


def test_should_empty_silver_when_a_full_refresh_has_no_rows(lake):
    source = lake.source(key=["id"])
    refine(source.batch(1, people((1, "goes", 10))), lake.bucket)
    assert refine(source.batch(2, people(), load="full_refresh"), lake.bucket).silver_rows == 0


def test_should_create_an_empty_silver_table_from_an_empty_batch(lake):
    batch = lake.source(key=["id"]).batch(1, people())
    result = refine(batch, lake.bucket)
    assert (result.silver_rows, result.inserted) == (0, 0)
    assert rows_of(lake) == []
    assert refine(batch, lake.bucket).already_applied


def test_should_replace_everything_older_when_asked_to(lake):
    source = lake.source(key=["id"], strategy="replace")
    refine(source.batch(1, people((1, "a", 1), (2, "b", 1))), lake.bucket)
    assert refine(source.batch(2, people((3, "c", 2))), lake.bucket).silver_rows == 1
    assert [row[:2] for row in rows_of(lake)] == [(3, "c")]


def test_should_add_every_version_but_an_overlap_only_once_in_append(lake):
    source = lake.source(key=["id"], cursor="changed", strategy="append")
    refine(source.batch(1, people((1, "a", 10), (2, "b", 10))), lake.bucket)
    result = refine(source.batch(2, people((2, "b", 10), (2, "b2", 20))), lake.bucket)
    assert (result.inserted, result.updated, result.silver_rows) == (1, 0, 3)


def test_should_add_whole_batches_in_append_without_a_cursor(lake):
    source = lake.source(key=["id"], strategy="append")
    for seq in (1, 2):
        result = refine(source.batch(seq, people((1, "a", 10), (2, "b", 10))), lake.bucket)
    assert (result.inserted, result.silver_rows) == (2, 4)


def test_should_merge_by_a_key_of_several_columns_and_types(lake):
    def table(value: str) -> pa.Table:
        return pa.table({"k1": pa.array([b"\x00\xff"], pa.binary(2)), "k 2": pa.array([5], pa.uint8()), "v": [value]})

    source = lake.source(key=["k1", "k 2"])
    refine(source.batch(1, table("a")), lake.bucket)
    assert refine(source.batch(2, table("b")), lake.bucket).updated == 1
