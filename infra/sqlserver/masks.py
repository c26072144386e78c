"""Dynamic data masking: what a login without UNMASK is given in place of values.

A mask goes with a column into every expression over it, and is applied once, to what a statement returns: WHERE, ORDER BY and
joins work on the real values. NULL stays NULL. An expression over a masked column has the default mask of its own type.
"""

from __future__ import annotations

import re

from sqlglot import exp

from .conversion import convert
from .errors import SqlError
from .scopes import Query, Scope
from .types import CHARACTERS, CLR, SqlType
from .values import Typed, quote_text

DEFAULT = "default()"
_NUMBERS = {"tinyint", "smallint", "int", "bigint", "bit", "real", "float", "decimal", "money", "smallmoney"}


def mask_of(node: exp.Expr, scope: Scope) -> str | None:
    """The mask of an expression: its column's own, or the default one where a masked column is in it."""
    if isinstance(node, exp.Alias):
        return mask_of(node.this, scope)
    if isinstance(node, exp.Column):
        return _column_mask(node, scope)
    # COUNT tells how many, not what.
    masked = any(_column_mask(column, scope) for column in node.find_all(exp.Column) if not _counted(column))
    return DEFAULT if masked else None


def _counted(column: exp.Column) -> bool:
    above = column.find_ancestor(exp.Anonymous, exp.Count)
    return isinstance(above, exp.Count) or (above is not None and above.name.upper() in ("COUNT", "COUNT_BIG"))


def _column_mask(node: exp.Column, scope: Scope) -> str | None:
    if isinstance(node.this, exp.Star):
        return None
    try:
        return scope.find(node.name, node.table, node.text("db"))[1].mask
    except SqlError:
        return None  # of an inner query, which has its own sources, or a keyword


def masked(query: Query) -> Query:
    """The query with the masks of its columns in place of their values."""
    if not any(output.mask for output in query.outputs):
        return query
    columns = [
        f"{_masked(f'm.c{n}', output.type, output.mask) if output.mask else f'm.c{n}'} AS c{n}"
        for n, output in enumerate(query.outputs, 1)
    ]
    names = ", ".join(f"c{n}" for n in range(1, len(query.outputs) + 1))
    return Query(f"SELECT {', '.join(columns)} FROM ({query.sql}) AS m({names})", query.outputs)


def _masked(value: str, kind: SqlType, mask: str) -> str:
    shown = _shown(value, kind, mask)
    return f"CASE WHEN {value} IS NULL THEN NULL ELSE {shown} END"


def _shown(value: str, kind: SqlType, mask: str) -> str:
    if kind.base in CHARACTERS:
        if mask.startswith("email"):
            return f"left({value}, 1) || 'XXX@XXXX.com'"
        if found := re.match(r"partial\((\d+),\s*\"(.*)\",\s*(\d+)\)", mask):
            return f"left({value}, {found[1]}) || {quote_text(found[2])} || right({value}, {found[3]})"
        return quote_text("<masked />" if kind.base == "xml" else "xxxx"[: kind.length] if kind.length > 0 else "xxxx")
    if kind.base in _NUMBERS:
        number = re.match(r"random\((\d+)", mask)
        return f"CAST({number[1] if number else 0} AS {kind.duckdb})"
    if kind.base == "uniqueidentifier":
        return "CAST('00000000-0000-0000-0000-000000000000' AS UUID)"
    if kind.base == "sql_variant" or kind.base in CLR:
        return f"CAST(NULL AS {kind.duckdb})"
    if kind.duckdb == "BLOB":
        return "'0'::BLOB"
    text = "00:00:00" if kind.base == "time" else "1900-01-01"
    return convert(Typed(quote_text(text), SqlType("varchar", 30), False, text), kind).sql
