"""What becomes of rows that a full refresh does not have, of surrogate keys, and of any sequence of batches, per strategy."""

import random
from typing import Any

import pyarrow as pa
import pytest

from flowforge.domain.errors import TransformRejected
from flowforge.silver.refine import refine


def table(*rows: tuple[int, str, int | None]) -> pa.Table:
    names, kinds = ("id", "name", "changed"), (pa.int32(), pa.string(), pa.timestamp("ms"))
    columns = zip(*rows, strict=True) if rows else ((), (), ())
    return pa.table({n: pa.array(list(c), k) for n, c, k in zip(names, columns, kinds, strict=True)})


def silver(lake: Any, *names: str) -> list[tuple[Any, ...]]:
    return sorted((tuple(row[n] for n in names) for row in lake.read("silver", "customers").to_pylist()), key=repr)


def test_should_mark_rows_that_are_gone_and_unmark_those_that_come_back(lake):
    source = lake.source(key=["id"], deletes="soft")
    refine(source.batch(1, table((1, "stays", 1), (2, "goes", 1))), lake.bucket)
    batch = source.batch(2, table((1, "stays", 1)), load="full_refresh")
    result = refine(batch, lake.bucket)
    assert (result.inserted, result.updated, result.deleted, result.silver_rows) == (0, 1, 1, 2)
    assert silver(lake, "id", "_is_deleted") == [(1, False), (2, True)]
    again = refine(batch, lake.bucket)
    assert (again.already_applied, again.updated, again.deleted) == (True, 1, 1)
    assert refine(source.batch(3, table((1, "stays", 1)), load="full_refresh"), lake.bucket).deleted == 0
    assert refine(source.batch(4, table((2, "back", 4))), lake.bucket).updated == 1
    assert silver(lake, "id", "name", "_is_deleted") == [(1, "stays", False), (2, "back", False)]


def test_should_begin_to_mark_rows_in_a_table_that_removed_them_before(lake):
    source = lake.source(key=["id"])
    refine(source.batch(1, table((1, "a", 1), (2, "b", 1), (3, "c", 1))), lake.bucket)
    refine(source.batch(2, table((1, "a", 1), (2, "b", 1)), load="full_refresh"), lake.bucket)
    result = refine(source.batch(3, table((1, "a", 1)), load="full_refresh", deletes="soft"), lake.bucket)
    assert (result.deleted, silver(lake, "id", "_is_deleted")) == (1, [(1, False), (2, True)])
    assert refine(source.batch(4, table((1, "a", 1)), load="full_refresh"), lake.bucket).deleted == 1
    assert silver(lake, "id") == [(1,)]


def test_should_keep_rows_that_are_gone_when_deletes_are_ignored(lake):
    source = lake.source(key=["id"], deletes="ignore", load="full_refresh")
    refine(source.batch(2, table((1, "two", 1), (2, "goes", 1))), lake.bucket)
    result = refine(source.batch(3, table((1, "three", 1))), lake.bucket)
    assert (result.updated, result.deleted, result.silver_rows) == (1, 0, 2)
    refine(source.batch(1, table((1, "one", 1), (3, "late", 1))), lake.bucket)
    assert silver(lake, "id", "name") == [(1, "three"), (2, "goes"), (3, "late")]


def test_should_count_removed_rows_as_deleted(lake):
    source = lake.source(key=["id"])
    refine(source.batch(1, table((1, "a", 1), (2, "b", 1))), lake.bucket)
    result = refine(source.batch(2, table((1, "a", 1)), load="full_refresh"), lake.bucket)
    assert (result.updated, result.deleted, result.silver_rows) == (1, 1, 1)


def test_should_give_a_row_the_same_surrogate_key_after_a_rebuild_and_different_ones_to_different_rows(lake):
    pairs = pa.table({"a": ["x", "xy", "x"], "b": ["yz", "z", "z"], "v": [1, 2, 3]})
    source = lake.source(key=["a", "b"], silver_table="one")
    refine(source.batch(1, pairs), lake.bucket)
    refine(source.batch(2, pairs), lake.bucket)
    refine(lake.source(key=["a", "b"], silver_table="two").batch(9, pairs.slice(1), generation=4), lake.bucket)
    keys = [{row["v"]: row["_sk_id"] for row in lake.read("silver", name).to_pylist()} for name in ("one", "two")]
    assert len(set(keys[0].values())) == 3
    assert all(len(key) == 32 for key in keys[0].values())
    assert keys[1] == {v: keys[0][v] for v in (2, 3)}


