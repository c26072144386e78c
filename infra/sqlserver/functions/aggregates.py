"""Aggregates and window functions, with the result types that SQL Server gives them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from ..conversion import convert
from ..errors import SqlError, not_supported
from ..types import CHARACTERS, INTEGERS, UNICODE, SqlType
from ..values import BIGINT, FLOAT, INT, Typed, decimal_shape
from .registry import Call, function

if TYPE_CHECKING:
    from ..compiling import Values
    from ..scopes import Scope


@function("COUNT", "COUNT_BIG", arguments=(1, 1))
def _count(it: Call) -> Typed:
    kind = BIGINT if it.name == "COUNT_BIG" else INT
    node = it.nodes[0]
    if isinstance(node, exp.Star):
        return Typed(f"CAST(count(*) AS {kind.duckdb})", kind, False)
    return Typed(f"CAST(count({_distinct(it)}) AS {kind.duckdb})", kind, False)


def _distinct(it: Call) -> str:
    node = it.nodes[0]
    if isinstance(node, exp.Distinct):
        value = it.expressions.value(node.expressions[0], it.scope)
        text = f"lower({value.sql})" if value.type and value.type.base in CHARACTERS else value.sql
        return f"DISTINCT {text}"
    return it.value(0).sql


def _aggregated(it: Call) -> tuple[str, Typed]:
    node = it.nodes[0]
    if isinstance(node, exp.Distinct):
        return "DISTINCT ", it.expressions.value(node.expressions[0], it.scope)
    return "", it.value(0)


@function("SUM", arguments=(1, 1))
def _sum(it: Call) -> Typed:
    distinct, value = _aggregated(it)
    kind = _sum_type(value, "sum")
    return Typed(f"CAST(sum({distinct}{value.sql}) AS {kind.duckdb})", kind)


def _sum_type(value: Typed, name: str) -> SqlType:
    kind = value.type
    if kind is None or not kind.is_numeric or kind.base == "bit":
        raise SqlError(8117, f"Operand data type {kind or 'NULL'} is invalid for {name} operator.")
    if kind.base in INTEGERS:
        return BIGINT if kind.base == "bigint" else INT
    if kind.base == "decimal":
        return SqlType("decimal", 0, 38, kind.scale)
    return {"smallmoney": SqlType("money"), "real": FLOAT}.get(kind.base, kind)


@function("AVG", arguments=(1, 1))
def _avg(it: Call) -> Typed:
    distinct, value = _aggregated(it)
    kind = _sum_type(value, "avg")
    if kind.base == "float":
        return Typed(f"avg({distinct}{value.sql})", kind)
    count = f"nullif(count({distinct}{value.sql}), 0)"
    if kind.base in INTEGERS:
        return Typed(f"CAST(sum({distinct}{value.sql}) // {count} AS {kind.duckdb})", kind)
    scale = decimal_shape(kind)[1]
    shown = max(scale, 6) if kind.base == "decimal" else 4
    result = SqlType("decimal", 0, 38, shown) if kind.base == "decimal" else kind
    top = f"unscaled(sum({distinct}{value.sql}), {scale}) * CAST('1{'0' * (shown - scale)}' AS HUGEINT)"
    return Typed(f"CAST(scaled({top} // {count}, {shown}) AS {result.duckdb})", result)


@function("MIN", "MAX", arguments=(1, 1))
def _extreme(it: Call) -> Typed:
    _, value = _aggregated(it)
    kind, name = value.type, it.name.lower()
    if kind is None or kind.base in (
        "bit",
        "text",
        "ntext",
        "image",
        "xml",
        "hierarchyid",
        "geography",
        "geometry",
        "sql_variant",
    ):
        raise SqlError(8117, f"Operand data type {kind or 'NULL'} is invalid for {name} operator.")
    if kind.base == "uniqueidentifier":
        return Typed(f"arg_{name}({value.sql}, guid_order({value.sql}))", kind)
    if kind.base in CHARACTERS:
        return Typed(f"arg_{name}({value.sql}, lower({value.sql}))", kind)
    return Typed(f"{name}({value.sql})", kind)


@function("STDEV", "VAR", arguments=(1, 1))
def _spread(it: Call) -> Typed:
    return Typed(f"{'stddev_samp' if it.name == 'STDEV' else 'var_samp'}({it.converted(0, FLOAT)})", FLOAT)


@function("STRING_AGG", arguments=(2, 2))
def _string_agg(it: Call) -> Typed:
    value, separator = it.text(0), it.text(1)
    kind = SqlType(
        "nvarchar" if value.kind.base in UNICODE else "varchar",
        -1 if value.kind.length == -1 else 4000 if value.kind.base in UNICODE else 8000,
    )
    order = f" ORDER BY {it.order}" if it.order else ""
    return Typed(f"string_agg({value.sql}, {separator.sql}{order})", kind)


_RANKINGS = {"ROW_NUMBER": BIGINT, "RANK": BIGINT, "DENSE_RANK": BIGINT, "NTILE": BIGINT}


_NEIGHBOURS = {"LAG", "LEAD", "FIRST_VALUE", "LAST_VALUE"}


def window(node: exp.Window, expressions: Values, scope: Scope) -> Typed:
    """A window function or an aggregate OVER (...)."""
    inner = node.this
    name = inner.name.upper() if isinstance(inner, exp.Anonymous) else type(inner).__name__
    partition = ", ".join(expressions.value(item, scope).sql for item in node.args.get("partition_by") or [])
    order_node = node.args.get("order")
    items = [
        expressions.order_item(item.this, bool(item.args.get("desc")), scope)
        for item in (order_node.expressions if order_node else [])
    ]
    order = ", ".join(item for item in items if not item.startswith("NULL "))
    frame = _frame(node.args.get("spec"))
    over = " ".join(
        part
        for part in (f"PARTITION BY {partition}" if partition else "", f"ORDER BY {order}" if order else "", frame)
        if part
    )
    if name in _RANKINGS:
        argument = convert(expressions.value(inner.expressions[0], scope), INT).sql if inner.expressions else ""
        return Typed(f"{name.lower()}({argument}) OVER ({over})", _RANKINGS[name], False)
    if name in _NEIGHBOURS:
        values = [expressions.value(item, scope) for item in inner.expressions]
        return Typed(f"{name.lower()}({', '.join(item.sql for item in values)}) OVER ({over})", values[0].type)
    if name in ("COUNT", "COUNT_BIG", "SUM", "MIN", "MAX") and len(inner.expressions) == 1:
        return _windowed_aggregate(name, inner, expressions, scope, over)
    raise not_supported(f"{name} OVER")


def _windowed_aggregate(name: str, inner, expressions, scope, over: str) -> Typed:
    argument = inner.expressions[0]
    if name.startswith("COUNT"):
        kind = BIGINT if name == "COUNT_BIG" else INT
        text = "*" if isinstance(argument, exp.Star) else expressions.value(argument, scope).sql
        return Typed(f"CAST(count({text}) OVER ({over}) AS {kind.duckdb})", kind, False)
    value = expressions.value(argument, scope)
    if name == "SUM":
        kind = _sum_type(value, "sum")
        return Typed(f"CAST(sum({value.sql}) OVER ({over}) AS {kind.duckdb})", kind)
    if value.type is None or value.type.base in CHARACTERS or value.type.base in ("uniqueidentifier", "bit"):
        raise not_supported(f"{name} OVER of {value.type}")
    return Typed(f"{name.lower()}({value.sql}) OVER ({over})", value.type)


def _frame(spec: exp.WindowSpec | None) -> str:
    if spec is None:
        return ""

    def bound(side: str) -> str:
        value = spec.args.get(side)
        text = value if isinstance(value, str) else value.sql() if value is not None else "CURRENT ROW"
        return f"{text} {spec.args.get(f'{side}_side') or ''}".strip()

    return f"{spec.args['kind']} BETWEEN {bound('start')} AND {bound('end')}"
