"""The rows that a request wants of a table: each condition checked against the column that it is about.

Guarantees: a value is one of its column's type, whole and exact, or the load is refused before anything is claimed, with the
column, the condition and the remedy. What the server would cut, round or put a question mark for never reaches a comparison.
"""

import re
import uuid
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation

from events.targets import WantedRows
from flowforge.domain.errors import UnsupportedSource
from flowforge.domain.interval import RowCondition
from flowforge.sources.base import NotAValue
from flowforge.sources.sqlserver.conditions import typed_value
from flowforge.sources.sqlserver.connection import SourceConnection
from flowforge.sources.sqlserver.description import TableDescription, find_column
from flowforge.sources.sqlserver.seeds import seed_literal
from flowforge.sources.sqlserver.sql_types import MAX, STRINGS, SqlType, parse_sql_type
from flowforge.sources.sqlserver.statement import Statement

WHERE = "databaseConfig.where"
MONEY = {"money": (19, 4), "smallmoney": (10, 4)}
COMPARED = "text, whole numbers, decimals, bit, dates and times, uniqueidentifier"


def checked_conditions(
    connection: SourceConnection, description: TableDescription, wanted: Sequence[WantedRows]
) -> list[RowCondition]:
    """The conditions in the catalog's spelling, with literals of each column's type.

    Raises UnknownColumn, UnsupportedSource for a type that cannot be compared and for a value that is none of it.
    """
    return [_checked(connection, description, one) for one in wanted]


def _checked(connection: SourceConnection, description: TableDescription, wanted: WantedRows) -> RowCondition:
    where = description.qualified_name
    _refuse_unreadable(description, wanted)
    column = find_column(description.columns, wanted.column, where)
    kind = parse_sql_type(column.sql_type)
    try:
        literals = [_literal(value, column.sql_type) for value in wanted.values]
        if kind.base in ("char", "varchar"):
            _refuse_lost_letters(connection, literals, column.sql_type, column.collation)
    except NotAValue as error:
        raise UnsupportedSource(
            f"{where}: {WHERE} {wanted.operator} on {column.name!r}: {error}", error.remedy
        ) from None
    if kind.base in MONEY:  # compared as the decimal that it is: a number has no currency sign and no thousands
        precision, scale = MONEY[kind.base]
        kind = SqlType("decimal", precision=precision, scale=scale)
    return RowCondition(
        column=column.name,
        sql_type=kind.declaration,
        collation=column.collation,
        operator=wanted.operator,
        values=literals,
    )


def _refuse_unreadable(description: TableDescription, wanted: WantedRows) -> None:
    for column in description.unreadable:
        if column.name.lower() == wanted.column.lower():
            raise UnsupportedSource(
                f"{description.qualified_name}: {WHERE} names {column.name!r} ({column.sql_type}): {column.problem}",
                "take another column",
            )


def _literal(value: str, sql_type: str) -> str:
    """The value as the column would print it; raises NotAValue."""
    kind = parse_sql_type(sql_type)
    if kind.base in STRINGS:
        return _text(value, kind)
    if kind.base == "bit":
        if value.lower() not in ("0", "1", "true", "false"):
            raise NotAValue("the value is no bit", "write true or false")
        return str(int(value.lower() in ("1", "true")))
    if kind.base == "uniqueidentifier":
        try:
            return str(uuid.UUID(value)).upper()
        except ValueError:
            raise NotAValue("the value is no uniqueidentifier", "write 8-4-4-4-12 hexadecimal digits") from None
    if kind.base in MONEY or (kind.base == "decimal" and kind.scale):
        return _decimal(value, *MONEY.get(kind.base, (kind.precision, kind.scale)), sql_type)
    if kind.cursor_kind is None:
        raise NotAValue(
            f"a {sql_type} is not compared exactly",
            f"take a column of {COMPARED}, or load a view that has the condition",
        )
    return _exact(value, sql_type, kind)


def _text(value: str, kind: SqlType) -> str:
    if "\x00" in value:
        raise NotAValue("the value has a NUL", "leave it out")
    units = len(value.encode("utf-16-le", errors="surrogatepass")) // 2
    if kind.length != MAX and units > kind.length:
        raise NotAValue(
            f"the value is longer than {kind.declaration}", f"write at most {kind.length} characters: no row holds more"
        )
    return value


def _decimal(value: str, precision: int, scale: int, sql_type: str) -> str:
    try:
        number = Decimal(value) if re.fullmatch(r"[+-]?[0-9]{1,38}(\.[0-9]{1,38})?", value.strip()) else None
    except InvalidOperation:
        number = None
    if number is None:
        raise NotAValue(f"the value is no {sql_type}", "write it like 12.34, as text")
    _, digits, exponent = number.normalize().as_tuple()
    assert isinstance(exponent, int)  # noqa: S101  no NaN fits the expression
    if -exponent > scale or len(digits) + exponent > precision - scale:
        raise NotAValue(f"the value has more digits than {sql_type}", f"write at most {scale} behind the point")
    return format(number.normalize(), "f")


def _exact(value: str, sql_type: str, kind: SqlType) -> str:
    """A whole number, row version or moment, without a digit that the column has not."""
    literal = seed_literal(value, sql_type, "unknown")
    if kind.cursor_kind == "timestamp":
        finest = "datetimeoffset(7)" if kind.base == "datetimeoffset" else "datetime2(7)"
        exact, own = (text.removesuffix(" +00:00") for text in (seed_literal(value, finest, "unknown"), literal))
        if exact[len(own) :].strip(" 0:.") or not exact.startswith(own):
            raise NotAValue(f"the value is finer than {sql_type}", f"write it like {literal}")
    return literal


def _refuse_lost_letters(
    connection: SourceConnection, literals: Sequence[str], sql_type: str, collation: str | None
) -> None:
    """Lets the server say what a text becomes in the column's code page: it puts a question mark for what that lacks."""
    for literal in literals:
        if literal.isascii():
            continue
        shown = (
            Statement(("SELECT CONVERT(nvarchar(4000), ",)) + typed_value(literal, sql_type, collation) + ") AS literal"
        )
        if connection.scalar(shown) != literal[:4000]:
            raise NotAValue(
                "the value has letters that the column's code page lacks", "no row can hold it: leave it out"
            )
