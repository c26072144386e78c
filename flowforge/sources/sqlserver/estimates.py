"""How much a planned read brings, and what a person should know of its table before the first load; for planning alone.

Guarantees: nothing here fails a plan: what the server does not answer is not known.
"""

from flowforge.domain.errors import FlowForgeError
from flowforge.sources.plans import Description, Estimate, ReadPlan
from flowforge.sources.sqlserver.any_rows import is_cheap
from flowforge.sources.sqlserver.catalog import bytes_of
from flowforge.sources.sqlserver.catalog_sql import HEAP
from flowforge.sources.sqlserver.connection import SourceConnection
from flowforge.sources.sqlserver.description import TableDescription
from flowforge.sources.sqlserver.sql_text import count_statement
from flowforge.sources.sqlserver.tracked_changes import count_changes_statement


def estimate_of(connection: SourceConnection, description: Description, plan: ReadPlan) -> Estimate:
    """Rows and bytes of a plan: counted where an index leads to its interval or the table is small, else the catalog's."""
    table = description.detail.table
    if table is None:
        return Estimate(warnings=["how many rows a query returns is not known before it is read"])
    rows, counted = table.row_estimate, False
    if plan.interval.is_changes:
        rows = _changes(connection, table, plan)
        counted = rows is not None
    elif not plan.interval.is_whole_table and (plan.interval.column is not None or plan.interval.where):
        rows = _counted(connection, table, plan) if is_cheap(table, plan.interval) else None
        counted = rows is not None
    per_row = (bytes_of(connection, table) or 0) / table.row_estimate if table.row_estimate else None
    size = round(rows * per_row) if rows is not None and per_row is not None else None
    return Estimate(rows, counted, size, _warnings(connection, description, table, plan))


def _changes(connection: SourceConnection, table: TableDescription, plan: ReadPlan) -> int | None:
    try:
        return int(connection.scalar(count_changes_statement(table, plan.interval), about=table.qualified_name) or 0)
    except FlowForgeError:
        return None


def _counted(connection: SourceConnection, table: TableDescription, plan: ReadPlan) -> int | None:
    try:
        return int(connection.scalar(count_statement(table, plan.interval), about=table.qualified_name) or 0)
    except FlowForgeError:
        return None


def _is_heap(connection: SourceConnection, table: TableDescription) -> bool:
    try:
        return bool(connection.scalar(HEAP, (table.object_id,), table.qualified_name))
    except FlowForgeError:
        return False


def _warnings(
    connection: SourceConnection, description: Description, table: TableDescription, plan: ReadPlan
) -> list[str]:
    told = []
    if table.type == "table" and _is_heap(connection, table):
        told.append("a heap: without a clustered index each row of a slice or interval is looked up on its own")
    if table.type == "table" and not table.primary_key:
        told.append("no primary key: the table is read at once, in no slices")
    if not description.wanted.key and not table.primary_key and not description.wanted.adds_only:
        told.append("no key: name one by silverConfig.primaryKey, or rows are told apart by their content")
    if plan.interval.ties:
        told.append(
            f"several rows can have one {plan.interval.column}: those with the last number are read again by the next load"
        )
    return told
