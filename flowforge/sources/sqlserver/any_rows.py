"""What is asked of an interval of a table before it is claimed: whether it holds any row, since most loads of most tables find
nothing new, and how many rows in it the request's conditions leave out.

Guarantees: "no row" moves nothing, so a wrong one loses nothing: the next load starts at the same watermark. A row that somebody
is changing is passed over where reading would wait for it. Asked only where the answer costs less than the read would: an index
leads to the interval, or the table is small. A question for planning alone: whatever goes wrong, the interval is claimed, and
read.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from flowforge.domain.errors import FlowForgeError
from flowforge.domain.interval import Interval
from flowforge.sources.plans import Description
from flowforge.sources.sqlserver.connection import SourceConnection
from flowforge.sources.sqlserver.consistency import LOCKED, SNAPSHOT, under
from flowforge.sources.sqlserver.description import TableDescription
from flowforge.sources.sqlserver.sql_text import any_row_statement, outside_statement
from flowforge.sources.sqlserver.statement import Relation, Statement

SMALL_ROWS = 100_000  # of a table that is looked through without an index: some milliseconds
_BACK = "SET TRANSACTION ISOLATION LEVEL READ COMMITTED"
_UNKNOWN = object()


def is_cheap(description: TableDescription, interval: Interval) -> bool:
    """Whether the question is worth it for this table and interval."""
    if description.type != "table" or interval.column is None or interval.high is None or interval.ties:
        return False
    estimate = description.row_estimate
    return interval.column in description.indexed_columns or (estimate is not None and estimate <= SMALL_ROWS)


def holds_no_row(
    connection: SourceConnection, description: TableDescription, interval: Interval, offered: Sequence[str]
) -> bool:
    """Whether the interval is empty, seen as the read would see it; False also where that cannot be said."""
    answer = _asked(connection, description, interval, offered, any_row_statement)
    return answer is not _UNKNOWN and answer is None


def told_outside(connection: SourceConnection, description: Description, interval: Interval) -> list[str]:
    """What a run says of rows that have changed since the last load and do not fit the request's conditions: one that fitted
    them before is in silver, as it was then."""
    table = description.detail.table
    if not interval.where or interval.low is None:
        return []
    rows = None
    if is_cheap(table, interval):
        rows = _asked(connection, table, interval, description.detail.offered, outside_statement)
    if rows == 0:
        return []
    counted = f"{rows} rows" if isinstance(rows, int) else "rows (not counted)"
    return [
        f"where: {counted} that changed since the last load do not fit it, and were not read; those that fitted before stay in "
        "silver as they were, until a full_refresh takes them out; they are named by: "
        f"flowforge reconcile {description.wanted.bronze_table}"
    ]


def _asked(
    connection: SourceConnection,
    description: TableDescription,
    interval: Interval,
    offered: Sequence[str],
    question: Callable[[Relation, Interval, bool], Statement],
) -> Any:
    """One value of a table, seen as the read would see it; _UNKNOWN where there is no answer."""
    consistency = offered[0] if offered else LOCKED
    statement = under(consistency, question(description, interval, consistency == LOCKED))
    try:
        if consistency == SNAPSHOT:
            statement += f";\n{_BACK}"
            connection.ask_together(
                statement, about=description.qualified_name
            )  # to its end, which sets the session back
        return connection.scalar(statement, about=description.qualified_name)
    except FlowForgeError:
        if consistency == SNAPSHOT:  # a refused statement leaves the session there
            with suppress(FlowForgeError):
                connection.run(_BACK)
        return _UNKNOWN
