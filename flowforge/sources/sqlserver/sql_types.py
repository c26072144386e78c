"""SQL Server's types as the catalog declares them, and how a column of each is selected, printed and compared.

Guarantees: a type is taken from its declaration, never from values. A cursor literal is what the server prints at the
column's own scale, and it goes back to the server as that text, converted by the server with a fixed style: no float,
no rounding by a client, no dependence on the session's language. Styles: CAST and CONVERT in the T-SQL reference (23,
120 and 121 for dates, 1 for binary).
"""

import re
from typing import NamedTuple

from flowforge.domain.errors import UnsupportedSource
from flowforge.sources.sqlserver.variants import VARIANT

MAX = -1  # length of (max) types
LONGEST_NVARCHAR = 4_000  # in characters, without max
LARGE_OBJECT_BYTES = 64 * 1024  # what a cell without a declared limit is reckoned with

INTEGERS = {"tinyint": (0, 255), "smallint": (-(2**15), 2**15 - 1), "int": (-(2**31), 2**31 - 1)}
INTEGERS |= {"bigint": (-(2**63), 2**63 - 1)}
TIMES = ("time", "datetime2", "datetimeoffset")
STRINGS = ("char", "varchar", "nchar", "nvarchar")
SIZED = ("char", "varchar", "nchar", "nvarchar", "binary", "varbinary")
PLAIN = {"bit", "real", "float", "money", "smallmoney", "date", "smalldatetime", "datetime", "uniqueidentifier"}
PLAIN |= {"text", "ntext", "image", "xml", "json", "rowversion", "sql_variant", "hierarchyid", "geometry", "geography"}
SYNONYMS = {"numeric": "decimal", "dec": "decimal", "integer": "int", "timestamp": "rowversion", "sysname": "nvarchar"}

# How a column is read where its own wire form would lose something or is not understood; see select_expression.
TRANSPORT = {
    "time": "CONVERT(varchar(16), {0}, 121)",
    "sql_variant": VARIANT,
    "image": "CONVERT(varbinary(max), {0})",
    "hierarchyid": "{0}.ToString()",
    "geometry": "{0}.AsBinaryZM()",  # STAsBinary leaves out Z and M
    "geography": "{0}.AsBinaryZM()",
} | dict.fromkeys(("xml", "json", "ntext", "text"), "CONVERT(nvarchar(max), {0})")

CURSOR_TYPES = (
    "rowversion, date, smalldatetime, datetime, datetime2, datetimeoffset, tinyint to bigint and decimal(p,0)"
)

_DECLARATION = re.compile(r"\s*\[?(\w+)\]?\s*(?:\(\s*(max|\d+)\s*(?:,\s*(\d+)\s*)?\))?\s*", re.IGNORECASE)


class SqlType(NamedTuple):
    """A parsed declaration; `length` in characters or bytes (MAX for max), `scale` in digits."""

    base: str
    length: int = 0
    precision: int = 0
    scale: int = 0

    @property
    def declaration(self) -> str:
        """The type as T-SQL writes it."""
        if self.base == "decimal":
            return f"decimal({self.precision},{self.scale})"
        if self.base in TIMES:
            return f"{self.base}({self.scale})"
        if self.base in SIZED:
            return f"{self.base}({'max' if self.length == MAX else self.length})"
        return self.base

    @property
    def cursor_kind(self) -> str | None:
        """`rowversion`, `timestamp` or `integer` when the type can bound an incremental load, else None."""
        if self.base == "rowversion":
            return "rowversion"
        if self.base in ("date", "smalldatetime", "datetime", "datetime2", "datetimeoffset"):
            return "timestamp"
        if self.base in INTEGERS or (self.base == "decimal" and self.scale == 0):
            return "integer"
        return None


def parse_sql_type(declaration: str) -> SqlType:
    """Parses a declaration such as `decimal(15,2)`, `nvarchar(max)` or `datetime2`, with T-SQL's defaults.

    Raises UnsupportedSource for a type that FlowForge does not know.
    """
    match = _DECLARATION.fullmatch(declaration)
    name = match[1].lower() if match else ""
    base = SYNONYMS.get(name, name)
    first = MAX if match and (match[2] or "").lower() == "max" else int(match[2]) if match and match[2] else None
    if match and base == "decimal":
        return SqlType(base, precision=18 if first is None else first, scale=int(match[3] or 0))
    if base in TIMES:
        return SqlType(base, scale=7 if first is None else first)
    if base in SIZED:
        return SqlType(base, length=128 if name == "sysname" else 1 if first is None else first)
    if base in PLAIN or base in INTEGERS:
        return SqlType("real" if base == "float" and first is not None and 0 < first <= 24 else base)
    raise UnsupportedSource(f"the type {declaration!r} is not known", "leave the column out, or convert it in a query")


