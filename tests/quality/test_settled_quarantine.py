"""Quarantine has the newest word on a key, once, for as long as it is the newest."""

import random
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from flowforge.domain.errors import TransformRejected
from flowforge.domain.given import given
from flowforge.operations.query import query
from flowforge.silver.refine import Target, refine
from flowforge.tables.delta.access import storage_options
from flowforge.tables.lake import open_table, table_uri
from tests.helpers.lake import Lake, delta_table

STRICT = [{"rule": "range", "column": "v", "max": 10, "severity": "quarantine", "name": "small"}]
CODE = {"sql_type": "nvarchar(20)", "nullable": False, "collation": "SQL_Latin1_General_CP1_CI_AS"}


def rows(*given: tuple[str | None, int]) -> pa.Table:
    codes, values = zip(*given, strict=True) if given else ((), ())
    return pa.table({"code": pa.array(codes, pa.string()), "v": pa.array(values, pa.int32())})


def kept(lake: Lake, columns: str = "code, v, _seq") -> list[tuple[Any, ...]]:
    if open_table(table_uri(lake.bucket, "quarantine", "customers")) is None:
        return []
    return query(f"SELECT {columns} FROM quarantine.customers ORDER BY ALL", lake.bucket).rows


def silver(lake: Lake) -> list[tuple[Any, ...]]:
    return query("SELECT code, v FROM silver.customers ORDER BY ALL", lake.bucket).rows


def test_should_keep_one_entry_of_a_row_that_stays_bad_and_none_of_one_that_came_right(lake):
    source = lake.source(key=["code"], rules=STRICT, columns={"code": CODE})
    for seq in (1, 2, 3):
        refine(source.batch(seq, rows(("a", 99), ("b", 98), ("c", 1))), lake.bucket)
    assert kept(lake) == [("a", 99, 3), ("b", 98, 3)]
    refine(source.batch(4, rows(("A ", 2))), lake.bucket)  # mended, and spelt otherwise
    assert kept(lake) == [("b", 98, 3)]
    assert silver(lake) == [("A ", 2), ("c", 1)]
    refine(source.batch(5, rows(("B", 97))), lake.bucket)
    assert kept(lake) == [("B", 97, 5)]


def test_should_let_a_refresh_settle_everything_before_it(lake):
    source = lake.source(key=["code"], rules=STRICT, load="full_refresh")
    refine(source.batch(1, rows(("a", 99), ("gone", 98), (None, 97))), lake.bucket)
    refine(source.batch(3, rows(("a", 96), ("b", 1))), lake.bucket)
    assert kept(lake) == [("a", 96, 3)]
    refine(source.batch(2, rows(("late", 95))), lake.bucket)
    assert kept(lake) == [("a", 96, 3)]


@pytest.mark.parametrize("seed", range(4))
def test_should_end_with_the_same_entries_in_whatever_order_batches_come(lake, seed):
    chance = random.Random(seed)
    source = lake.source(key=["code"], rules=STRICT, columns={"code": CODE})
    batches, newest = [], {}
    for seq in range(1, 6):
        told = {key: chance.choice((seq, 100 + seq)) for key in chance.sample("abcd", 3)}
        spelt = {key: chance.choice((key, key.upper())) for key in told}
        newest |= {key: (spelt[key], value) for key, value in told.items()}
        batches.append(source.batch(seq, rows(*[(spelt[key], value) for key, value in told.items()])))
    delivered = batches + chance.sample(batches, 3)
    chance.shuffle(delivered)
    for batch in delivered:
        refine(batch, lake.bucket)
    assert kept(lake, "code, v") == sorted(row for row in newest.values() if row[1] > 10)
    assert {row for row in newest.values() if row[1] <= 10} <= set(silver(lake))


def test_should_keep_the_entries_of_a_batch_that_silver_does_not_hold_yet(lake):
    source = lake.source(key=["code"], rules=STRICT)
    refine(source.batch(1, rows(("a", 1))), lake.bucket)
    texts = pa.table({"code": ["a", None], "v": ["99", "x"]})
    broken = source.batch(2, texts)
    with pytest.raises(TransformRejected):
        refine(broken, lake.bucket, rules=[])  # its row without a key is kept out before its columns are refused
    assert kept(lake, "_seq") == [(2,)]
    refine(source.batch(3, rows(("a", 3), ("b", 99)), load="full_refresh"), lake.bucket)
    assert kept(lake, "_seq") == [(2,), (3,)]


