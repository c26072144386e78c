"""Which of many tables need no load, whatever they are read by: Change Tracking, or a column with a time."""

from collections.abc import Sequence

from flowforge.sources.plans import LoadedTable, StandsStill
from flowforge.sources.sqlserver.connection import SourceConnection
from flowforge.sources.sqlserver.cursor_tables import tables_without_new_rows
from flowforge.sources.sqlserver.tracked_tables import tables_without_changes


def standing_still(connection: SourceConnection, tables: Sequence[LoadedTable]) -> StandsStill | None:
    """See `Session.standing_still`; the position that is told is that of Change Tracking alone."""
    tracked = [n for n, one in enumerate(tables) if one.read.change_tracking]
    others = [n for n, one in enumerate(tables) if not one.read.change_tracking]
    changes = tables_without_changes(connection, [tables[n] for n in tracked]) if tracked else None
    rows = tables_without_new_rows(connection, [tables[n] for n in others]) if others else None
    if changes is None and rows is None:
        return None
    told = {tracked[n]: why for n, why in changes.tables.items()} if changes else {}
    told |= {others[n]: why for n, why in rows.tables.items()} if rows else {}
    unasked = "; ".join(found.unasked for found in (changes, rows) if found and found.unasked)
    return StandsStill(told, changes and changes.position, changes and changes.kept_seconds, unasked)
