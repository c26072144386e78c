# ruff: noqa: S608 - SQL text of quoted names and generated paths
"""DuckDB as an engine: its connection and relations behind `engines.base`, its errors in the words of that module.

DuckDB writes data files, not the table format's library: a stream into that one goes over in batches of a million rows, and
neither these nor the writer's own memory can be bounded. DuckDB holds a few row groups for each thread, and keeps to its limit.

Resource management: `DuckDB.session` is a context manager.
"""

import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import duckdb

from flowforge.engines.base import (
    TARGET_BYTES,
    ArrowStream,
    EngineError,
    ObjectUnreadable,
    OutOfMemory,
    TimedOut,
    WrittenFile,
)
from flowforge.engines.duckdb.reasons import line_named, reason
from flowforge.engines.duckdb.requests import RequestCount
from flowforge.engines.duckdb.sql import identifier, literal
from flowforge.engines.duckdb.storage import confine, duckdb_connection

# Longer dictionaries and bloom filters cost half of the writer's time on unique columns, and save no byte.
PARQUET = "FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, DICTIONARY_SIZE_LIMIT 10000, WRITE_BLOOM_FILTER false"


LOOK_SECONDS = 0.5  # between two looks at whether a block is to be stopped
AGAIN_SECONDS = 0.2  # an interrupt reaches the statement that runs at the moment, and is forgotten where none does


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except duckdb.OutOfMemoryException as error:
        raise OutOfMemory(str(error)) from error
    except duckdb.InterruptException as error:
        raise TimedOut(str(error)) from error
    except duckdb.HTTPException as error:
        raise ObjectUnreadable(str(error), error.status_code == 404) from error
    except duckdb.IOException as error:
        raise ObjectUnreadable(str(error)) from error
    except duckdb.Error as error:
        raise EngineError(str(error), reason(error), line_named(error)) from error


class DuckDBRows:
    """A relation."""

    def __init__(self, relation: duckdb.DuckDBPyRelation):
        self._relation = relation

    @property
    def columns(self) -> list[str]:
        """The columns' names in order."""
        return self._relation.columns

    @property
    def types(self) -> list[str]:
        """The columns' types in order, as DuckDB writes them."""
        return [str(kind) for kind in self._relation.types]

    def sql_query(self) -> str:
        """The query's text."""
        return self._relation.sql_query()

    def fetchone(self) -> tuple[Any, ...] | None:
        """The next row; None after the last one."""
        with _translated():
            return self._relation.fetchone()

    def fetchall(self) -> list[tuple[Any, ...]]:
        """All rows."""
        with _translated():
            return self._relation.fetchall()

    def filter(self, condition: str, /) -> "DuckDBRows":
        """Those rows for which the condition is true."""
        with _translated():
            return DuckDBRows(self._relation.filter(condition))

    def project(self, items: str, /) -> "DuckDBRows":
        """The rows with these select items."""
        with _translated():
            return DuckDBRows(self._relation.project(items))

    def aggregate(self, items: str, groups: str = "", /) -> "DuckDBRows":
        """One row for each group; without `groups` by those of the items that are no aggregates."""
        with _translated():
            return DuckDBRows(self._relation.aggregate(items, groups))

    def order(self, items: str, /) -> "DuckDBRows":
        """The rows in an order."""
        with _translated():
            return DuckDBRows(self._relation.order(items))

    def limit(self, rows: int, /) -> "DuckDBRows":
        """The first rows."""
        with _translated():
            return DuckDBRows(self._relation.limit(rows))

    def create_view(self, name: str, replace: bool = True) -> "DuckDBRows":
        """The rows under a name."""
        with _translated():
            return DuckDBRows(self._relation.create_view(name, replace=replace))

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        with _translated():
            return self._relation.__arrow_c_stream__(requested_schema)


class DuckDBAnswer:
    """What a connection's last statement gave."""

    def __init__(self, connection: duckdb.DuckDBPyConnection):
        self._connection = connection

    def fetchone(self) -> tuple[Any, ...] | None:
        """The next row; None after the last one."""
        with _translated():
            return self._connection.fetchone()

    def fetchall(self) -> list[tuple[Any, ...]]:
        """All rows that are left."""
        with _translated():
            return self._connection.fetchall()


