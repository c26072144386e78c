"""scd2: the history of every key, whatever the order in which its batches arrive."""

import random
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowforge.domain.batch import order_of
from flowforge.domain.errors import TransformRejected
from flowforge.silver import history
from flowforge.silver.plan import RefinePlan
from flowforge.silver.refine import refine
from flowforge.silver.transactions import Load
from tests.helpers.examples import examples

DAY = timedelta(days=1)
START = datetime(2024, 1, 1)
BEGINNING = datetime(1, 1, 1)
Versions = list[tuple[int, str, datetime, datetime | None, bool]]


def day(number: int) -> datetime:
    return START + DAY * number


def people(*rows: tuple[int, str, int | None]) -> pa.Table:
    """Rows of (id, name, day of the change)."""
    ids, names, days = zip(*rows, strict=True) if rows else ((), (), ())
    moments = [None if number is None else day(number) for number in days]
    return pa.table(
        {
            "id": pa.array(ids, pa.int32()),
            "name": pa.array(names, pa.string()),
            "changed": pa.array(moments, pa.timestamp("ms")),
        }
    )


def snapshot(*rows: tuple[int, str]) -> pa.Table:
    ids, names = zip(*rows, strict=True) if rows else ((), ())
    return pa.table({"id": pa.array(ids, pa.int32()), "name": pa.array(names, pa.string())})


def loaded(number: int) -> float:
    """The time of a batch in epoch seconds."""
    return (day(number) - datetime(1970, 1, 1)).total_seconds()


def versions(lake: Any) -> Versions:
    names = ("id", "name", "_valid_from", "_valid_to", "_is_current")
    rows = [tuple(row[n] for n in names) for row in lake.read("silver", "customers").to_pylist()]
    return sorted(rows, key=lambda row: (row[0], row[2]))


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


@pytest.mark.parametrize("seed", range(2))
def test_should_end_the_same_whatever_the_order_of_delivery(lake, seed):
    chance = random.Random(seed)
    source = lake.source(key=["id"], strategy="scd2", load="full_refresh", deletes="soft")
    loads = [Snapshot(seq, {k: chance.choice("ab") for k in chance.sample(range(3), 2)}, True) for seq in range(1, 7)]
    deliveries = loads + chance.sample(loads, 2)
    chance.shuffle(deliveries)
    for load in deliveries:
        rows = snapshot(*load.rows.items())
        refine(source.batch(load.seq, rows, claimed_at=loaded(load.seq)), lake.bucket)
    assert versions(lake) == history_of_snapshots(loads)


@dataclass(frozen=True)
class Snapshot:
    """A full load: key -> name; one that refreshes ends what it does not have."""

    seq: int
    rows: dict[int, str]
    refreshes: bool


def history_of_snapshots(loads: list[Snapshot]) -> Versions:
    """The simplest thing that can be right: loads compared one after the other."""
    held: dict[int, list[list[Any]]] = {}
    for load in sorted(loads, key=lambda load: load.seq):
        for key in {*held, *load.rows}:
            chain = held.setdefault(key, [])
            open_one = chain[-1] if chain and chain[-1][2] is None else None
            name = load.rows.get(key)
            if open_one and (name not in (None, open_one[0]) or (name is None and load.refreshes)):
                open_one[2] = day(load.seq)
            if name is not None and (open_one is None or open_one[0] != name):
                chain.append([name, day(load.seq), None])
    found = [(k, n, a, z, z is None) for k, chain in held.items() for n, a, z in chain]
    return sorted(found, key=lambda row: (row[0], row[2]))


def history_of_changes(batches: list[tuple[int, list[tuple[int, str, int | None]]]]) -> Versions:
    """The simplest thing that can be right: of each moment the latest batch's state, in the order of time."""
    held: dict[int, dict[datetime, str]] = {}
    for _, rows in sorted(batches):
        for key, name, at in rows:
            held.setdefault(key, {})[BEGINNING if at is None else day(at)] = name
    found: Versions = []
    for key, states in held.items():
        starts = sorted(states)
        for start, end in zip(starts, [*starts[1:], None], strict=True):
            found.append((key, states[start], start, end, end is None))
    return sorted(found, key=lambda row: (row[0], row[2]))


