# ruff: noqa: S608 - SQL text of quoted names and counted values
"""The one Delta commit that applies a batch's rows, for every strategy.

Guarantees: all of a batch or nothing is in the table. Merges rewrite only the files that hold a row of the batch. What a commit
changes is counted before it, so that its metadata can tell.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from flowforge.domain.given import given
from flowforge.engines.base import Rows, Session
from flowforge.engines.duckdb.sql import identifier
from flowforge.silver import history
from flowforge.silver.matching import forms, with_forms
from flowforge.silver.merging import MARKED, REMOVED, REPLACED, STAYS, Arriving, Merge, Rules, receive
from flowforge.silver.plan import (
    APPLIES,
    CURRENT,
    DELETED,
    GENERATION,
    SEQ,
    SURROGATE,
    VALID_FROM,
    VALID_TO,
    RefinePlan,
)
from flowforge.silver.transactions import Load
from flowforge.tables.base import Commit, LakeTable
from flowforge.tables.rows import column_types, relation, types_of, write_files


@dataclass(frozen=True)
class Change:
    """Rows that a batch adds, changes, and removes (or marks as removed, or ends)."""

    inserted: int = 0
    updated: int = 0
    deleted: int = 0


@dataclass(frozen=True)
class Written:
    """What was committed, and how many rows the table has with it."""

    change: Change
    rows: int


Properties = Callable[[Change], Commit]


def write_rows(
    connection: Session,
    table: LakeTable,
    plan: RefinePlan,
    rows: Rows,
    properties: Properties,
) -> Written:
    """Adds rows to an empty table or one that is only added to, and merges them into any other."""
    if table.count() and not plan.adds_only:
        return _merge_rows(connection, table, plan, rows, properties)
    return _add_rows(connection, table, rows.filter(APPLIES).sql_query(), properties)


def write_nothing(table: LakeTable, properties: Properties) -> Written:
    """Commits the batch's marks alone: there is nothing that it could change."""
    table.swap([], [], properties(Change()))
    return Written(Change(), table.count())


def write_history(
    connection: Session,
    table: LakeTable,
    plan: RefinePlan,
    rows: Rows,
    confirmed: Load | None,
    properties: Properties,
) -> Written:
    """Applies the batch's states to their keys' versions; `confirmed` is the next full load after a batch that comes late."""
    connection.sql(with_forms(plan, rows.sql_query(), types_of(rows))).create_view(history.STAGED, replace=True)
    if not table.count():
        (several,) = given(connection.execute(history.keys_with_several_states(plan)).fetchone())
        return _add_rows(connection, table, history.first_versions(plan, several=several > 0), properties)
    types = column_types(connection, table)
    held = with_forms(plan, relation(connection, table).sql_query(), types)
    connection.sql(held).create_view(history.TARGET, replace=True)
    for statement in history.steps(plan, types, confirmed):
        connection.execute(statement)
    change = Change(*given(connection.execute(history.figures()).fetchone()))
    if change == Change():
        return write_nothing(table, properties)
    row_actions = {history.UPDATE: REPLACED, history.DELETE: REMOVED, history.END: MARKED}
    on_match = " ".join(f"WHEN '{change}' THEN '{action}'" for change, action in row_actions.items())
    rules = Rules(
        f"CASE s._action {on_match} ELSE '{STAYS}' END",
        arrives=f"s._action = '{history.INSERT}'",
        noted={"_until": f"s.{VALID_TO}"},
        marks={VALID_TO: "f._until", CURRENT: "f._until IS NULL"},
    )
    arriving = Arriving(history.CHANGES, True, history.MOVES)
    identity = {match: name in plan.nullable for name, match in plan.matches.items()} | {VALID_FROM: False}
    merge = Merge(connection, table, arriving, identity, rules, forms(plan, types), [SURROGATE])
    return Written(change, merge.commit(merge.count_added(), properties(change)))


def _add_rows(connection: Session, table: LakeTable, query: str, properties: Properties) -> Written:
    files = write_files(connection, table, query)
    change = Change(inserted=sum(file.rows for file in files))
    table.swap([], files, properties(change))
    return Written(change, table.count() + change.inserted)


def _merge_rows(
    connection: Session,
    table: LakeTable,
    plan: RefinePlan,
    rows: Rows,
    properties: Properties,
) -> Written:
    older = f"(t.{GENERATION}, t.{SEQ}) < ({plan.generation}, {plan.seq})"
    on_match = f"CASE WHEN s.{APPLIES} AND {older} THEN '{REPLACED}' ELSE '{STAYS}' END"
    rules = Rules(on_match if plan.strategy != "append" else f"'{STAYS}'", arrives=f"s.{APPLIES}")
    if plan.key_folds and plan.strategy != "append":
        noted = {"_generation": f"t.{GENERATION}", "_seq": f"t.{SEQ}"}
        rules = replace(rules, one_row="_generation DESC, _seq DESC", noted=noted)
    if plan.refreshes and plan.marks_deleted:
        on_missing = f"CASE WHEN {older} AND t.{DELETED} IS NOT TRUE THEN '{MARKED}' ELSE '{STAYS}' END"
        marks = {DELETED: "true", GENERATION: f"{plan.generation}::INTEGER", SEQ: f"{plan.seq}::BIGINT"}
        rules = replace(rules, on_missing=on_missing, marks=marks)
    elif plan.refreshes:
        rules = replace(rules, on_missing=f"CASE WHEN {older} THEN '{REMOVED}' ELSE '{STAYS}' END")
    types = column_types(connection, table)
    arriving = receive(connection, connection.sql(with_forms(plan, rows.sql_query(), types_of(rows))))
    identity = {plan.matches.get(name, name): name == plan.cursor or name in plan.nullable for name in plan.identity}
    identity = _with_nulls(connection, arriving, identity)
    merge = Merge(connection, table, arriving, identity, rules, forms(plan, types), [SURROGATE])
    change = Change(merge.count_added(), merge.count(REPLACED), merge.count(REMOVED) + merge.count(MARKED))
    return Written(change, merge.commit(change.inserted, properties(change)))


def _with_nulls(connection: Session, arriving: Arriving, identity: dict[str, bool]) -> dict[str, bool]:
    """The identity with only those columns as nullable in which a row that arrives has NULL: others let files be passed by."""
    possible = [name for name, nullable in identity.items() if nullable]
    if not possible:
        return identity
    counts = ", ".join(f"count(*) - count({identifier(name)})" for name in possible)
    found = connection.execute(f"SELECT {counts} FROM {arriving.name}").fetchone()
    return identity | {name: count > 0 for name, count in zip(possible, given(found), strict=True)}
