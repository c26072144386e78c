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
    """A view with its columns' names, types and the release that brought each (0: they were always there)."""

    columns: tuple[tuple[str, SqlType, int], ...]
    sql: Callable[[Session], str]
    since: int = 0


def view(columns: str, sql: str | Callable[[Session], str], since: int = 0) -> SystemView:
    """A view from `name type[@release];…`; `since` is the release that brought the view itself."""
    typed = []
    for item in columns.split(";"):
        name, kind = item.split()
        kind, _, release = kind.partition("@")
        typed.append((name, parse_type(kind), int(release or 0)))
    return SystemView(tuple(typed), sql if callable(sql) else lambda _session, text=sql: text, since)


def literal(value: object) -> str:
    """A value of Python as a DuckDB literal."""
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