def cursor_kind(sql_type: str) -> str | None:
    """The kind of cursor that a column of this declaration can be, see SqlType.cursor_kind; None for none."""
    return parse_sql_type(sql_type).cursor_kind


def declared_bytes(sql_type: str) -> int:
    """The bytes that a cell takes in memory at most, by its declaration; LARGE_OBJECT_BYTES where it has no limit."""
    kind = parse_sql_type(sql_type)
    if kind.length == MAX or kind.base in (
        "text",
        "ntext",
        "image",
        "xml",
        "json",
        "geometry",
        "geography",
        "sql_variant",
    ):
        return LARGE_OBJECT_BYTES
    if kind.base in SIZED:
        return kind.length * (3 if kind.base.startswith("n") else 1)
    return {"uniqueidentifier": 36, "hierarchyid": 64}.get(kind.base, 16)


def select_expression(column_sql: str, sql_type: str) -> str:
    """The expression that reads a (quoted) column in a form that both drivers carry without loss.

    time(7) travels as text since one driver stops at microseconds; the CLR types and sql_variant have no wire form of
    their own that a driver understands; the old large types are read as their successors. Text of a code page is made Unicode by
    the server, which alone knows each column's: drivers differ in the bytes that a code page leaves open.
    """
    kind = parse_sql_type(sql_type)
    if kind.base == "time" and kind.scale < 7:
        return column_sql
    if kind.base in ("char", "varchar"):
        fits = 0 < kind.length <= LONGEST_NVARCHAR
        return f"CONVERT(nvarchar({kind.length if fits else 'max'}), {column_sql})"
    return TRANSPORT.get(kind.base, "{0}").format(column_sql)


def print_expression(expression: str, sql_type: str) -> str:
    """The expression by which the server prints a cursor value as a literal at the type's own scale."""
    kind = parse_sql_type(sql_type)
    if kind.cursor_kind == "rowversion":
        return f"CONVERT(varchar(18), CONVERT(binary(8), {expression}), 1)"
    if kind.cursor_kind == "integer":
        return f"CONVERT(varchar(40), {expression})"
    width, style = {"date": (10, 23), "smalldatetime": (19, 120), "datetime": (23, 121)}.get(kind.base, (0, 121))
    fraction = kind.scale + 1 if kind.scale else 0
    width = width or 19 + fraction + (7 if kind.base == "datetimeoffset" else 0)
    return f"CONVERT(varchar({width}), {expression}, {style})"


def convert_expression(value_sql: str, sql_type: str) -> str:
    """The expression that turns a literal's text into the cursor's own type."""
    kind = parse_sql_type(sql_type)
    if kind.cursor_kind == "rowversion":
        return f"CONVERT(binary(8), {value_sql}, 1)"
    if kind.cursor_kind == "integer":
        return f"CONVERT({kind.declaration}, {value_sql})"
    style = {"date": 23, "smalldatetime": 120}.get(kind.base, 121)
    return f"CONVERT({kind.declaration}, {value_sql}, {style})"


def bound_type(sql_type: str, literal: str) -> str:
    """The type in which a bound is compared: the column's own, or for MAX + 1 of a full integer type the next."""
    kind = parse_sql_type(sql_type)
    if kind.cursor_kind != "integer" or not literal.lstrip("+-").isdigit():
        return kind.declaration
    if kind.base == "decimal":
        fits = len(literal.lstrip("+-")) <= kind.precision
        return kind.declaration if fits else f"decimal({min(kind.precision + 1, 38)},0)"
    for base in [kind.base, "bigint"]:
        low, high = INTEGERS[base]
        if low <= int(literal) <= high:
            return base
    return "decimal(20,0)"


def lowest_literal(sql_type: str) -> str:
    """The smallest value of an integer cursor's type: a bound below which there is no row."""
    kind = parse_sql_type(sql_type)
    return "-" + "9" * kind.precision if kind.base == "decimal" else str(INTEGERS[kind.base][0])


def floor_literal(server_time: str, sql_type: str) -> str:
    """Floors a server's time (style 121, seven digits) to a timestamp cursor's unit, written as that column prints.

    Text is cut, never rounded. `datetime` counts 1/300 s, which it prints as .xx0, .xx3 and .xx7: the digit is
    lowered to one of these, since the server would round anything else up as often as down. A datetimeoffset bound
    must be given in UTC.
    """
    kind = parse_sql_type(sql_type)
    if kind.base == "date":
        return server_time[:10]
    if kind.base == "smalldatetime":
        return server_time[:16] + ":00"
    if kind.base == "datetime":
        return server_time[:22] + "0003333777"[int(server_time[22])]
    digits = server_time[: 19 + (kind.scale + 1 if kind.scale else 0)]
    return digits + " +00:00" if kind.base == "datetimeoffset" else digits
