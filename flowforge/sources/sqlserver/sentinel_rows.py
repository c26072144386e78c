"""Sentinel rows: a few rows of each batch whose cursor is remembered with the watermark, to notice a source that went back.

A database that was restored to an earlier moment, or failed over to a copy that lags, hands out again what is below the
watermark, and an incremental load would never see it. Guarantees: a remembered row whose cursor is lower now stops the table; so
does the loss of all of them together with everything as new as they were. A single row that is gone was deleted. A row that
somebody is changing is passed over.
"""

# ruff: noqa: S608 - composing SQL of quoted identifiers and bound values

from collections.abc import Sequence
from typing import Any

from flowforge.domain.errors import SourceChanged
from flowforge.domain.given import given
from flowforge.domain.interval import Interval
from flowforge.domain.own_columns import OURS
from flowforge.domain.source_columns import SourceColumn
from flowforge.sources.sqlserver.conditions import interval_condition, where
from flowforge.sources.sqlserver.connection import SourceConnection
from flowforge.sources.sqlserver.description import TableDescription
from flowforge.sources.sqlserver.keys import is_printable, key_value, printed_key
from flowforge.sources.sqlserver.sql_types import cursor_kind, parse_sql_type, print_expression
from flowforge.sources.sqlserver.statement import Statement, passing_locked, qualified, quote_identifier

PER_BATCH = 2
MOST = 6
LITERAL = f"{OURS}literal"  # ORDER BY takes a name for what is selected under it before it takes it for a column
ENOUGH = 3  # so many rows of at least two batches do not vanish by chance

SentinelRow = dict[str, Any]


def take_sentinel_rows(
    connection: SourceConnection, description: TableDescription, interval: Interval
) -> list[SentinelRow]:
    """The newest rows of an interval as {"key": [literals], "cursor": literal}; none where the table has no printable key.

    Without an index on the cursor, the rows with the highest keys: neither reads the table.
    """
    statement = taking(description, interval)
    rows = connection.rows(statement, about=description.qualified_name) if statement else []
    width = len(description.primary_key)
    return [{"key": [str(row[f"{OURS}key_{n}"]) for n in range(width)], "cursor": row[LITERAL]} for row in rows]


def taking(description: TableDescription, interval: Interval) -> Statement | None:
    """The question of `take_sentinel_rows`; None where it asks none."""
    key = _key(description)
    if not key or interval.column is None:
        return None
    indexed = interval.column in description.indexed_columns
    within = interval.model_copy(update={"nulls": False} if indexed else {"nulls": False, "low": None})
    names = ", ".join(f"{printed_key(column)} AS {OURS}key_{n}" for n, column in enumerate(key))
    order = [interval.column] if indexed else [column.name for column in key]
    literal = _printed(quote_identifier(interval.column), given(interval.sql_type))
    text = f"SELECT TOP ({PER_BATCH}) {names}, {literal} AS {LITERAL}"
    statement = Statement((f"{text} FROM {qualified(description)}{passing_locked(description)}",)) + where(
        interval_condition(within), Statement((f"{quote_identifier(interval.column)} IS NOT NULL",))
    )
    return statement + f" ORDER BY {', '.join(f'{quote_identifier(name)} DESC' for name in order)}"


def remember(kept: list[SentinelRow], newer: list[SentinelRow]) -> list[SentinelRow]:
    """The sentinel_rows with those of another batch before them; the oldest go when there are too many."""
    known = [sentinel["key"] for sentinel in newer]
    return [*newer, *(sentinel for sentinel in kept if sentinel["key"] not in known)][:MOST]


def check_sentinel_rows(
    connection: SourceConnection,
    description: TableDescription,
    column: str,
    sql_type: str,
    sentinel_rows: list[SentinelRow],
    ahead: Sequence[Statement] = (),
) -> list[SentinelRow]:
    """Looks the remembered rows up; returns those that are still there. Raises SourceChanged. `ahead` are questions that the
    caller asks next, which go along."""
    sentinel_rows = _of_key(sentinel_rows, description)
    if not sentinel_rows:
        return []
    looking = _look_up(description, _key(description), column, sql_type, sentinel_rows)
    connection.ask_together(looking, *ahead, about=description.qualified_name)
    rows = connection.rows(looking, about=description.qualified_name)
    found = {row["n"]: row["literal"] for row in rows if row["literal"] is not None}
    where_ = f"{description.qualified_name}.{column}"
    for n, literal in found.items():
        if is_before(literal, sentinel_rows[n]["cursor"], sql_type):
            raise went_back(
                f"{where_}: a row that was loaded with {sentinel_rows[n]['cursor']} has {literal} now",
                "If the row alone was set back: flowforge watermark accept TABLE. ",
            )
    if not found and len(sentinel_rows) >= ENOUGH:
        newest = connection.scalar(
            f"SELECT {_printed(f'MAX({quote_identifier(column)})', sql_type)} AS literal FROM {qualified(description)}",
            about=description.qualified_name,
        )
        if newest is not None and all(is_before(newest, sentinel["cursor"], sql_type) for sentinel in sentinel_rows):
            raise went_back(
                f"{where_}: its newest value is {newest}; rows up to {sentinel_rows[0]['cursor']} were loaded"
            )
    return [sentinel for n, sentinel in enumerate(sentinel_rows) if n in found]


def _of_key(sentinel_rows: list[SentinelRow], description: TableDescription) -> list[SentinelRow]:
    width = len(_key(description))
    return [sentinel for sentinel in sentinel_rows if len(sentinel["key"]) == width]


def is_before(literal: str, other: str, sql_type: str) -> bool:
    """Whether a cursor's literal is lower than another of its type."""
    if cursor_kind(sql_type) == "integer":
        return int(literal) < int(other)
    return literal < other  # fixed width: text order is the order of row versions and of times in one zone


def went_back(what: str, remedy: str = "") -> SourceChanged:
    """The error for a source that shows an earlier state of itself; `remedy` is what a person may do beside reading again."""
    again = "flowforge watermark set TABLE VALUE --column COLUMN, or flowforge watermark reset TABLE"
    return SourceChanged(
        f"{what}: restored to an earlier moment, failed over, or set back?",
        f"{remedy}What changed since the restore must be read again: {again}.",
    )


def _look_up(
    description: TableDescription, key: list[SourceColumn], column: str, sql_type: str, sentinel_rows: list[SentinelRow]
) -> Statement:
    statement, printed = Statement(("",)), _printed(quote_identifier(column), sql_type)
    for n, sentinel in enumerate(sentinel_rows):
        joint = " UNION ALL " if n else ""
        statement += f"{joint}SELECT {n} AS n, {printed} AS literal FROM {qualified(description)}"
        statement += f"{passing_locked(description)} WHERE "
        for position, (part, literal) in enumerate(zip(key, sentinel["key"], strict=True)):
            statement += f"{' AND ' if position else ''}{quote_identifier(part.name)} = "
            statement += key_value(part, literal)
    return statement


def _printed(expression: str, sql_type: str) -> str:
    if parse_sql_type(sql_type).base == "datetimeoffset":
        expression = f"SWITCHOFFSET({expression}, '+00:00')"
    return print_expression(expression, sql_type)


def _key(description: TableDescription) -> list[SourceColumn]:
    key = [c for name in description.primary_key for c in description.source_columns if c.name == name]
    return key if all(map(is_printable, key)) else []
