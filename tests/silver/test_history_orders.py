"""A history ends the same in whatever order its batches come: compared with a model in Python."""

import random
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import pairwise
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowforge.domain.batch import order_of
from flowforge.silver import history
from flowforge.silver.plan import RefinePlan
from flowforge.silver.refine import refine
from flowforge.silver.transactions import Load
from tests.helpers.examples import examples
from tests.helpers.histories import BEGINNING, Versions, day, loaded, snapshot, versions


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