def test_should_refuse_source_columns_that_silver_adds(lake):
    with pytest.raises(TransformRejected, match="_Valid_From have names that silver needs itself"):
        refine(lake.source(key=["id"]).batch(1, pa.table({"id": [1], "_Valid_From": [1]})), lake.bucket)


def in_order(batches: list[dict[str, Any]], strategy: str, deletes: str) -> list[tuple[Any, ...]]:
    """The simplest thing that can be right: batches applied to a dictionary in their order."""
    held: dict[Any, tuple[str, bool]] = {}
    for batch in sorted(batches, key=lambda b: b["seq"]):
        rows = batch["rows"]
        if strategy == "append":
            held |= {(key, at): (name, False) for key, name, at in rows if (key, at) not in held}
            continue
        gone = {key for key in held if key not in {row[0] for row in rows}}
        if strategy == "replace" or (batch["load"] == "full_refresh" and deletes == "hard"):
            held = {key: row for key, row in held.items() if key not in gone}
        elif batch["load"] == "full_refresh" and deletes == "soft":
            held |= {key: (held[key][0], True) for key in gone}
        held |= {key: (name, False) for key, name, _ in rows}
    return sorted((key if strategy != "append" else key[0], *row) for key, row in held.items())


def as_delivered(deliveries: list[dict[str, Any]]) -> list[tuple[int, str, bool]]:
    """Soft deletes in the order of arrival: a batch that comes after a later refresh adds no row, not even a marked one."""
    held: dict[int, tuple[int, str, bool]] = {}  # key -> the batch that told of it last, name, whether it is gone
    refreshed = 0
    for batch in deliveries:
        seq, rows = batch["seq"], batch["rows"]
        if seq < refreshed:
            continue
        held |= {key: (seq, name, False) for key, name, _ in rows if held.get(key, (0,))[0] < seq}
        if batch["load"] == "full_refresh":
            refreshed, found = seq, {row[0] for row in rows}
            gone = {key for key, (told, _, marked) in held.items() if key not in found and told < seq and not marked}
            held |= {key: (seq, held[key][1], True) for key in gone}
    return sorted((key, name, gone) for key, (_, name, gone) in held.items())


@pytest.mark.parametrize(
    ("strategy", "deletes", "seed"),
    [
        ("merge", "hard", 1),
        ("merge", "soft", 2),
        ("merge", "soft", 3),
        ("merge", "soft", 101),
        ("merge", "soft", 103),
        ("merge", "ignore", 4),
        ("replace", "hard", 5),
        ("append", "hard", 6),
    ],
)
def test_should_end_as_if_batches_came_once_and_in_order(lake, strategy, deletes, seed):
    chance = random.Random(seed)
    cursor = {"cursor": "changed"} if strategy == "append" else {}
    source = lake.source(key=["id"], strategy=strategy, deletes=deletes, **cursor)
    batches = []
    for seq in range(1, 7):
        load = "full_refresh" if not cursor and chance.random() < 0.4 else "append"
        at = [(key, chance.choice(range(3)) if cursor else 0) for key in chance.sample(range(6), chance.randint(1, 4))]
        rows = [(key, f"{key} at {when}" if cursor else f"{key} in {seq}", when) for key, when in at]
        batches.append({"seq": seq, "rows": rows, "load": load})
    deliveries = batches + chance.sample(batches, 2)
    chance.shuffle(deliveries)
    for batch in deliveries:
        refine(source.batch(batch["seq"], table(*batch["rows"]), load=batch["load"]), lake.bucket)
    expected = in_order(batches, strategy, deletes)
    if deletes != "soft":
        assert silver(lake, "id", "name") == sorted((row[:2] for row in expected), key=repr)
        return
    found = silver(lake, "id", "name", "_is_deleted")
    assert [row for row in found if not row[2]] == [row for row in expected if not row[2]]
    assert found == as_delivered(deliveries)
