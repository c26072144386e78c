"""Describes a table as people need it before they load it: canonical types, keys, cursor candidates, a few rows."""

from typing import Any

from flowforge.sources.sqlserver.catalog import TableDescription, describe_table, preview
from flowforge.sources.sqlserver.change_tracking import told_of_table
from flowforge.sources.sqlserver.connection import SourceConnection
from flowforge.sources.sqlserver.sql_types import parse_sql_type


def describe(source: SourceConnection, table: str, rows: int) -> dict[str, Any]:
    """The description of `table` with a preview of `rows` rows. Raises UnknownTable, or what the source raises."""
    from flowforge.sources.sqlserver.arrow_types import arrow_type

    found = describe_table(source, table)
    names, values = preview(source, found, rows) if rows else ([column.name for column in found.columns], [])
    columns = [
        {
            "name": column.name,
            "sql_type": column.sql_type,
            "nullable": column.nullable,
            "arrow_type": str(arrow_type(column.sql_type)),
            "primary_key": column.name in found.primary_key,
            "identity": column.identity,
        }
        for column in found.columns
    ]
    return {
        "schema": found.schema_name,
        "name": found.name,
        "object_id": found.object_id,
        "row_estimate": found.row_estimate,
        "primary_key": found.primary_key,
        "columns": columns,
        "cursor_candidates": _candidates(found),
        "change_tracking": told_of_table(source, found),
        "preview": {"columns": names, "rows": values},
    }


def _candidates(found: TableDescription) -> list[dict[str, Any]]:
    kinds = [(column, parse_sql_type(column.sql_type).cursor_kind) for column in found.columns]
    return [
        {"column": c.name, "sql_type": c.sql_type, "kind": kind, "indexed": c.name in found.indexed_columns}
        for c, kind in kinds
        if kind
    ]
