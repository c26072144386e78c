"""How pymssql's reader asks for columns: many of them packed into one cell, as a line of CSV that the server writes.

pymssql spends about a microsecond on every cell, whatever is in it; a line costs one cell, and Arrow's CSV reader takes it
apart for a twentieth of that. Guarantees: every value comes out as it was. Numbers, dates and times are printed by documented
styles of CONVERT that depend on no setting (23, 120 and 121 for dates, 2 for money), at the column's own scale, and cut at
microseconds where the canonical type ends there; text stands in quotation marks, a mark inside doubled. NULL is an empty
field, empty text a quoted one. No line can be longer than its type holds: a column counts with its widest value.

Floating point numbers, binaries and what has no declared limit travel in cells of their own.
"""

from collections.abc import Sequence
from typing import Protocol

from flowforge.sources.sqlserver.sql_types import MAX, SqlType, parse_sql_type

LINE_CHARACTERS = 4_000  # of nvarchar without max
LINE_COLUMNS = 120  # CONCAT takes 254 arguments: the columns and what separates them
_QUOTED = "N'\"' + REPLACE(CONVERT(nvarchar({1}), {0}) COLLATE Latin1_General_BIN2, N'\"', N'\"\"') + N'\"'"
WIDTHS = {"bit": 1, "tinyint": 3, "smallint": 6, "int": 11, "bigint": 20, "money": 21, "smallmoney": 12, "date": 10}
WIDTHS |= {"smalldatetime": 19, "datetime": 23, "uniqueidentifier": 36}
_STYLES = {
    "money": 2,
    "smallmoney": 2,
    "date": 23,
    "smalldatetime": 120,
    "datetime": 121,
    "time": 121,
    "datetime2": 121,
}


class Column(Protocol):
    """A column's declaration."""

    sql_type: str
    masked: bool


Cell = tuple[int, ...]  # a column of the result: the described columns in it, by position; more than one are a line


def cells_of(columns: Sequence[Column]) -> list[Cell]:
    """The cells that carry the columns, in the order of their first column. The next line begins where one is full."""
    lines: list[list[int]] = []
    alone, room = [], 0
    for position, column in enumerate(columns):
        # The mask of a column would go over the whole line.
        width = None if column.masked else _width(parse_sql_type(column.sql_type))
        if width is None:
            alone.append([position])
            continue
        room -= width + 1
        if room < 0 or len(lines[-1]) == LINE_COLUMNS:
            lines.append([])
            room = LINE_CHARACTERS - width - 1
        lines[-1].append(position)
    return [tuple(positions) for positions in sorted(lines + alone)]


def line_expression(fields: Sequence[tuple[str, str]]) -> str:
    """The expression of a line, from (quoted) columns and their declarations."""
    return "CONCAT(" + ", N',', ".join(_field(name, parse_sql_type(sql_type)) for name, sql_type in fields) + ")"


def _width(kind: SqlType) -> int | None:
    """The most characters that a value takes in a line; None for what does not travel in one."""
    if kind.base in ("char", "varchar", "nchar", "nvarchar"):
        wide = 2 * kind.length + 2  # every character a quotation mark
        return wide if kind.length != MAX and wide < LINE_CHARACTERS else None
    if kind.base == "decimal":
        return kind.precision + 3  # sign, point, and a zero before it
    if kind.base == "time":
        return 8 + _fraction(kind.scale)
    if kind.base in ("datetime2", "datetimeoffset"):
        return 19 + _fraction(min(kind.scale, 6))
    return WIDTHS.get(kind.base)


def _fraction(scale: int) -> int:
    return scale + 1 if scale else 0


def _field(name: str, kind: SqlType) -> str:
    if kind.base in ("char", "varchar", "nchar", "nvarchar"):
        return _QUOTED.format(name, kind.length)
    if kind.base == "datetimeoffset":
        return f"CONVERT(varchar({_width(kind)}), SWITCHOFFSET({name}, '+00:00'), 121)"
    style = f", {_STYLES[kind.base]}" if kind.base in _STYLES else ""
    return f"CONVERT(varchar({_width(kind)}), {name}{style})"
