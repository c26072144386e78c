"""The value that a constant default gives to a row, as an expression in silver's types.

Guarantees: pure. Which defaults are constants is the source's word (`SourceColumn.constant`); what is none is None here too, and
the caller tells instead of filling.
"""

from flowforge.domain.column_types import parse_type
from flowforge.domain.source_columns import SourceColumn
from flowforge.engines.duckdb.sql import literal


def constant(column: SourceColumn) -> str | None:
    """The expression for a column's constant default; None where it has none."""
    value, kind = column.constant, parse_type(column.type)
    if value is None:
        return None
    if kind.base in ("boolean", "smallint", "integer", "bigint"):
        return value
    if kind.base == "decimal":
        return f"CAST({literal(value)} AS DECIMAL({kind.precision},{kind.scale}))"
    if kind.base in ("real", "double"):
        return f"CAST({literal(value)} AS {'DOUBLE' if kind.base == 'double' else 'FLOAT'})"
    if kind.base == "bytes":
        return f"from_hex({literal(value)})"
    if kind.base in ("date", "timestamp"):
        return f"{kind.base.upper()} {literal(value)}"
    return literal(value) if kind.base == "text" else None
