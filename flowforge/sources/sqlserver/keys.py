"""Key values as the server prints them, and back: bounds of slices, sentinel rows, key ranges.

Guarantees: only types whose text is exact; a value is compared by the server in the column's own type and collation.
"""

from flowforge.domain.batch import SourceColumn
from flowforge.sources.sqlserver.sql_text import Statement, quote_identifier
from flowforge.sources.sqlserver.sql_types import (
    convert_expression,
    cursor_kind,
    parse_sql_type,
    print_expression,
    select_expression,
)

STRINGS = ("char", "varchar", "nchar", "nvarchar")


def is_printable(column: SourceColumn) -> bool:
    """Whether a key column's values survive the way to text and back."""
    kind = parse_sql_type(column.sql_type)
    plain = kind.base in ("decimal", "uniqueidentifier", *STRINGS)
    return plain or cursor_kind(column.sql_type) in ("integer", "timestamp")


def printed_key(column: SourceColumn) -> str:
    """The expression by which the server prints a key column."""
    kind, name = parse_sql_type(column.sql_type), quote_identifier(column.name)
    if kind.base in STRINGS:
        return select_expression(name, column.sql_type)
    if kind.base in ("decimal", "uniqueidentifier"):
        return f"CONVERT(varchar(48), {name})"
    return print_expression(name, column.sql_type)


def key_value(column: SourceColumn, literal: str) -> Statement:
    """The expression that turns a printed key back into the column's type."""
    kind = parse_sql_type(column.sql_type)
    if kind.base in ("decimal", "uniqueidentifier", *STRINGS):
        # A text goes through the code page of its collation: that of the column, or letters would be lost in the database's own.
        page = f" COLLATE {column.collation}" if kind.base in ("char", "varchar") and _is_name(column.collation) else ""
        return Statement((f"CONVERT({kind.declaration}, ", f"{page})"), (literal,))
    before, after = convert_expression("\x00", column.sql_type).split("\x00")
    return Statement((before, after), (literal,))


def _is_name(collation: str | None) -> bool:
    return bool(collation) and collation.isidentifier()
