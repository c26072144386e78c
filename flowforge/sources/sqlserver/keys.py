"""Key values as the server prints them, and back: bounds of slices, sentinel rows, key ranges.

Guarantees: only types whose text is exact; a value is compared by the server in the column's own type and collation.
"""

from flowforge.domain.source_columns import SourceColumn
from flowforge.sources.sqlserver.conditions import typed_value
from flowforge.sources.sqlserver.sql_types import (
    STRINGS,
    cursor_kind,
    parse_sql_type,
    print_expression,
    select_expression,
)
from flowforge.sources.sqlserver.statement import Statement, quote_identifier


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
    return typed_value(literal, column.sql_type, column.collation)