def test_should_take_rows_that_contradicted_each_other_out_once_they_do_not(lake):
    source = lake.source(key=["code"])
    refine(source.batch(1, rows(("a", 1), ("a", 2), ("b", 1))), lake.bucket)
    refine(source.batch(2, rows(("a", 1), ("a", 3), ("b", 1))), lake.bucket)
    assert kept(lake, "code, v, _seq") == [("a", 1, 2), ("a", 3, 2)]
    refine(source.batch(3, rows(("a", 3))), lake.bucket)
    assert (kept(lake), silver(lake)) == ([], [("a", 3), ("b", 1)])


def test_should_know_rows_without_a_key_by_their_content(lake):
    source = lake.source(key=["code"])
    for seq in (1, 2):
        refine(source.batch(seq, rows((None, 1), ("a", seq))), lake.bucket)
    assert kept(lake) == [(None, 1, 2)]
    keyless = lake.source("others", rules=STRICT)
    for seq in (1, 2):
        refine(keyless.batch(seq, rows(("x", 99), ("y", 98 + seq))), lake.bucket)
    found = query("SELECT code, v, _seq FROM quarantine.others ORDER BY ALL", lake.bucket).rows
    assert found == [("x", 99, 2), ("y", 99, 1), ("y", 100, 2)]


def test_should_settle_what_a_worker_that_died_has_left(lake):
    source = lake.source(key=["code"], rules=STRICT)
    refine(source.batch(1, rows(("a", 99))), lake.bucket)
    table = table_uri(lake.bucket, "quarantine", "customers")
    before = given(open_table(table)).version()
    mended = source.batch(2, rows(("a", 1)))
    refine(mended, lake.bucket)
    assert kept(lake) == []
    delta_table(table).restore(before)  # as if nobody had come so far
    assert kept(lake) == [("a", 99, 1)]
    assert refine(mended, lake.bucket).already_applied
    assert kept(lake) == []


def test_should_clean_up_entries_that_were_written_before(lake):
    source = lake.source(key=["code"], rules=STRICT)
    for seq in (1, 2):
        refine(source.batch(seq, rows(("c", seq))), lake.bucket)
    old = {
        "_reason": ["breaks small"] * 3,
        "code": ["a", "a", "b"],
        "v": [99, 99, 99],
        "_generation": [1] * 3,
        "_seq": [1, 2, 2],
    }
    types = {"v": pa.int32(), "_generation": pa.int32()}
    uri = table_uri(lake.bucket, "quarantine", "customers")
    entries = pa.table({name: pa.array(given, types.get(name)) for name, given in old.items()})
    write_deltalake(uri, entries, storage_options=storage_options())
    refine(source.batch(3, rows(("a", 98))), lake.bucket)
    assert kept(lake) == [("a", 98, 3), ("b", 99, 2)]


def test_should_keep_the_states_that_a_history_lacks_each_once(lake):
    source = lake.source(key=["code"], rules=STRICT, strategy="scd2", load="full_refresh", deletes="soft")
    for seq, value in enumerate((99, 99, 1), 1):
        refine(source.batch(seq, rows(("a", value))), lake.bucket)
    assert kept(lake) == [("a", 99, 2)]


def test_should_keep_out_what_was_kept_out_when_a_batch_is_applied_into_a_table_that_is_made_anew(lake):
    source = lake.source(key=["code"], rules=STRICT)
    batches = [source.batch(seq, rows(("a", 90 + seq), ("b", seq))) for seq in (1, 2)]
    for batch in batches:
        refine(batch, lake.bucket)
    assert kept(lake) == [("a", 92, 2)]
    target = Target(table_uri(lake.bucket, "silver", "anew"), {})
    for batch in batches:
        refine(batch, lake.bucket, rules=(), target=target)
    assert query("SELECT code, v FROM silver.anew", lake.bucket).rows == silver(lake) == [("b", 2)]
