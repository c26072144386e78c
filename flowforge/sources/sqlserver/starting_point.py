"""Where the reading of an interval starts, as the server prints it."""

from flowforge.domain.errors import QueryRefused, SourceChanged, UnsupportedSource
from flowforge.domain.given import given
from flowforge.sources.base import NotAValue
from flowforge.sources.sqlserver.connection import SourceConnection
from flowforge.sources.sqlserver.seeds import EXAMPLES, seed_literal
from flowforge.sources.sqlserver.server_clock import CLOCK
from flowforge.sources.sqlserver.sql_text import normalise_statement
from flowforge.sources.sqlserver.sql_types import bound_type, cursor_kind
from flowforge.sources.sqlserver.statement import Statement
from flowforge.sources.sqlserver.transactions import UPDATEABILITY
from flowforge.sources.sqlserver.upper_bound import Cursor


def starting_point(connection: SourceConnection, cursor: Cursor, watermark: str | None, seed: str | None) -> str | None:
    """Where reading starts: the watermark, or else the seed, as the column prints it; None for the beginning.

    The server is asked to print it back: a bound that it takes for another value would skip the rows in between.
    """
    if watermark is None and seed is None:
        return None
    try:
        literal = seed_literal(seed or "", cursor.sql_type, cursor.clock) if watermark is None else watermark
    except NotAValue as error:
        raise UnsupportedSource(f"{_named(cursor, seed)} {error}", error.remedy) from None
    # The clock with it: a MAX is read before the time that it is dated by.
    now = [CLOCK] if cursor_kind(cursor.sql_type) == "timestamp" else []
    connection.ask_together(_printing(cursor, literal), UPDATEABILITY, *now, about=cursor.where)
    found = printed(connection, cursor, literal)
    if found == literal:
        return literal
    said = "is no value of that type to the server" if found is None else f"is {found} to the server"
    if watermark is None:
        remedy = f"write it like {EXAMPLES[given(cursor_kind(cursor.sql_type))]}"
        raise UnsupportedSource(f"{_named(cursor, seed)} {said}", remedy)
    raise SourceChanged(
        f"{cursor.where}: the watermark {watermark!r} of {cursor.name!r} ({cursor.sql_type}) {said}",
        "Find out which is right, then: flowforge watermark set TABLE VALUE --column COLUMN.",
    )


def _named(cursor: Cursor, seed: str | None) -> str:
    start = f"the start {(seed or '')[:60]!r} (lastWatermark, or a watermark set by hand)"
    return f"{cursor.where}: {start} of {cursor.name!r} ({cursor.sql_type})"


def printed(connection: SourceConnection, cursor: Cursor, literal: str) -> str | None:
    """A literal of the cursor as the server prints it; None where it refuses it."""
    try:
        return connection.scalar(_printing(cursor, literal), about=cursor.where)
    except QueryRefused:
        return None


def _printing(cursor: Cursor, literal: str) -> Statement:
    # MAX + 1 of a full integer type is a bound that the type itself does not hold.
    return normalise_statement(literal, bound_type(cursor.sql_type, literal))
