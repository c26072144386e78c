"""The one Delta commit that applies a batch's rows, for every strategy.

Guarantees: all of a batch or nothing is in the table. Merges rewrite only the files that hold a row of the batch. What a commit
changes is counted before it, so that its metadata can tell.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import duckdb
from deltalake import CommitProperties, DeltaTable

from flowforge.lake.rewriting import swap, write_files
from flowforge.lake.tables import column_types, relation
from flowforge.silver import history
from flowforge.silver.marks import Load
from flowforge.silver.merging import MARKED, REMOVED, REPLACED, STAYS, Arriving, Merge, Rules, receive
from flowforge.silver.plan import APPLIES, CURRENT, DELETED, GENERATION, SEQ, VALID_TO, RefinePlan


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


Properties = Callable[[Change], CommitProperties]


def write_rows(
    connection: duckdb.DuckDBPyConnection,
    table: DeltaTable,
    plan: RefinePlan,
    rows: duckdb.DuckDBPyRelation,
    properties: Properties,
) -> Written:
    """Adds rows to an empty table or one that is only added to, and merges them into any other."""
    if table.count() and not plan.adds_only:
        return _merge_rows(connection, table, plan, rows, properties)
    return _add_rows(connection, table, rows.filter(APPLIES).sql_query(), properties)


def write_nothing(table: DeltaTable, properties: Properties) -> Written:
    """Commits the batch's marks alone: there is nothing that it could change."""
    swap(table, [], [], properties(Change()))
    return Written(Change(), table.count())


def write_history(
    connection: duckdb.DuckDBPyConnection,
    table: DeltaTable,
    plan: RefinePlan,
    rows: duckdb.DuckDBPyRelation,
    confirmed: Load | None,
    properties: Properties,
) -> Written:
    """Applies the batch's states to their keys' versions; `confirmed` is the next full load after a batch that comes late."""
    rows.create_view(history.STAGED, replace=True)
    if not table.count():
        (several,) = connection.execute(history.keys_with_several_states(plan)).fetchone()
        return _add_rows(connection, table, history.first_versions(plan, several=several > 0), properties)
    relation(connection, table).create_view(history.TARGET, replace=True)
    for statement in history.steps(plan, column_types(connection, table), confirmed):
        connection.execute(statement)
    change = Change(*connection.execute(history.figures()).fetchone())
    if change == Change():
        return write_nothing(table, properties)
    fates = {history.UPDATE: REPLACED, history.DELETE: REMOVED, history.END: MARKED}
    met = " ".join(f"WHEN '{action}' THEN '{fate}'" for action, fate in fates.items())
    rules = Rules(
        f"CASE s._action {met} ELSE '{STAYS}' END",
        arrives=f"s._action = '{history.INSERT}'",
        noted={"_until": f"s.{VALID_TO}"},
        marks={VALID_TO: "f._until", CURRENT: "f._until IS NULL"},
    )
    arriving = Arriving(history.CHANGES, True, history.MOVES)
    merge = Merge(connection, table, arriving, dict.fromkeys(plan.identity, False), rules)
    return Written(change, merge.commit(merge.count_added(), properties(change)))


def _add_rows(connection: duckdb.DuckDBPyConnection, table: DeltaTable, query: str, properties: Properties) -> Written:
    files = write_files(connection, table, query)
    change = Change(inserted=sum(file.rows for file in files))
    swap(table, [], files, properties(change))
    return Written(change, table.count() + change.inserted)


def _merge_rows(
    connection: duckdb.DuckDBPyConnection,
    table: DeltaTable,
    plan: RefinePlan,
    rows: duckdb.DuckDBPyRelation,
    properties: Properties,
) -> Written:
    older = f"(t.{GENERATION}, t.{SEQ}) < ({plan.generation}, {plan.seq})"
    met = f"CASE WHEN s.{APPLIES} AND {older} THEN '{REPLACED}' ELSE '{STAYS}' END"
    rules = Rules(met if plan.strategy != "append" else f"'{STAYS}'", arrives=f"s.{APPLIES}")
    if plan.refreshes and plan.marks_deleted:
        missed = f"CASE WHEN {older} AND t.{DELETED} IS NOT TRUE THEN '{MARKED}' ELSE '{STAYS}' END"
        marks = {DELETED: "true", GENERATION: f"{plan.generation}::INTEGER", SEQ: f"{plan.seq}::BIGINT"}
        rules = replace(rules, missed=missed, marks=marks)
    elif plan.refreshes:
        rules = replace(rules, missed=f"CASE WHEN {older} THEN '{REMOVED}' ELSE '{STAYS}' END")
    merge = Merge(
        connection, table, receive(connection, rows), {name: name == plan.cursor for name in plan.identity}, rules
    )
    change = Change(merge.count_added(), merge.count(REPLACED), merge.count(REMOVED) + merge.count(MARKED))
    return Written(change, merge.commit(change.inserted, properties(change)))
