"""SQL Server's types in neutral words (`domain.column_types`), and how the server compares values of each.

Guarantees: pure; every declaration that can be read has a neutral type.
"""

from typing import Any

from flowforge.domain.errors import UnsupportedSource
from flowforge.sources.sqlserver.default_values import constant_of
from flowforge.sources.sqlserver.sql_types import SqlType, parse_sql_type

NEUTRAL = {
    "bit": "boolean",
    "tinyint": "smallint",
    "smallint": "smallint",
    "int": "integer",
    "bigint": "bigint",
    "real": "real",
    "float": "double",
    "money": "decimal(19,4)",
    "smallmoney": "decimal(10,4)",
    "date": "date",
    "smalldatetime": "timestamp(0)",
    "datetime": "timestamp(3)",
    "json": "json",
}
NEUTRAL |= dict.fromkeys(("binary", "varbinary", "image", "rowversion", "geometry", "geography"), "bytes")
NEUTRAL |= dict.fromkeys(("char", "varchar", "nchar", "nvarchar", "text", "ntext", "xml", "uniqueidentifier"), "text")
NEUTRAL |= dict.fromkeys(("sql_variant", "hierarchyid"), "text")
PADDED = ("char", "varchar", "nchar", "nvarchar", "binary", "varbinary")
CODE_PAGE = ("char", "varchar")
NO_TARGETS = (
    "sql_variant",
    "hierarchyid",
    "geometry",
    "geography",
    "json",
)  # a column of the lake is not made one of these


def neutral_type(kind: SqlType) -> str:
    """The neutral type of a parsed declaration."""
    if kind.base == "decimal":
        return f"decimal({kind.precision},{kind.scale})"
    if kind.base == "time":
        return f"time({kind.scale})"
    if kind.base == "datetime2":
        return f"timestamp({kind.scale})"
    if kind.base == "datetimeoffset":
        return f"timestamp({kind.scale}) with zone"
    return NEUTRAL[kind.base]


def neutral_fields(declaration: str, default: str | None = None) -> dict[str, Any]:
    """The fields of a SourceColumn that say neutrally what a declaration and the definition of a default say."""
    try:
        kind = parse_sql_type(declaration)
    except UnsupportedSource:
        return {"type": "other"}
    return {
        "type": neutral_type(kind),
        "padded": kind.base in PADDED,
        "code_page": kind.base in CODE_PAGE,
        "constant": constant_of(default, kind),
    }


def type_meant(written: str) -> str:
    """The neutral type that a person means who writes a type as SQL Server does; raises UnsupportedSource for what is none."""
    kind = parse_sql_type(written)
    if kind.base in NO_TARGETS:
        raise UnsupportedSource(f"no column of the lake becomes {kind.base}", "write another type")
    return neutral_type(kind)
