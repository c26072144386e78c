"""SQL Server column types: how they are written, described, stored and announced on the wire.

One immutable value, `SqlType`, carries a type's base name, length, precision and scale. Everything else in the
stand-in asks it: the catalog for `sys.columns` figures, the storage for a DuckDB type, the wire for TYPE_INFO.

Representation in DuckDB (exact, and comparable by DuckDB itself):
    time(n), datetime2(n)   BIGINT, units of 100 ns since midnight / since 0001-01-01
    datetimeoffset(n)       STRUCT(ticks BIGINT, off SMALLINT), ticks in UTC, off in minutes
    datetime, smalldatetime TIMESTAMP, already rounded to SQL Server's grid
    sql_variant             STRUCT(base VARCHAR, txt VARCHAR, sort VARCHAR)
    hierarchyid             VARCHAR, the path; geography, geometry: BLOB, SQL Server's own serialisation
"""

import re
import struct
from dataclasses import dataclass, field
from functools import cached_property

COLLATION_NAME = "SQL_Latin1_General_CP1_CI_AS"
COLLATION = bytes([0x09, 0x04, 0xD0, 0x00, 0x34])  # the same on the wire, [MS-TDS] 2.2.5.1.2

# system_type_id of sys.types
SYSTEM_TYPE_IDS = {
    "image": 34, "text": 35, "uniqueidentifier": 36, "date": 40, "time": 41, "datetime2": 42, "datetimeoffset": 43,
    "tinyint": 48, "smallint": 52, "int": 56, "smalldatetime": 58, "real": 59, "money": 60, "datetime": 61,
    "float": 62, "sql_variant": 98, "ntext": 99, "bit": 104, "decimal": 106, "numeric": 108, "smallmoney": 122,
    "bigint": 127, "varbinary": 165, "varchar": 167, "binary": 173, "char": 175, "timestamp": 189,
    "json": 244, "vector": 165,
    "nvarchar": 231, "nchar": 239, "xml": 241, "hierarchyid": 240, "geometry": 240, "geography": 240, "sysname": 231,
}  # fmt: skip
USER_TYPE_IDS = SYSTEM_TYPE_IDS | {"hierarchyid": 128, "geometry": 129, "geography": 130, "sysname": 256, "vector": 255}

INTEGERS = {"tinyint": 1, "smallint": 2, "int": 4, "bigint": 8}
UNICODE = {"nchar", "nvarchar", "ntext", "xml", "json"}
ANSI = {"char", "varchar", "text"}
CHARACTERS = UNICODE | ANSI
BINARIES = {"binary", "varbinary", "image", "rowversion"}
SIZED = {"char", "varchar", "nchar", "nvarchar", "binary", "varbinary"}
LATER = {"json": 2025, "vector": 2025}  # the release that brought a type
CLR = {"hierarchyid", "geometry", "geography"}
CLOCK_TYPES = {"time", "datetime2", "datetimeoffset"}

_ALIASES = {
    "integer": "int", "dec": "decimal", "double precision": "float", "timestamp": "rowversion", "character": "char",
    "rowversion": "rowversion", "national character varying": "nvarchar", "double": "float",
}  # fmt: skip
_DUCKDB = {
    "tinyint": "UTINYINT", "smallint": "SMALLINT", "int": "INTEGER", "bigint": "BIGINT", "bit": "BOOLEAN",
    "real": "REAL", "float": "DOUBLE", "money": "DECIMAL(19,4)", "smallmoney": "DECIMAL(10,4)", "date": "DATE",
    "datetime": "TIMESTAMP", "smalldatetime": "TIMESTAMP", "time": "BIGINT", "datetime2": "BIGINT",
    "datetimeoffset": "STRUCT(ticks BIGINT, off SMALLINT)", "uniqueidentifier": "UUID",
    "sql_variant": "STRUCT(base VARCHAR, txt VARCHAR, sort VARCHAR)", "geometry": "BLOB", "geography": "BLOB",
}  # fmt: skip
_FIXED_WIDTHS = {
    "tinyint": 1, "smallint": 2, "int": 4, "bigint": 8, "bit": 1, "real": 4, "float": 8, "money": 8, "smallmoney": 4,
    "datetime": 8, "smalldatetime": 4, "date": 3, "uniqueidentifier": 16,
}  # fmt: skip
_PRECISIONS = {
    "tinyint": 3, "smallint": 5, "int": 10, "bigint": 19, "bit": 1, "money": 19, "smallmoney": 10, "float": 53,
    "real": 24, "datetime": 23, "smalldatetime": 16, "date": 10,
}  # fmt: skip


