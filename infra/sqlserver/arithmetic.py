"""The types and the exact values of arithmetic and of + between texts.

Result types follow SQL Server's documented rules for precision and scale; division is exact, on scaled integers.
"""

from .conversion import convert
from .errors import SqlError
from .types import BINARIES, CHARACTERS, SqlType
from .values import INT, Typed, common_type, decimal_shape


def is_text(value: Typed) -> bool:
    """Whether `+` takes the value as a text; NULL without a type counts as one."""
    return value.type is None or value.type.base in CHARACTERS


def is_binary(value: Typed) -> bool:
    """Whether the value is of a type of bytes."""
    return value.type is not None and value.type.base in BINARIES


def concatenated(left: Typed, right: Typed) -> Typed:
    """`left + right` of two texts, as long as T-SQL lets the result be."""
    kind = common_type(left.type, right.type) or SqlType("varchar", 1)
    lengths = [item.type.length if item.type else 0 for item in (left, right)]
    base = (
        kind.base
        if kind.base in ("varchar", "nvarchar")
        else {"char": "varchar", "nchar": "nvarchar"}.get(kind.base, "nvarchar")
    )
    limit = 4000 if base == "nvarchar" else 8000
    length = -1 if -1 in lengths else min(limit, sum(lengths))
    text = f"({left.sql} || {right.sql})"
    if length == limit and sum(lengths) > limit:
        text = f"left({text}, {limit})"
    return Typed(text, SqlType(base, length), left.nullable or right.nullable)


def result_type(left: Typed, operator: str, right: Typed) -> SqlType:
    """The type of an arithmetic result; decimals as documented for precision and scale."""
    kind = common_type(left.type, right.type)
    if kind is None:
        return INT
    if kind.base in CHARACTERS or not kind.is_numeric:
        raise SqlError(8117, f"Operand data type {kind} is invalid for the '{operator}' operator.")
    if kind.base == "bit":
        return INT
    if kind.base != "decimal":
        return kind
    (p1, s1), (p2, s2) = (_shape(item, kind) for item in (left, right))
    if operator in "+-":
        scale, digits = max(s1, s2), max(p1 - s1, p2 - s2) + 1
    elif operator == "*":
        scale, digits = s1 + s2, p1 - s1 + p2 - s2 + 1
    elif operator == "/":
        scale, digits = max(6, s1 + p2 + 1), p1 - s1 + s2
    else:
        scale, digits = max(s1, s2), min(p1 - s1, p2 - s2)
    if scale + digits > 38:  # the integral part is kept, the scale gives way, but not below 6
        scale = min(scale, max(38 - digits, min(scale, 6)))
    return SqlType("decimal", 0, min(38, scale + digits), scale)


def _shape(item: Typed, kind: SqlType) -> tuple[int, int]:
    """(precision, scale) of an operand; a constant integer counts its own digits."""
    if item.type == INT and item.sql.isdigit():
        return len(item.sql), 0
    return decimal_shape(item.type) if item.type and item.type.is_numeric else (kind.precision, kind.scale)


def decimal_operation(left: Typed, operator: str, right: Typed, kind: SqlType) -> str:
    """The DuckDB text of an operation on exact numbers, with T-SQL's precision and scale (`kind`) for its result."""
    pair = []
    for item in (left, right):
        shape = decimal_shape(item.type) if item.type and item.type.is_numeric else (kind.precision, kind.scale)
        pair.append((convert(item, SqlType("decimal", 0, *shape)).sql, shape))
    (first, (_, s1)), (second, (_, s2)) = pair
    if operator == "/":
        # exact, truncated: on the scaled integers, as HUGEINT
        shift = kind.scale - s1 + s2
        top = f"(unscaled({first}, {s1}) * CAST('1{'0' * shift}' AS HUGEINT))"
        return f"CAST(scaled(int_divided({top}, unscaled({second}, {s2})), {kind.scale}) AS {kind.duckdb})"
    if operator == "%":
        scale = max(s1, s2)
        return f"CAST(remainder(CAST({first} AS DECIMAL(38,{scale})), CAST({second} AS DECIMAL(38,{scale}))) AS {kind.duckdb})"
    return f"CAST(({first} {operator} {second}) AS {kind.duckdb})"
