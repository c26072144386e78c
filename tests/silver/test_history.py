"""scd2: the history of every key, whatever the order in which its batches arrive."""

from datetime import timedelta

import pyarrow as pa
import pytest

from flowforge.domain.errors import TransformRejected
from flowforge.silver.refine import refine
from tests.helpers.histories import BEGINNING, day, loaded, people, snapshot, versions


def test_should_close_a_version_where_the_next_begins(lake):
    source = lake.source(key=["id"], cursor="changed", strategy="scd2")
    refine(source.batch(1, people((1, "Ann", 1), (2, "Bob", 1))), lake.bucket)
    result = refine(source.batch(2, people((1, "Anna", 3), (3, "Cyd", 3))), lake.bucket)
    assert (result.inserted, result.updated, result.silver_rows) == (2, 1, 4)
    assert versions(lake) == [
        (1, "Ann", day(1), day(3), False),
        (1, "Anna", day(3), None, True),
        (2, "Bob", day(1), None, True),
        (3, "Cyd", day(3), None, True),
    ]
    keys = [row["_sk_id"] for row in lake.read("silver", "customers").to_pylist()]
    assert len(set(keys)) == 4


def test_should_slot_in_a_late_change_and_keep_what_is_current(lake):
    source = lake.source(key=["id"], cursor="changed", strategy="scd2")
    refine(source.batch(1, people((1, "one", 1), (1, "five", 5))), lake.bucket)
    batch = source.batch(2, people((1, "three", 3), (1, "unknown", None)))
    result = refine(batch, lake.bucket)
    assert (result.inserted, result.updated) == (2, 1)
    assert versions(lake) == [
        (1, "unknown", BEGINNING, day(1), False),
        (1, "one", day(1), day(3), False),
        (1, "three", day(3), day(5), False),
        (1, "five", day(5), None, True),
    ]
    again = refine(batch, lake.bucket)
    assert (again.already_applied, again.inserted, again.updated) == (True, 2, 1)


def test_should_make_no_version_of_content_that_is_the_same(lake):
    source = lake.source(key=["id"], strategy="scd2", load="full_refresh", deletes="soft")
    refine(source.batch(1, snapshot((1, "a"), (2, "b")), claimed_at=loaded(1)), lake.bucket)
    result = refine(source.batch(2, snapshot((1, "a"), (2, "c")), claimed_at=loaded(2)), lake.bucket)
    assert (result.inserted, result.updated, result.deleted) == (1, 1, 0)
    nothing = refine(source.batch(3, snapshot((1, "a"), (2, "c")), claimed_at=loaded(3)), lake.bucket)
    assert (nothing.inserted, nothing.updated, nothing.already_applied) == (0, 0, False)
    assert versions(lake) == [
        (1, "a", day(1), None, True),
        (2, "b", day(1), day(2), False),
        (2, "c", day(2), None, True),
    ]


def test_should_close_the_version_of_a_row_that_is_gone_and_begin_one_when_it_is_back(lake):
    source = lake.source(key=["id"], strategy="scd2", load="full_refresh", deletes="soft")
    refine(source.batch(1, snapshot((1, "a"), (2, "b")), claimed_at=loaded(1)), lake.bucket)
    assert refine(source.batch(2, snapshot((1, "a")), claimed_at=loaded(2)), lake.bucket).deleted == 1
    assert refine(source.batch(3, snapshot((1, "a")), claimed_at=loaded(3)), lake.bucket).deleted == 0
    refine(source.batch(4, snapshot((1, "a"), (2, "b")), claimed_at=loaded(4)), lake.bucket)
    assert versions(lake)[1:] == [(2, "b", day(1), day(2), False), (2, "b", day(4), None, True)]


def test_should_leave_versions_open_when_deletes_are_ignored(lake):
    source = lake.source(key=["id"], strategy="scd2", load="full_refresh", deletes="ignore")
    refine(source.batch(1, snapshot((1, "a"), (2, "b"))), lake.bucket)
    assert refine(source.batch(2, snapshot((1, "a"))), lake.bucket).deleted == 0
    assert [row[4] for row in versions(lake)] == [True, True]


def test_should_take_a_late_snapshot_into_the_history_only(lake):
    source = lake.source(key=["id"], strategy="scd2", load="full_refresh", deletes="soft")
    for seq, rows in ((1, [(1, "a"), (2, "x")]), (3, [(1, "a"), (2, "x")]), (4, [(1, "a"), (2, "y")])):
        refine(source.batch(seq, snapshot(*rows), claimed_at=loaded(seq)), lake.bucket)
    refine(source.batch(2, snapshot((1, "b"), (3, "once")), claimed_at=loaded(2)), lake.bucket)
    assert versions(lake) == [
        (1, "a", day(1), day(2), False),
        (1, "b", day(2), day(3), False),
        (1, "a", day(3), None, True),
        (2, "x", day(1), day(2), False),
        (2, "x", day(3), day(4), False),
        (2, "y", day(4), None, True),
        (3, "once", day(2), day(3), False),
    ]


def test_should_follow_the_order_of_reading_where_clocks_disagree(lake):
    changes = lake.source(key=["id"], cursor="changed", strategy="scd2", deletes="soft")
    refine(changes.batch(1, people((1, "ahead", 9), (2, "gone", 9)), claimed_at=loaded(1)), lake.bucket)
    full = people((1, "newer", 9))
    refine(changes.batch(2, full, claimed_at=loaded(2), cursor=None, load="full_refresh"), lake.bucket)
    after = day(9) + timedelta(microseconds=1)
    assert versions(lake) == [
        (1, "ahead", day(9), after, False),
        (1, "newer", after, None, True),
        (2, "gone", day(9), day(9), False),
    ]
    refine(changes.batch(3, people((2, "back", 3)), claimed_at=loaded(3)), lake.bucket)
    assert versions(lake)[3:] == [(2, "back", after, None, True)]


def test_should_date_changes_without_a_time_by_their_batch(lake):
    def numbered(*rows: tuple[int, str, int]) -> pa.Table:
        ids, names, marks = zip(*rows, strict=True)
        return pa.table({"id": list(ids), "name": list(names), "mark": [n.to_bytes(8, "big") for n in marks]})

    source = lake.source(key=["id"], cursor="mark", strategy="scd2")
    refine(source.batch(1, numbered((1, "one", 1)), claimed_at=loaded(1)), lake.bucket)
    refine(source.batch(3, numbered((1, "three", 3)), claimed_at=loaded(3)), lake.bucket)
    refine(source.batch(2, numbered((1, "two", 2)), claimed_at=loaded(2)), lake.bucket)
    assert [(row[1], row[2]) for row in versions(lake)] == [("one", day(1)), ("two", day(2)), ("three", day(3))]


def test_should_add_columns_to_a_history(lake):
    source = lake.source(key=["id"], strategy="scd2")
    refine(source.batch(1, snapshot((1, "a")), claimed_at=loaded(1)), lake.bucket)
    wider = snapshot((1, "a")).append_column("city", pa.array(["Rome"]))
    refine(source.batch(2, wider, claimed_at=loaded(2)), lake.bucket)
    assert [(row["city"], row["_is_current"]) for row in lake.read("silver", "customers").to_pylist()] in (
        [(None, False), ("Rome", True)],
        [("Rome", True), (None, False)],
    )


def test_should_want_a_key(lake):
    with pytest.raises(TransformRejected, match="has no primary key, and history is kept by key"):
        refine(lake.source(strategy="scd2").batch(1, snapshot((1, "a"))), lake.bucket)
