"""Functions of numbers."""

from ..errors import not_supported
from ..types import SqlType
from ..values import FLOAT, INT, Typed
from .registry import Call, function


@function("ABS", arguments=(1, 1))
def _abs(it: Call) -> Typed:
    value = it.value(0)
    return Typed(f"CAST(abs({value.sql}) AS {value.kind.duckdb})", value.kind, value.nullable)


@function("SIGN", arguments=(1, 1))
def _sign(it: Call) -> Typed:
    value = it.value(0)
    return Typed(f"CAST(sign({value.sql}) AS {value.kind.duckdb})", value.kind, value.nullable)


@function("CEILING", "FLOOR", arguments=(1, 1))
def _whole(it: Call) -> Typed:
    value = it.value(0)
    kind = SqlType("decimal", 0, value.kind.precision, 0) if value.kind.base == "decimal" else value.kind
    name = "ceil" if it.name == "CEILING" else "floor"
    return Typed(f"CAST({name}({value.sql}) AS {kind.duckdb})", kind, value.nullable)


@function("ROUND", arguments=(2, 3))
def _round(it: Call) -> Typed:
    value = it.value(0)
    if len(it.nodes) == 3:
        raise not_supported("ROUND that truncates")
    kind = value.kind if value.kind.base not in ("tinyint", "smallint") else INT
    return Typed(f"CAST(round({value.sql}, {it.converted(1, INT)}) AS {kind.duckdb})", kind, value.nullable)


@function("POWER", "SQRT", "EXP", "LOG", "LOG10", arguments=(1, 2))
def _real_function(it: Call) -> Typed:
    arguments = ", ".join(it.converted(i, FLOAT) for i in range(len(it.nodes)))
    name = {"LOG": "ln", "POWER": "pow"}.get(it.name, it.name.lower())
    if it.name == "POWER":
        kind = it.value(0).kind
        kind = kind if kind.base in ("int", "bigint", "decimal") else FLOAT
        return Typed(f"CAST({name}({arguments}) AS {kind.duckdb})", kind)
    return Typed(f"{name}({arguments})", FLOAT)


@function("RAND", arguments=(0, 0))
def _rand(it: Call) -> Typed:
    return Typed("random()", FLOAT, False)


@function("NEWID", "NEWSEQUENTIALID", arguments=(0, 0))
def _newid(it: Call) -> Typed:
    return Typed("gen_random_uuid()", SqlType("uniqueidentifier"), False)
