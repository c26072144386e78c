"""Which of many tables need no load, whatever they are read by: Change Tracking, or a column with a time.

Each kind has its part of the time, by its tables. Where one has no answer, that of the other holds.
"""

from collections.abc import Callable, Sequence

from flowforge.domain.errors import FlowForgeError
from flowforge.runtime.time_limit import seconds_left, within
from flowforge.sources.plans import LoadedTable, StandsStill
from flowforge.sources.sqlserver.connection import SourceConnection
from flowforge.sources.sqlserver.cursor_tables import tables_without_new_rows
from flowforge.sources.sqlserver.tracked_tables import tables_without_changes

_Question = Callable[[SourceConnection, Sequence[LoadedTable]], StandsStill | None]


def standing_still(connection: SourceConnection, tables: Sequence[LoadedTable]) -> StandsStill | None:
    """See `Session.standing_still`; the position that is told is that of Change Tracking alone."""
    tracked = [n for n, one in enumerate(tables) if one.read.change_tracking]
    others = [n for n, one in enumerate(tables) if not one.read.change_tracking]
    if not tracked or not others:
        return (tables_without_changes if tracked else tables_without_new_rows)(connection, tables)
    with within(seconds_left() * len(tracked) / len(tables)):
        changes = _asked(tables_without_changes, connection, tables, tracked)
    rows = _asked(tables_without_new_rows, connection, tables, others)
    told = {**changes.tables, **rows.tables}
    unasked = "; ".join(found.unasked for found in (changes, rows) if found.unasked)
    return StandsStill(told, changes.position, changes.kept_seconds, unasked)


def _asked(
    question: _Question, connection: SourceConnection, tables: Sequence[LoadedTable], places: Sequence[int]
) -> StandsStill:
    """The answer for the tables at these places, by their places; none of them where there is none, and why."""
    try:
        found = question(connection, [tables[n] for n in places])
    except FlowForgeError as error:
        return StandsStill({}, unasked=f"{len(places)} tables: {error}")
    return found._replace(tables={places[n]: why for n, why in found.tables.items()}) if found else StandsStill({})
