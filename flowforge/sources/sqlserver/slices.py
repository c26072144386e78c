"""Slices: a large table is read as ranges of its primary key, so that no read is long and several can run at once.

A table is large by its rows or by its bytes: few rows of megabytes each are sliced too. Guarantees: the ranges cover every key
and do not overlap; the first is open below, the last above; each holds the same number
of rows when it is planned, however skewed the keys are, since the boundaries are the keys of every n-th row. Boundaries are
printed and compared by the server only, in the key's own type and collation. A heap, a view, a query and a key that cannot be
printed without loss are one slice. Each slice is a statement of its own: it sees what is committed when it starts; rows that
are changed meanwhile have a cursor above the interval and come with the next one.
"""

import math
import sys
from collections.abc import Sequence
from itertools import pairwise

from flowforge.domain.interval import Interval
from flowforge.domain.own_columns import OURS
from flowforge.domain.slice_plan import KeyRange, SlicePlan
from flowforge.domain.source_columns import SourceColumn
from flowforge.runtime.settings import settings
from flowforge.sources.sqlserver.catalog import bytes_of
from flowforge.sources.sqlserver.conditions import interval_condition, where
from flowforge.sources.sqlserver.connection import SourceConnection
from flowforge.sources.sqlserver.consistency import SNAPSHOT
from flowforge.sources.sqlserver.description import TableDescription
from flowforge.sources.sqlserver.keys import is_printable, key_value, printed_key
from flowforge.sources.sqlserver.optional import estimate
from flowforge.sources.sqlserver.sql_text import count_statement
from flowforge.sources.sqlserver.statement import Statement, qualified, quote_identifier
from flowforge.sources.sqlserver.tracked_changes import LOG_ROWS, changed_keys, count_changes_statement

MOST_SLICES = 256
PLACE = f"{OURS}place"  # of a row in the order of keys; a column of the table may have any other name


def plan_slices(
    connection: SourceConnection, description: TableDescription, interval: Interval, offered: Sequence[str] = ()
) -> SlicePlan | None:
    """The ranges of a batch that is large in rows or in bytes; None when it is to be read at once.

    A table below both thresholds by the catalog's estimates is not looked at; above one the rows of the interval are counted,
    and taken to be as large as the table's rows are on average.
    """
    key = _key_of(description)
    row_bytes = _row_bytes(connection, description) if key else 0
    if not key or _slices_of(description.row_estimate or 0, row_bytes) < 2:
        return None
    relation = Statement((f"FROM {qualified(description)}",)) + where(interval_condition(interval))
    return _planned(connection, description, key, row_bytes, count_statement(description, interval), relation, offered)


def plan_change_slices(
    connection: SourceConnection, description: TableDescription, interval: Interval
) -> SlicePlan | None:
    """The same for the changes of an interval, whose keys the log has: ranges of the keys that have changed. A log that is small
    as a whole, by the catalog's count, is not looked at."""
    logged = estimate(connection, LOG_ROWS, (description.object_id,), "the size of its log", "its changes are counted")
    key = _key_of(description)
    row_bytes = _row_bytes(connection, description) if key else 0
    if not key or _slices_of(sys.maxsize if logged is None else logged, row_bytes) < 2:
        return None
    changed, counting = (
        Statement((changed_keys(description, interval),)),
        count_changes_statement(description, interval),
    )
    return _planned(connection, description, key, row_bytes, counting, changed, [SNAPSHOT])


def _key_of(description: TableDescription) -> list[SourceColumn]:
    """The primary key's columns; none where one of them cannot be printed."""
    key = [c for name in description.primary_key for c in description.source_columns if c.name == name]
    return key if all(map(is_printable, key)) else []


def _row_bytes(connection: SourceConnection, description: TableDescription) -> float:
    """What a row takes on average, by the catalog; 0 where it does not say."""
    return (bytes_of(connection, description) or 0) / max(1, description.row_estimate or 0)


def _planned(
    connection: SourceConnection,
    description: TableDescription,
    key: list[SourceColumn],
    row_bytes: float,
    counting: Statement,
    relation: Statement,
    offered: Sequence[str],
) -> SlicePlan | None:
    """Ranges that each hold as many of the rows of `relation`, a FROM clause that `counting` counts."""
    rows = int(connection.scalar(counting, about=description.qualified_name) or 0)
    count = _slices_of(rows, row_bytes)
    if count < 2:
        return None
    found = connection.rows(boundary_statement(key, relation, -(-rows // count)), about=description.qualified_name)
    bounds: list[list[str] | None] = [
        None,
        *([str(row[f"{OURS}key_{n}"]) for n in range(len(key))] for row in found),
        None,
    ]
    return SlicePlan(
        schema_name=description.schema_name,
        name=description.name,
        columns=description.source_columns,
        key=key,
        primary_key=description.primary_key,
        ranges=[KeyRange(low=low, high=high) for low, high in pairwise(bounds)],
        offered=list(offered),
    )


def _slices_of(rows: int, row_bytes: float) -> int:
    """How many slices so many rows of that size make: by rows or by bytes, whichever is more; at most one per row."""
    by_rows = -(-rows // settings().slice_rows)
    by_bytes = math.ceil(rows * row_bytes / settings().slice_bytes)
    return min(MOST_SLICES, rows, max(by_rows, by_bytes))


def boundary_statement(key: Sequence[SourceColumn], relation: Statement, step: int) -> Statement:
    """The keys at which slices begin: those of every `step`-th row of `relation`, a FROM clause, in key order, printed as
    _flowforge_key_0, _flowforge_key_1, …."""
    names = ", ".join(quote_identifier(column.name) for column in key)
    printed = ", ".join(f"{printed_key(column)} AS {OURS}key_{n}" for n, column in enumerate(key))
    numbered = f"SELECT {names}, ROW_NUMBER() OVER (ORDER BY {names}) AS {PLACE} "
    rows = Statement((f"SELECT {printed} FROM ({numbered}",)) + relation  # noqa: S608
    return rows + f") AS ordered WHERE {PLACE} > 1 AND ({PLACE} - 1) % {int(step)} = 0 ORDER BY {PLACE}"


def range_condition(key: Sequence[SourceColumn], wanted: KeyRange) -> Statement | None:
    """`low <= key < high` for one or several columns; None when it is open on both sides."""
    conditions = []
    for bound, strictly, at_last in ((wanted.low, ">", ">="), (wanted.high, "<", "<")):
        if bound is None:
            continue
        if len(key) > 1:  # no index can be entered at an OR: the first column alone says where to begin and end
            first = Statement((f"{quote_identifier(key[0].name)} {strictly}= ",)) + key_value(key[0], bound[0])
            conditions.append(first)
        conditions.append(_compared(key, bound, strictly, at_last))
    if not conditions:
        return None
    joined = conditions[0]
    for condition in conditions[1:]:
        joined = joined + " AND " + condition
    return joined


def _compared(key: Sequence[SourceColumn], bound: Sequence[str], strictly: str, at_last: str) -> Statement:
    """Compares a key of several columns in order: (a > x OR (a = x AND b >= y)), as SQL Server has no row values."""
    column, literal = key[0], bound[0]
    name = quote_identifier(column.name)
    if len(key) == 1:
        return Statement((f"{name} {at_last} ",)) + key_value(column, literal)
    rest = _compared(key[1:], bound[1:], strictly, at_last)
    above = Statement((f"({name} {strictly} ",)) + key_value(column, literal)
    return above + f" OR ({name} = " + key_value(column, literal) + " AND " + rest + "))"
