"""Which tables can be asked about together (`standing_still`), from what their loads left; nobody connects for the others."""

from flowforge.sources.plans import LoadedTable
from flowforge.sources.sqlserver.sql_types import cursor_kind, parse_sql_type


def is_asked_together(table: LoadedTable) -> bool:
    """Whether it is read by Change Tracking, or by a column with a time."""
    return table.read.change_tracking or is_dated(table)


def is_dated(table: LoadedTable) -> bool:
    """Whether its watermark is a time, and it is known which table it was taken from."""
    sql_type = table.last.position.type if table.last.position else None
    if not sql_type or cursor_kind(sql_type) != "timestamp" or parse_sql_type(sql_type).base == "date":
        return False
    return table.last.identity.get("object_id") is not None
