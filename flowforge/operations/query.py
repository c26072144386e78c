# ruff: noqa: S608 - layer and table names are quoted; the user's text runs as it is, on a confined connection
"""Answers a query over the lake with the caller's own credentials: silver.x, gold.y, quarantine.x and bronze.z.

Guarantees: reads only; a table that does not exist is named together with those that do. bronze.z is all Parquet below
bronze/z/. Rows are Python values; `json_values` makes them fit JSON without losing a digit.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flowforge.aws.clients import aws_errors, client
from flowforge.domain.errors import NotFound, QueryRefused
from flowforge.domain.names import TableName
from flowforge.domain.near import meant
from flowforge.engines.base import EngineError, ObjectUnreadable, OutOfMemory, Session, TimedOut
from flowforge.engines.duckdb.sql import literal, read_parquet
from flowforge.engines.registry import ENGINE
from flowforge.operations.as_of import open_as_of, refuse_travel, telling_of_vacuumed
from flowforge.sql_policy.parsing import NotAllowed
from flowforge.sql_policy.statements import tables_read
from flowforge.tables.lake import PREFIXES, store_errors
from flowforge.tables.rows import create_view, rows_query

# Folders beside the tables; no table's name begins with _ (events.names).
NOT_TABLES = ("_quarantine", "_models", "_probe", "_keys", "_settled")


LAYERS = ("bronze", "silver", "gold", "quarantine")


WRITE = "write one SELECT over silver.<table>, gold.<table> or bronze.<table>"


ASK_FOR_LESS = "ask for less: fewer columns, a WHERE, a smaller table, shorter values; or ask by `flowforge sql SELECT`"


WITH_ZONE = "TIMESTAMP WITH TIME ZONE"


@dataclass(frozen=True)
class QueryResult:
    """A query's answer; `seconds` from parsing to the last row. `more`: there are rows beyond those that were wanted."""

    columns: list[str]
    rows: list[tuple[Any, ...]]
    seconds: float
    more: bool = False


def query(
    sql: str,
    bucket: str,
    as_of: int | datetime | None = None,
    most_rows: int | None = None,
    most_seconds: float | None = None,
    stopped: Callable[[], bool] | None = None,
) -> QueryResult:
    """Runs one SELECT (DuckDB's SQL) over the lake in `bucket`, as it is or as it was: `as_of` is a version, for a query of one
    Delta table, or a moment with its time zone, for all tables. At most so many rows are answered, and a query that is not done
    after so many seconds is stopped, and one that `stopped` says is not wanted any more.

    Raises QueryRefused when it is not a plain query, takes too much time or memory or DuckDB refuses it, NotFound when a table
    does not exist or did not then, or when files of that time have been vacuumed.
    """
    started = time.perf_counter()
    try:
        names = tables_read(sql, LAYERS)
    except NotAllowed as error:
        raise QueryRefused(str(error), error.remedy or WRITE, error.line) from error
    refuse_travel(names, as_of)
    with ENGINE.session() as connection, store_errors("query"), telling_of_vacuumed(as_of):
        paths = [uri for name in names for uri in _create_view(connection, name, bucket, as_of)]
        connection.confine(paths)
        _read_again(connection, sql, names)
        try:
            with connection.within(most_seconds, stopped):
                columns, rows = _answer(connection, sql, most_rows)
        except ObjectUnreadable:
            raise
        except (MemoryError, OutOfMemory) as error:
            raise QueryRefused("the query needs more memory than there is for it", ASK_FOR_LESS) from error
        except TimedOut as error:
            if stopped is not None and stopped():
                raise QueryRefused("the query was stopped, as somebody has asked for") from error
            raise QueryRefused(
                f"the query was not done after {most_seconds:g} s and was stopped", ASK_FOR_LESS
            ) from error
        except EngineError as error:
            raise QueryRefused(str(error).strip(), line=error.line or _line_of(connection, sql)) from error
    more = most_rows is not None and len(rows) > most_rows
    return QueryResult(columns, rows[:most_rows], time.perf_counter() - started, more)


def _line_of(connection: Session, sql: str) -> int | None:
    """The line that is refused: a relation's own errors name none, those of a plan do."""
    try:
        connection.execute(f"EXPLAIN {sql}")
    except EngineError as error:
        return error.line
    return None


def _read_again(connection: Session, sql: str, names: list[TableName]) -> None:
    try:
        connection.check_query(sql, [(name.layer, name.table) for name in names])
    except NotAllowed as error:
        raise QueryRefused(str(error), error.remedy or WRITE, error.line) from error


def tables_present(bucket: str) -> list[TableName]:
    """All tables of the lake, as far as their folders tell."""
    return tables_in(bucket, LAYERS)


def no_table(name: TableName, bucket: str) -> NotFound:
    """The error of a name that no table of the lake has, with the names that may have been meant."""
    present = map(str, tables_present(bucket))
    return NotFound(
        f"there is no table {name} in {bucket}", meant(str(name), present, "No table is there yet: load one.")
    )


def tables_in(bucket: str, layers: Iterable[str]) -> list[TableName]:
    """The tables of these layers, by layer and name, as far as their folders tell."""
    found = []
    for layer in layers:
        prefix = PREFIXES.get(layer, layer)
        with aws_errors("s3"):
            pages = (
                client("s3")
                .get_paginator("list_objects_v2")
                .paginate(Bucket=bucket, Prefix=f"{prefix}/", Delimiter="/")
            )
            folders = [folder["Prefix"] for page in pages for folder in page.get("CommonPrefixes", [])]
        tables = [folder.removeprefix(f"{prefix}/").rstrip("/") for folder in folders]
        found += [TableName(layer, table) for table in tables if table not in NOT_TABLES]
    return sorted(found)


def _create_view(connection: Session, name: TableName, bucket: str, as_of: int | datetime | None) -> list[str]:
    """Makes the table readable under its name; returns the objects behind it."""
    if name.layer == "bronze":
        pattern = f"s3://{bucket}/bronze/{name.table}/**/*.parquet"
        uris = [row[0] for row in connection.execute(f"SELECT file FROM glob({literal(pattern)})").fetchall()]
        rows = f"SELECT * FROM {read_parquet(uris)}" if uris else None
    else:
        table = open_as_of(name, bucket, as_of)
        uris = table.file_uris() if table is not None else []
        rows = rows_query(connection, table) if table is not None else None
    if rows is None:
        raise no_table(name, bucket)
    create_view(connection, name.layer, name.table, rows)
    return uris


def _answer(connection: Session, sql: str, most: int | None) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Times with a zone come as text from DuckDB, which needs another package to make Python objects of them."""
    answer = connection.sql(sql)
    if most is not None:
        answer = answer.limit(most + 1)
    zoned = [str(kind) == WITH_ZONE for kind in answer.types]
    items = [f"CAST(#{n} AS VARCHAR)" if is_zoned else f"#{n}" for n, is_zoned in enumerate(zoned, 1)]
    rows = answer.project(", ".join(items)).fetchall()
    if any(zoned):
        rows = [tuple(_zoned(v) if z and v is not None else v for v, z in zip(row, zoned, strict=True)) for row in rows]
    return answer.columns, rows


def _zoned(text: str) -> datetime | str:
    try:
        return datetime.fromisoformat(text)
    except ValueError:  # a year that Python does not have
        return text
