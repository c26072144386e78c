"""Whether an interval of a table holds any row, asked before the interval is claimed: most loads of most tables find nothing new.

Guarantees: "no row" moves nothing, so a wrong one loses nothing: the next load starts at the same watermark. A row that somebody
is changing is passed over where reading would wait for it. Asked only where the answer costs less than the read would: an index
leads to the interval, or the table is small. A question for planning alone: whatever goes wrong, the interval is claimed, and
read.
"""

from collections.abc import Sequence
from contextlib import suppress

from flowforge.domain.batch import Interval
from flowforge.domain.errors import FlowForgeError
from flowforge.sources.sqlserver.connection import SourceConnection
from flowforge.sources.sqlserver.consistency import LOCKED, SNAPSHOT, under
from flowforge.sources.sqlserver.description import TableDescription
from flowforge.sources.sqlserver.sql_text import any_row_statement

SMALL_ROWS = 100_000  # of a table that is looked through without an index: some milliseconds
_BACK = "SET TRANSACTION ISOLATION LEVEL READ COMMITTED"


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
    consistency = offered[0] if offered else LOCKED
    statement = under(consistency, any_row_statement(description, interval, pass_locked=consistency == LOCKED))
    try:
        return connection.scalar(statement, about=description.qualified_name) is None
    except FlowForgeError:
        return False
    finally:
        if consistency == SNAPSHOT:  # a refused statement leaves the session there, too
            with suppress(FlowForgeError):
                connection.run(_BACK)
