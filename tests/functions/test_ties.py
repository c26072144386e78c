"""Numbers that several rows can have: the row that gets the last one after it was read is read, too."""

import pytest

from events.facts import IntervalEmpty
from flowforge.bronze.ingest import ingest
from tests.helpers.loads import READER, run_slices

SECOND = 1_700_000_000
ROWS = f"INSERT INTO {{t}} VALUES (10, {SECOND - 1}), (20, {SECOND})"


@pytest.mark.parametrize(
    ("at", "indexed"), [("int", True), ("bigint", False), ("decimal(12,0)", True), ("decimal(38,0)", False)]
)
def test_should_read_the_row_that_gets_the_last_number_later(loads, at, indexed):
    load = loads(at, rows=ROWS, indexed=indexed)
    (first,) = load.load("one")
    load.execute(f"INSERT INTO {{t}} VALUES (30, {SECOND})")
    (second,) = load.load("two")
    assert (first.records, second.records, second.max_cursor_value) == (2, 2, str(SECOND))
    assert "not unique: the rows with its last number are read again" in second.promise
    load.execute(f"INSERT INTO {{t}} VALUES (40, {SECOND}), (50, {SECOND + 7})")
    (third,) = load.load("three")
    assert (third.records, third.low, third.watermark_value) == (4, str(SECOND), str(SECOND + 8))


def test_should_be_quiet_when_the_rows_with_the_last_number_are_as_they_were_loaded(loads):
    load = loads("int", rows=ROWS)
    load.load("one")
    for run in ("two", "three"):
        (fact,) = ingest(load.command(run)).facts
        assert isinstance(fact, IntervalEmpty)
        assert fact.reason == f"nothing is new at {SECOND}, the last number that was loaded, and nothing is above it"
        assert fact.watermark_value == str(SECOND + 1)
    assert load.states() == ["committed", "empty", "empty"]


@pytest.mark.parametrize(
    "change",
    [
        f"UPDATE {{t}} SET id = 21 WHERE at = {SECOND}",
        f"DELETE FROM {{t}} WHERE id = 20; INSERT INTO {{t}} VALUES (25, {SECOND})",
        f"UPDATE {{t}} SET at = {SECOND} WHERE id = 10",
    ],
    ids=["another key", "one for another", "an update to it"],
)
def test_should_not_take_as_many_rows_for_the_same_rows(loads, change):
    load = loads("int", rows=ROWS)
    load.load("one")
    assert load.load("two") == []
    load.execute(change)
    assert len(load.load("three")) == 1
    assert load.load("four") == []


def test_should_bound_what_cannot_come_twice_exclusively(loads):
    load = loads("int", rows=ROWS, indexed=False)
    load.execute("ALTER TABLE {t} ADD CONSTRAINT {t}_once UNIQUE (at)")
    assert "not unique" not in load.load("one")[0].promise
    load.execute(f"INSERT INTO {{t}} VALUES (30, {SECOND + 1})")
    (second,) = load.load("two")
    assert (second.records, second.low) == (1, str(SECOND + 1))
    load.execute("ALTER TABLE {t} DROP CONSTRAINT {t}_once", f"INSERT INTO {{t}} VALUES (40, {SECOND + 1})")
    (third,) = load.load("three")
    assert (third.records, third.low) == (2, str(SECOND + 1))


def test_should_take_a_column_of_a_wider_unique_index_for_one_that_repeats(loads):
    load = loads("int", rows=ROWS, indexed=False)
    load.execute("CREATE UNIQUE INDEX both ON {t} (at, id)")
    load.load("one")
    load.execute(f"INSERT INTO {{t}} VALUES (30, {SECOND})")
    assert load.load("two")[0].records == 2


def test_should_not_give_up_a_batch_for_a_row_that_comes_with_the_next(loads):
    load = loads("int", rows=ROWS)
    load.meanwhile = [f"INSERT INTO {{t}} VALUES (30, {SECOND})"]
    (fact,) = load.load("one")
    assert (fact.records, load.states()) == (2, ["committed"])
    assert load.load("two")[0].records == 2


def test_should_read_the_last_number_of_a_query_again(loads):
    load = loads("int", rows=ROWS)
    asked = {"table_name": None, "query": f"SELECT id, at FROM {load.name}"}
    load.load("one", **asked)
    load.execute(f"INSERT INTO {{t}} VALUES (30, {SECOND})")
    assert load.load("two", **asked)[0].records == 2
    assert load.load("three", **asked) == []


def test_should_know_the_rows_that_were_landed_in_slices(loads, sliced):
    rows = ", ".join(f"({n}, {SECOND})" for n in range(1, 3))
    load = loads("int", rows=f"INSERT INTO {{t}} VALUES {rows}, (9, {SECOND - 5}), (8, {SECOND - 6})")
    load.load("one")
    (fact,) = run_slices(load)
    load.commit(fact)
    assert load.load("two") == []


def test_should_read_the_last_number_again_where_transactions_are_hidden(loads, monkeypatch):
    monkeypatch.setenv("FLOWFORGE_CURSOR_LAG_SECONDS", "0")
    load = loads("int", login=READER, rows=ROWS)
    load.load("one")
    load.execute(f"INSERT INTO {{t}} VALUES (30, {SECOND})")
    assert load.load("two")[0].records == 2
    assert load.load("three") == []


def test_should_go_on_from_an_empty_table(loads):
    load = loads("int", rows="SELECT 1")
    assert load.load("one") == []
    load.execute(f"INSERT INTO {{t}} VALUES (30, {-(2**31)})")
    assert load.load("two")[0].records == 1
    assert load.load("three") == []