@dataclass
class Table:
    """A silver table in memory, changed by the statements under test alone."""

    cursor: str | None
    connection: duckdb.DuckDBPyConnection = field(default_factory=duckdb.connect)

    def __post_init__(self) -> None:
        self.connection.execute(
            f"CREATE TABLE {history.TARGET} (id INT, name VARCHAR, changed TIMESTAMP, _generation INT, _seq BIGINT, "
            "_sk_id VARCHAR, _valid_from TIMESTAMP, _valid_to TIMESTAMP, _is_current BOOLEAN)"
        )

    def apply(
        self,
        seq: int,
        rows: list[tuple[int, str, datetime | None]],
        confirmed: Load | None,
        refreshes: bool,
        tells_part: bool = False,
    ) -> None:
        at = round(loaded(seq) * 1_000_000)
        source = {"id": "INTEGER", "name": "VARCHAR", "changed": "TIMESTAMP"}
        plan = RefinePlan(source, {}, ["id"], self.cursor, "scd2", refreshes, "soft", "s", 1, seq, at)
        plan = replace(plan, tells_part=tells_part)
        since = "coalesce(changed, TIMESTAMP '0001-01-01')" if self.cursor else f"TIMESTAMP '{day(seq)}'"
        empty = "SELECT *, true AS _flowforge_applies FROM target LIMIT 0"
        self.connection.execute(f"CREATE OR REPLACE TABLE {history.STAGED} AS {empty}")
        for row in rows:
            self.connection.execute(
                f"INSERT INTO {history.STAGED} SELECT *, 1, {seq}, NULL, {since}, NULL, true, true "
                "FROM (SELECT $1::INT AS id, $2 AS name, $3::TIMESTAMP AS changed)",
                list(row),
            )
        types = dict(row[:2] for row in self.connection.execute(f"DESCRIBE {history.TARGET}").fetchall())
        for statement in history.steps(plan, types, confirmed):
            self.connection.execute(statement)
        self.connection.execute(
            f"CREATE OR REPLACE TABLE new AS SELECT * EXCLUDE (_flowforge_action) FROM {history.CHANGES}"
        )
        same = "t.id = m.id AND t._valid_from = m._valid_from"
        ends = "_valid_to = m._valid_to, _is_current = m._valid_to IS NULL"
        self.connection.execute(f"UPDATE target t SET {ends} FROM moves m WHERE {same} AND m._flowforge_action = 'end'")
        self.connection.execute(
            f"DELETE FROM target t USING moves m WHERE {same} AND m._flowforge_action IN ('update', 'delete', 'again')"
        )
        self.connection.execute("INSERT INTO target SELECT * FROM new")

    @property
    def versions(self) -> Versions:
        wanted = "SELECT id, name, _valid_from, _valid_to, _is_current FROM target ORDER BY id, _valid_from"
        return self.connection.execute(wanted).fetchall()


KEYS, NAMES = st.integers(0, 2), st.sampled_from("abc")
STATES = st.dictionaries(st.tuples(KEYS, st.none() | st.integers(0, 4)), NAMES, max_size=5)


@settings(max_examples=examples(20), deadline=None)
@given(batches=st.lists(STATES, min_size=1, max_size=6), data=st.data())
def test_should_keep_the_history_of_changes_in_any_order_of_batches(batches, data):
    sent = [(seq, [(key, name, at) for (key, at), name in rows.items()]) for seq, rows in enumerate(batches, 1)]
    table = Table("changed")
    for seq, rows in data.draw(st.permutations(sent)):
        table.apply(seq, [(k, n, None if at is None else day(at)) for k, n, at in rows], None, False)
    assert table.versions == history_of_changes(sent)


@settings(max_examples=examples(30), deadline=None)
@given(loads=st.lists(st.tuples(st.dictionaries(KEYS, NAMES), st.booleans()), min_size=1, max_size=7), data=st.data())
def test_should_keep_the_history_of_full_loads_in_any_order_of_batches(loads, data):
    whole = {key: "a" for key in range(3)}
    sent = [Snapshot(seq, rows if ends else whole | rows, ends) for seq, (rows, ends) in enumerate(loads, 1)]
    table, applied = Table(None), []
    for load in data.draw(st.permutations(sent)):
        later = [other for other in applied if other.seq > load.seq]
        following = min(later, key=lambda other: other.seq) if later else None
        confirmed = Load(round(loaded(following.seq) * 1_000_000), following.refreshes) if following else None
        table.apply(load.seq, [(key, name, None) for key, name in load.rows.items()], confirmed, load.refreshes)
        applied.append(load)
    assert table.versions == history_of_snapshots(sent)


@settings(max_examples=examples(15), deadline=None)
@given(loads=st.lists(st.dictionaries(KEYS, NAMES), min_size=1, max_size=6), data=st.data())
def test_should_end_with_the_newest_state_that_was_told_of_each_key_in_any_order_of_batches(loads, data):
    sent = [Snapshot(seq, rows, False) for seq, rows in enumerate(loads, 1)]
    in_order, table, applied = Table(None), Table(None), []
    for load in sent:
        in_order.apply(load.seq, [(key, name, None) for key, name in load.rows.items()], None, False, True)
    assert in_order.versions == history_of_snapshots(sent)
    for load in data.draw(st.permutations(sent)):
        later = sorted(other.seq for other in applied if other.seq > load.seq)
        times = tuple((order_of(1, seq), round(loaded(seq) * 1_000_000)) for seq in later)
        confirmed = Load(0, False, reads_all=False, times=times) if later else None
        table.apply(load.seq, [(key, name, None) for key, name in load.rows.items()], confirmed, False, True)
        applied.append(load)
    newest = {key: name for load in sent for key, name in load.rows.items()}
    assert {key: name for key, name, *_, current in table.versions if current} == newest
    for before, after in pairwise(table.versions):
        assert before[0] != after[0] or before[3] == after[2]  # without gaps: none of these loads tells of an end
    first = {key: load.seq for load in reversed(sent) for key in load.rows}
    assert all(any((k, a) == (key, day(seq)) for k, _, a, *_ in table.versions) for key, seq in first.items())