class DuckDBSession:
    """A connection."""

    def __init__(self, connection: duckdb.DuckDBPyConnection):
        self._connection = connection
        self.requests = RequestCount(connection)

    def execute(self, statement: str, parameters: object = None, /) -> DuckDBAnswer:
        """Runs a statement; its rows are there until the next one."""
        with _translated():
            return DuckDBAnswer(self._connection.execute(statement, parameters))

    def sql(self, query: str, /) -> DuckDBRows:
        """A query, bound to the columns that there are."""
        with _translated():
            return DuckDBRows(self._connection.sql(query))

    def table(self, name: str, /) -> DuckDBRows:
        """The rows of a table or view."""
        with _translated():
            return DuckDBRows(self._connection.table(name))

    def from_arrow(self, rows: ArrowStream, /) -> DuckDBRows:
        """Rows from elsewhere."""
        with _translated():
            return DuckDBRows(self._connection.from_arrow(rows))

    def register(self, name: str, rows: ArrowStream, /) -> None:
        """Rows from elsewhere, under a name."""
        with _translated():
            self._connection.register(name, rows)

    def confine(self, uris: list[str], /) -> None:
        """See `storage.confine`."""
        with _translated():
            self.requests.end()
            confine(self._connection, uris)

    @contextmanager
    def within(self, seconds: float | None, stopped: Callable[[], bool] | None = None, /) -> Iterator[None]:
        """Interrupts what runs in the block, once the time is over or `stopped` says so, until the block has ended."""
        done, until = threading.Event(), time.monotonic() + (threading.TIMEOUT_MAX if seconds is None else seconds)

        def stop() -> None:
            over = False
            while not done.wait(AGAIN_SECONDS if over else self._patience(until, stopped)):
                over = over or time.monotonic() >= until or (stopped is not None and stopped())
                if over:
                    self._connection.interrupt()

        watch = threading.Thread(target=stop, daemon=True)
        watch.start()
        try:
            yield
        finally:
            done.set()
            watch.join()

    @staticmethod
    def _patience(until: float, stopped: Callable[[], bool] | None) -> float:
        left = min(max(0.0, until - time.monotonic()), threading.TIMEOUT_MAX)
        return left if stopped is None else min(left, LOOK_SECONDS)

    def check_query(self, sql: str, tables: Iterable[tuple[str, str]], /) -> None:
        """See `second_reading.check_query`."""
        from flowforge.engines.duckdb.second_reading import check_query  # sqlglot: for users' SQL only

        with _translated():
            check_query(self._connection, sql, tables)

    def check_condition(self, sql: str, /) -> None:
        """See `second_reading.check_condition`."""
        from flowforge.engines.duckdb.second_reading import check_condition

        with _translated():
            check_condition(self._connection, sql)

    def write_files(self, query: str, folder: str, types: Mapping[str, str], /) -> list[WrittenFile]:
        """Writes the rows as Parquet files of names that nobody has; no reader looks at a file before a table's commit."""
        columns = ", ".join(f"CAST({identifier(n)} AS {kind}) AS {identifier(n)}" for n, kind in types.items())
        options = f"{PARQUET}, RETURN_STATS, FILE_SIZE_BYTES {TARGET_BYTES}, OVERWRITE_OR_IGNORE"
        pattern = f"part-{uuid.uuid4().hex}-{{i}}"
        written = self.execute(
            f"COPY (SELECT {columns} FROM ({query})) TO {literal(folder)} ({options}, FILENAME_PATTERN {literal(pattern)})"
        ).fetchall()
        return [
            WrittenFile(uri, rows, size, _of_columns(found, types)) for uri, rows, size, _, found, _ in written if rows
        ]


class DuckDB:
    """The engine."""

    @contextmanager
    def session(self) -> Iterator[DuckDBSession]:
        """An in-process DuckDB that reads the lake; see `storage.duckdb_connection`."""
        with _translated(), duckdb_connection() as connection:
            session = DuckDBSession(connection)
            yield session
            session.requests.end()


def _of_columns(found: Mapping[str, Mapping[str, str]], types: Mapping[str, str]) -> dict[str, Mapping[str, str]]:
    """Statistics of whole columns by their names; DuckDB quotes these, and has entries for parts of nested ones, too."""
    return {name: found[identifier(name)] for name in types if identifier(name) in found}
