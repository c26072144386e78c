# ruff: noqa: S608 - SQL text of quoted names and counted values; no cell or request text is pasted in
"""The one Delta commit that applies a batch's rows, for every strategy.

Guarantees: all of a batch or nothing is in the table. Merges prune: `streamed_exec=False` makes delta-rs read only files whose
key range the batch touches. What a commit changes is counted before it, so that its metadata can tell.
"""

from collections.abc import Callable
from dataclasses import dataclass

import duckdb
from deltalake import CommitProperties, DeltaTable, write_deltalake
from deltalake.table import TableMerger

from flowforge.lake.sql import identifier
from flowforge.lake.tables import relation
from flowforge.silver import history
from flowforge.silver.marks import Load
from flowforge.silver.plan import APPLIES, DELETED, GENERATION, SEQ, RefinePlan


@dataclass(frozen=True)
class Change:
    """Rows that a batch adds, changes, and removes (or marks as removed, or ends). None: the commit's own metrics tell."""

    inserted: int | None = None
    updated: int | None = None
    deleted: int | None = None


Properties = Callable[[Change], CommitProperties]


def write_rows(
    connection: duckdb.DuckDBPyConnection,
    table: DeltaTable,
    plan: RefinePlan,
    rows: duckdb.DuckDBPyRelation,
    properties: Properties,
) -> Change:
    """Adds rows to an empty table or one that is only added to, and merges them into any other."""
    count = table.count()
    if count and not plan.adds_only:
        return _merge_rows(connection, table, plan, rows, properties)
    write_deltalake(
        table,
        rows.filter(APPLIES).project(f"* EXCLUDE ({APPLIES})"),
        mode="append",
        schema_mode="merge",
        commit_properties=properties(Change()),
    )
    return Change(table.count() - count, 0, 0)


def _merge_rows(
    connection: duckdb.DuckDBPyConnection,
    table: DeltaTable,
    plan: RefinePlan,
    rows: duckdb.DuckDBPyRelation,
    properties: Properties,
) -> Change:
    marked = _count_missing(connection, table, plan, rows) if plan.refreshes and plan.marks_deleted else 0
    change = Change(deleted=marked) if marked else Change()
    older = f"(t.{GENERATION} < {plan.generation} OR (t.{GENERATION} = {plan.generation} AND t.{SEQ} < {plan.seq}))"
    values = _values(rows)
    merger = _merger(table, plan, rows, properties(change)).when_not_matched_insert(values, predicate=f"s.{APPLIES}")
    if plan.strategy != "append":
        merger = merger.when_matched_update(values, predicate=f"s.{APPLIES} AND {older}")
    if plan.refreshes and plan.marks_deleted:
        gone = {DELETED: "true", GENERATION: str(plan.generation), SEQ: str(plan.seq)}
        merger = merger.when_not_matched_by_source_update(gone, predicate=f"{older} AND t.{DELETED} IS NOT TRUE")
    elif plan.refreshes:
        merger = merger.when_not_matched_by_source_delete(predicate=older)
    figures = merger.execute()
    return Change(
        figures["num_target_rows_inserted"],
        figures["num_target_rows_updated"] - marked,
        figures["num_target_rows_deleted"] + marked,
    )


def _count_missing(
    connection: duckdb.DuckDBPyConnection, table: DeltaTable, plan: RefinePlan, rows: duckdb.DuckDBPyRelation
) -> int:
    """Rows that a soft refresh will mark: of an earlier batch, not marked yet, and not in this one."""
    older = f"({GENERATION}, {SEQ}) < ({plan.generation}, {plan.seq})"
    relation(connection, table).create_view("present", replace=True)
    rows.create_view("arriving", replace=True)
    same = " AND ".join(f"{identifier(name, 'p')} = {identifier(name, 'a')}" for name in plan.identity)
    held = f"SELECT * FROM present WHERE {older} AND {DELETED} IS NOT TRUE"
    return connection.execute(f"SELECT count(*) FROM ({held}) p ANTI JOIN arriving a ON {same}").fetchone()[0]


def write_history(
    connection: duckdb.DuckDBPyConnection,
    table: DeltaTable,
    plan: RefinePlan,
    rows: duckdb.DuckDBPyRelation,
    confirmed: Load | None,
    properties: Properties,
) -> Change:
    """Applies the batch's states to their keys' versions; `confirmed` is the next full load after a batch that comes late."""
    rows.create_view(history.STAGED, replace=True)
    if not table.count():
        first = connection.sql(history.first_versions(plan))
        write_deltalake(table, first, mode="append", schema_mode="merge", commit_properties=properties(Change()))
        return Change(table.count(), 0, 0)
    columns = [name for name in rows.columns if name != APPLIES]
    relation(connection, table).create_view(history.TARGET, replace=True)
    for statement in history.steps(plan, columns, confirmed):
        connection.execute(statement)
    change = Change(*connection.execute(history.figures()).fetchone())
    changes = connection.table(history.CHANGES)
    if change != Change(0, 0, 0):
        merger = _merger(table, plan, changes, properties(change))
        merger = merger.when_not_matched_insert(_values(changes), predicate="s._action = 'insert'")
        merger = merger.when_matched_update(_values(changes), predicate="s._action = 'update'")
        merger.when_matched_delete(predicate="s._action = 'delete'").execute()
    return change


def _merger(
    table: DeltaTable, plan: RefinePlan, rows: duckdb.DuckDBPyRelation, properties: CommitProperties
) -> TableMerger:
    return table.merge(
        rows,
        " AND ".join(_same(name, name == plan.cursor) for name in plan.identity),
        source_alias="s",
        target_alias="t",
        merge_schema=True,
        streamed_exec=False,
        commit_properties=properties,
    )


def _values(rows: duckdb.DuckDBPyRelation) -> dict[str, str]:
    return {identifier(name, "t"): identifier(name, "s") for name in rows.columns if name not in (APPLIES, "_action")}


def _same(name: str, may_be_null: bool) -> str:
    ours, theirs = identifier(name, "s"), identifier(name, "t")
    return f"({theirs} = {ours} OR ({theirs} IS NULL AND {ours} IS NULL))" if may_be_null else f"{theirs} = {ours}"
