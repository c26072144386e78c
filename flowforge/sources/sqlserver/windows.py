"""The interval of a part of a table that a request names by its bounds, to be read once more.

Guarantees: the bounds are the request's own, as the column prints them, or the request is refused; no row between them is left
out by rounding. Rows are read as they are now, in a batch of their own place, so they replace what was read before them and
nothing that is read later; the watermark stays.
"""

from collections.abc import Sequence

from events.targets import SourceTable
from flowforge.domain.errors import UnsupportedSource
from flowforge.domain.given import given
from flowforge.domain.interval import Interval, RowCondition
from flowforge.sources.base import NotAValue
from flowforge.sources.plans import Description, LastRead
from flowforge.sources.sqlserver.bounds import Described, PlannedInterval, find_cursor
from flowforge.sources.sqlserver.connection import SourceConnection
from flowforge.sources.sqlserver.proof import require_cursor
from flowforge.sources.sqlserver.seeds import EXAMPLES, seed_literal
from flowforge.sources.sqlserver.sql_text import is_empty_statement
from flowforge.sources.sqlserver.sql_types import cursor_kind, parse_sql_type
from flowforge.sources.sqlserver.starting_point import printed
from flowforge.sources.sqlserver.upper_bound import Cursor

FOR_COLUMN = "the rows whose {} was below {} when they were read, for {}; the watermark stays where it is"
PROMISE = "the rows whose {} was {} when they were read; the watermark stays where it is"


def plan_window(
    connection: SourceConnection,
    description: Described,
    source: SourceTable,
    last: LastRead,
    keyed: bool,
    conditions: Sequence[RowCondition] = (),
) -> PlannedInterval:
    """The interval of `source.window`; what the loads before have left in `last` goes on into the next plan as it is.

    Raises UnknownColumn, and UnsupportedSource for rows without a key, and for bounds that are no values of the column, between
    two of its values, or in the wrong order.
    """
    window, cursor = given(source.window), find_cursor(description, source)
    if not keyed:
        raise UnsupportedSource(
            f"{cursor.where}: a window is read once more, and without a key its rows cannot be told from those that are there",
            "name the key in silverConfig.primaryKey, or load the whole table",
        )
    require_cursor(connection.reference, cursor.sql_type, connection.scalar)
    if window.column:
        return _all_loaded(connection, cursor, source, last, conditions)
    low = None if window.low is None else _bound(connection, cursor, "from", window.low)
    if window.high is not None:
        high = _bound(connection, cursor, "to", window.high)
    elif last.position is not None:
        high = _bound(connection, cursor, "to", last.position.value)
    else:
        raise UnsupportedSource(
            f"{cursor.where}: window.to is not given, and there is no watermark of {cursor.name!r} to take in its place",
            "write window.to, or load the table first",
        )
    if low is not None and connection.scalar(is_empty_statement(low, high, cursor.sql_type)):
        raise UnsupportedSource(
            f"{cursor.where}: window.from {low} is not below window.to {high}", "write the earlier one in from"
        )
    between = f"from {low} on, and below {high}," if low is not None else f"below {high}"
    interval = Interval(
        column=cursor.name,
        sql_type=cursor.sql_type,
        low=low,
        high=high,
        nulls=False,
        where=list(conditions),
        window=True,
        promise=PROMISE.format(cursor.name, between),
    )
    return PlannedInterval(interval=interval, samples=last.memory, news=False)


def refuse_unread_column(description: Description, column: str | None) -> None:
    """Raises UnsupportedSource where a window is for a column, named as at the source, that the request does not read."""
    read = {one.at_source.lower() for one in description.columns if not one.derivation}
    if column is not None and column.lower() not in read:
        raise UnsupportedSource(
            f"{description.name}: window.column {column!r} is not among the columns that are read",
            "name one of the source that columns and protect do not leave out",
        )


def _all_loaded(
    connection: SourceConnection,
    cursor: Cursor,
    source: SourceTable,
    last: LastRead,
    conditions: Sequence[RowCondition],
) -> PlannedInterval:
    """All rows below the watermark, and those without a cursor."""
    column = given(given(source.window).column)
    if last.position is None:
        raise UnsupportedSource(
            f"{cursor.where}: window.column {column!r}: there is no watermark of {cursor.name!r}, so nothing lacks it",
            "load the table without the window: that reads every row",
        )
    high = _bound(connection, cursor, "to", last.position.value)
    interval = Interval(
        column=cursor.name,
        sql_type=cursor.sql_type,
        high=high,
        nulls=source.null_cursor == "include" and cursor.nullable,
        where=list(conditions),
        window=True,
        promise=FOR_COLUMN.format(cursor.name, high, column),
    )
    return PlannedInterval(interval=interval, samples=last.memory, news=False)


def _bound(connection: SourceConnection, cursor: Cursor, field: str, text: str) -> str:
    """A bound as the column prints it."""
    named = f"{cursor.where}: window.{field} {text[:60]!r} of {cursor.name!r} ({cursor.sql_type})"
    example = EXAMPLES[given(cursor_kind(cursor.sql_type))]
    try:
        literal = seed_literal(text, cursor.sql_type, cursor.clock)
    except NotAValue as error:
        raise UnsupportedSource(f"{named} {error}", error.remedy) from None
    if not _is_exact(literal, text, cursor):
        raise UnsupportedSource(
            f"{named} lies between two values of the column", f"write one of them, such as {literal}"
        )
    said = printed(connection, cursor, literal)
    if said != literal:
        told = "is no value of that type to the server" if said is None else f"is {said} to the server"
        raise UnsupportedSource(f"{named} {told}", f"write it like {example}")
    return literal


def _is_exact(literal: str, text: str, cursor: Cursor) -> bool:
    """Whether nothing was cut off: a bound that is rounded would leave out rows, or bring others."""
    if cursor_kind(cursor.sql_type) != "timestamp":
        return True
    has_offset = parse_sql_type(cursor.sql_type).base == "datetimeoffset"
    finest = seed_literal(text, "datetimeoffset(7)" if has_offset else "datetime2(7)", cursor.clock)
    return _all_digits(literal) == _all_digits(finest)


def _all_digits(literal: str) -> tuple[str, str, str]:
    day, _, time = literal.removesuffix(" +00:00").partition(" ")
    clock, _, digits = (time or "00:00:00").partition(".")
    return day, clock, digits.ljust(7, "0")