@dataclass(frozen=True)
class SqlType:
    """A SQL Server type: base name, length in characters or bytes (-1 is max), precision, scale; a column's `collation` where it
    names one of its own, which makes no other type of it."""

    base: str
    length: int = 0
    precision: int = 0
    scale: int = 0
    collation: str | None = field(default=None, compare=False)

    @property
    def is_character(self) -> bool:
        """Whether values are texts."""
        return self.base in CHARACTERS

    @property
    def is_numeric(self) -> bool:
        """Whether values are numbers, money and bit included."""
        return self.base in _NUMERIC

    @property
    def is_plp(self) -> bool:
        """Whether values travel as partially length-prefixed data, [MS-TDS] 2.2.5.2.3."""
        return self.length == -1 or self.base in ("xml", "json") or self.base in CLR

    @cached_property
    def duckdb(self) -> str:
        """The DuckDB type in which values of this type are stored and computed."""
        if self.base == "decimal":
            return f"DECIMAL({self.precision},{self.scale})"
        if self.base in BINARIES:
            return "BLOB"
        return _DUCKDB.get(self.base, "VARCHAR")

    def __str__(self) -> str:
        """The type as T-SQL writes it, such as `decimal(15,2)` or `nvarchar(max)`."""
        if self.base == "decimal":
            return f"decimal({self.precision},{self.scale})"
        if self.base in CLOCK_TYPES:
            return f"{self.base}({self.scale})"
        if self.base in SIZED:
            return f"{self.base}({'max' if self.length == -1 else self.length})"
        return self.catalog_name

    @property
    def catalog_name(self) -> str:
        """The name in sys.types (rowversion is called timestamp there)."""
        return "timestamp" if self.base == "rowversion" else self.base

    @property
    def system_type_id(self) -> int:
        """sys.types.system_type_id."""
        return SYSTEM_TYPE_IDS[self.catalog_name]

    @property
    def user_type_id(self) -> int:
        """sys.types.user_type_id."""
        return USER_TYPE_IDS[self.catalog_name]

    @property
    def payload_width(self) -> int:
        """Bytes of one non-null value of a fixed-width type, without its length byte."""
        if self.base == "decimal":
            return 5 if self.precision <= 9 else 9 if self.precision <= 19 else 13 if self.precision <= 28 else 17
        if self.base in CLOCK_TYPES:
            return self.time_width + {"time": 0, "datetime2": 3, "datetimeoffset": 5}[self.base]
        return _FIXED_WIDTHS[self.base]

    @property
    def time_width(self) -> int:
        """Bytes of the time part of time, datetime2 and datetimeoffset at this scale."""
        return 3 if self.scale <= 2 else 4 if self.scale <= 4 else 5

    @property
    def max_length(self) -> int:
        """sys.columns.max_length: bytes, -1 for max."""
        if self.base in SIZED:
            return -1 if self.length == -1 else self.length * (2 if self.base in UNICODE else 1)
        special = {"rowversion": 8, "text": 16, "ntext": 16, "image": 16, "sql_variant": 8016, "xml": -1,
                   "json": -1, "vector": 8 + 4 * self.length,
                   "hierarchyid": 892, "geometry": -1, "geography": -1}  # fmt: skip
        found = special.get(self.base)
        return self.payload_width if found is None else found

    @property
    def catalog_precision(self) -> int:
        """sys.columns.precision."""
        if self.base == "decimal":
            return self.precision
        if self.base in CLOCK_TYPES:
            fraction = self.scale + 1 if self.scale else 0
            return {"time": 8, "datetime2": 19, "datetimeoffset": 26}[self.base] + fraction
        return _PRECISIONS.get(self.base, 0)

    @property
    def catalog_scale(self) -> int:
        """sys.columns.scale."""
        return {"money": 4, "smallmoney": 4, "datetime": 3}.get(self.base, self.scale)

    @property
    def collation_name(self) -> str | None:
        """The collation as the catalog shows it; None for types that have none."""
        return (self.collation or COLLATION_NAME) if self.base in CHARACTERS - {"xml", "json"} else None

    @property
    def counts_case(self) -> bool:
        """Whether texts of this type that differ in case only are different."""
        return self.collation is not None and counts_case(self.collation)


