"""Typed values: a DuckDB expression with its SQL Server type, and the type that two values have in common."""

from dataclasses import dataclass

from .errors import not_supported
from .types import CHARACTERS, CLOCK_TYPES, UNICODE, SqlType

INT, BIGINT, BIT, FLOAT = SqlType("int"), SqlType("bigint"), SqlType("bit"), SqlType("float")
DATETIME = SqlType("datetime")


# [T-SQL] data type precedence, highest first
_PRECEDENCE = [
    "json", "xml", "sql_variant", "datetimeoffset", "datetime2", "datetime", "smalldatetime", "date", "time", "float", "real",
    "decimal", "money", "smallmoney", "bigint", "int", "smallint", "tinyint", "bit", "ntext", "text", "image",
    "rowversion", "uniqueidentifier", "nvarchar", "nchar", "varchar", "char", "varbinary", "binary", "hierarchyid",
    "geography", "geometry",
]  # fmt: skip


BINARY, NOCASE = " COLLATE C)", " COLLATE NOCASE)"  # how the expression of a value with an explicit collation ends


_RANK = {base: rank for rank, base in enumerate(_PRECEDENCE)}


_AS_DECIMAL = {"tinyint": (3, 0), "smallint": (5, 0), "int": (10, 0), "bigint": (19, 0), "bit": (1, 0),
               "money": (19, 4), "smallmoney": (10, 4)}  # fmt: skip


MOMENTS = {"date", "datetime", "smalldatetime"} | CLOCK_TYPES


@dataclass(frozen=True)
class Typed:
    """A DuckDB expression and the SQL Server type of its value; a type of None is the untyped NULL."""

    sql: str
    type: SqlType | None
    nullable: bool = True
    constant: object = None  # the text of a string constant, which converts at compile time

    @property
    def kind(self) -> SqlType:
        """The type, where there must be one. Raises SqlError for the untyped NULL."""
        if self.type is None:
            raise not_supported("NULL without a type as this argument")
        return self.type


def decimal_shape(sql_type: SqlType) -> tuple[int, int]:
    """(precision, scale) of an exact numeric type."""
    return (sql_type.precision, sql_type.scale) if sql_type.base == "decimal" else _AS_DECIMAL[sql_type.base]


def decimal_of(digits: int, scale: int) -> SqlType:
    """decimal with so many digits before the point, cut to 38 in all."""
    scale = min(scale, 38)
    return SqlType("decimal", 0, max(1, min(38, digits + scale)), scale)


def common_type(first: SqlType | None, second: SqlType | None) -> SqlType | None:
    """The type in which two operands are compared or united."""
    if first is None or second is None or first == second:
        return first or second
    high, low = sorted((first, second), key=lambda item: _RANK[item.base])
    if high.base == "decimal" and low.base in _AS_DECIMAL | {"decimal": None}:
        (p1, s1), (p2, s2) = decimal_shape(high), decimal_shape(low)
        return decimal_of(max(p1 - s1, p2 - s2), max(s1, s2))
    if high.base in CHARACTERS and low.base in CHARACTERS and high.base not in ("json", "xml", "text", "ntext"):
        base = ("nvarchar" if high.base in UNICODE else "varchar") if high.base != low.base else high.base
        return SqlType(base, -1 if -1 in (high.length, low.length) else max(high.length, low.length))
    if high.base in ("varbinary", "binary") and low.base in ("varbinary", "binary"):
        return SqlType(high.base, -1 if -1 in (high.length, low.length) else max(high.length, low.length))
    if high.base in ("datetime2", "datetimeoffset", "time") and low.base in CLOCK_TYPES:
        return SqlType(high.base, 0, 0, max(high.scale, low.scale))
    if high.base in ("datetime2", "datetimeoffset") and low.base == "datetime":
        return SqlType(high.base, 0, 0, 7)
    return high


def collation_of(value: Typed) -> str:
    """BINARY or NOCASE where COLLATE stands at the value itself, else empty."""
    return next((ending for ending in (BINARY, NOCASE) if value.sql.endswith(ending)), "")


LONE_FROM = (
    0x100000  # half a surrogate pair, which UTF-8 does not have, is kept as a private character so much above it
)


def halves_kept(text: str) -> str:
    """UTF-16 text as DuckDB can hold it."""
    return "".join(chr(ord(char) + LONE_FROM) if 0xD800 <= ord(char) <= 0xDFFF else char for char in text)


def quote_text(text: str) -> str:
    """The text as a SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def failed(text: str, attempt: bool) -> str:
    """The fallback argument of a checking macro: NULL for TRY_CAST, else the text of the error to raise."""
    return "NULL" if attempt else quote_text(text)
