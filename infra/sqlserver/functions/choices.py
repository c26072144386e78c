"""Functions that choose among their arguments: ISNULL, COALESCE, NULLIF, IIF, GREATEST, LEAST."""

from sqlglot import exp

from ..conversion import convert
from ..values import INT, Typed
from .registry import Call, function


@function("ISNULL", arguments=(2, 2))
def _isnull(it: Call) -> Typed:
    first, second = it.values()
    kind = first.type or second.type or INT
    text = f"coalesce({convert(first, kind).sql}, {convert(second, kind).sql})"
    return Typed(text, kind, first.nullable and second.nullable)


@function("COALESCE", arguments=(2, 99))
def _coalesce(it: Call) -> Typed:
    values = it.expressions.unite(it.values())
    return Typed(
        f"coalesce({', '.join(item.sql for item in values)})", values[0].type, all(item.nullable for item in values)
    )


@function("NULLIF", arguments=(2, 2))
def _nullif(it: Call) -> Typed:
    first, second = it.values()
    test = it.expressions.compare(first, exp.EQ, second)
    return Typed(f"CASE WHEN {test} THEN NULL ELSE {first.sql} END", first.type, True)


@function("IIF", arguments=(3, 3))
def _iif(it: Call) -> Typed:
    return it.expressions.choose([it.expressions.predicate(it.nodes[0], it.scope)], [it.value(1)], it.value(2))


@function("GREATEST", "LEAST", arguments=(1, 99))
def _greatest(it: Call) -> Typed:
    values = it.expressions.unite(it.values())
    return Typed(f"{it.name.lower()}({', '.join(item.sql for item in values)})", values[0].type)