_NUMERIC = {"tinyint", "smallint", "int", "bigint", "bit", "real", "float", "decimal", "money", "smallmoney"}
KNOWN = {"vector"} | set(_DUCKDB) | {"decimal"} | SIZED | CHARACTERS | BINARIES | CLR
_DECLARATION = re.compile(
    r"\s*(?:\[?sys\]?\.)?\[?([a-z_0-9 ]+?)\]?\s*(?:\(\s*(max|\d+)\s*(?:,\s*(\d+)\s*)?\))?\s*$", re.IGNORECASE
)


def parse_type(text: str) -> SqlType:
    """Reads a declaration such as `decimal(15, 2)`, `[nvarchar](max)` or `timestamp`.

    Raises ValueError for a type that SQL Server does not have.
    """
    found = _DECLARATION.match(text)
    if not found:
        raise ValueError(text)
    name, first, second = found.group(1).lower(), found.group(2), found.group(3)
    base = _ALIASES.get(name, name)
    if base in ("numeric", "decimal"):
        return SqlType("decimal", 0, int(first or 18), int(second or 0))
    if base == "sysname":
        return SqlType("nvarchar", 128)
    if base == "float" and first and int(first) <= 24:
        return SqlType("real")
    if base not in KNOWN:
        raise ValueError(text)
    if base in CLOCK_TYPES:
        return SqlType(base, 0, 0, 7 if first is None else int(first))
    if base in SIZED or base == "vector":
        return SqlType(base, -1 if first and first.lower() == "max" else int(first or 1))
    return SqlType(base)


def type_info(sql_type: SqlType, database: str = "") -> bytes:
    """The TYPE_INFO of a column, [MS-TDS] 2.2.5.6, in its nullable form."""
    base, length = sql_type.base, sql_type.length
    nullable = {"bit": 0x68, "uniqueidentifier": 0x24, "real": 0x6D, "float": 0x6D, "money": 0x6E, "smallmoney": 0x6E,
                "datetime": 0x6F, "smalldatetime": 0x6F} | dict.fromkeys(INTEGERS, 0x26)  # fmt: skip
    if base in nullable:
        return bytes([nullable[base], sql_type.payload_width])
    if base == "decimal":
        return bytes([0x6C, sql_type.payload_width, sql_type.precision, sql_type.scale])
    if base == "date":
        return b"\x28"
    if base in CLOCK_TYPES:
        return bytes([{"time": 0x29, "datetime2": 0x2A, "datetimeoffset": 0x2B}[base], sql_type.scale])
    sized = {"varchar": 0xA7, "char": 0xAF, "nvarchar": 0xE7, "nchar": 0xEF, "varbinary": 0xA5, "binary": 0xAD}
    if base in sized:
        size = 0xFFFF if length == -1 else length * (2 if base in UNICODE else 1)
        return struct.pack("<BH", sized[base], size) + (b"" if base in BINARIES else COLLATION)
    if base in CLR:
        assembly = f"Microsoft.SqlServer.Types.Sql{base.capitalize()}, Microsoft.SqlServer.Types, Version=11.0.0.0"
        names = b"".join(bytes([len(text)]) + text.encode("utf-16le") for text in (database, "sys", base))
        return struct.pack("<BH", 0xF0, 0xFFFF) + names + struct.pack("<H", len(assembly)) + assembly.encode("utf-16le")
    if base in ("text", "ntext", "image"):
        head = struct.pack("<BI", {"text": 0x23, "ntext": 0x63, "image": 0x22}[base], 0x7FFFFFFF)
        return head + (b"" if base == "image" else COLLATION) + b"\x01\x00\x00"
    return {
        "rowversion": struct.pack("<BH", 0xAD, 8),
        "xml": b"\xf1\x00",
        "sql_variant": struct.pack("<BI", 0x62, 8009),
    }[base]


def counts_case(collation: str) -> bool:
    """Whether a collation takes `a` and `A` for two."""
    return "_CI_" not in f"{collation.upper()}_"
