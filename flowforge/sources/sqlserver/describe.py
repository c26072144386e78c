"""Describes a table as people need it before they load it: canonical types, keys, cursor candidates, a few rows."""

from typing import Any

from flowforge.domain.errors import FlowForgeError
from flowforge.sources.sqlserver.catalog import TableDescription, describe_table, preview
from flowforge.sources.sqlserver.change_tracking import told_of_table
from flowforge.sources.sqlserver.connection import SourceConnection
from flowforge.sources.sqlserver.optional import said_of
from flowforge.sources.sqlserver.sql_types import parse_sql_type
from flowforge.sources.sqlserver.upper_bound import promises

OF_CHANGES = "exact: every insert, update and delete that is committed"
UNCHANGED_SINCE = {"integer": "; rows that change later are not seen"}


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
        "cursor_candidates": _candidates(source, found),
        "change_tracking": _tracking(source, found),
        "preview": {"columns": names, "rows": values},
    }


def _candidates(source: SourceConnection, found: TableDescription) -> list[dict[str, Any]]:
    kinds = [(column, parse_sql_type(column.sql_type).cursor_kind) for column in found.columns]
    told = _promises(source) if any(kind for _, kind in kinds) else {}
    return [
        {
            "column": c.name,
            "sql_type": c.sql_type,
            "kind": kind,
            "indexed": c.name in found.indexed_columns,
            "promise": told[kind],
        }
        for c, kind in kinds
        if kind
    ]


def _promises(source: SourceConnection) -> dict[str, str]:
    """What each kind of cursor promises; for people alone, so that what cannot be asked is told and nothing more."""
    try:
        told = promises(source)
    except FlowForgeError as error:
        told = dict.fromkeys(("timestamp", "integer", "rowversion"), f"not known: {said_of(error)}")
    return {kind: text + UNCHANGED_SINCE.get(kind, "") for kind, text in told.items()}


def _tracking(source: SourceConnection, found: TableDescription) -> dict[str, Any]:
    told = told_of_table(source, found)
    return told | {"promise": OF_CHANGES} if told["on"] and not told["statements"] else told
