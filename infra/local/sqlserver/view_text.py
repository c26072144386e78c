"""How a system view is written: typed columns and the DuckDB text that gives them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .types import SqlType, parse_type

if TYPE_CHECKING:
    from .session import Session


@dataclass(frozen=True)
class SystemView:
    columns: tuple[tuple[str, SqlType], ...]
    sql: Callable[[Session], str]


def view(columns: str, sql: str | Callable[[Session], str]) -> SystemView:
    typed = []
    for item in columns.split(";"):
        name, kind = item.split()
        typed.append((name, parse_type(kind)))
    return SystemView(tuple(typed), sql if callable(sql) else lambda _session, text=sql: text)


def literal(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, dt.datetime):
        return f"TIMESTAMP '{value}'"
    return "'" + str(value).replace("'", "''") + "'"


def values(rows: list[tuple], columns: str) -> str:
    """A SELECT that gives these rows, typed as the view declares."""
    declared = [item.split() for item in columns.split(";")]
    casts = [f"CAST(c{i} AS {parse_type(kind).duckdb})" for i, (_, kind) in enumerate(declared)]
    if not rows:
        return (
            "SELECT " + ", ".join(f"CAST(NULL AS {parse_type(kind).duckdb})" for _, kind in declared) + " WHERE false"
        )
    text = ", ".join("(" + ", ".join(literal(value) for value in row) + ")" for row in rows)
    return f"SELECT {', '.join(casts)} FROM (VALUES {text}) AS v({', '.join(f'c{i}' for i in range(len(declared)))})"
