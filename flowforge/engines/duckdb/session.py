# ruff: noqa: S608 - SQL text of quoted names and generated paths
"""DuckDB as an engine: its connection behind `engines.base`.

DuckDB writes data files, not the table format's library: a stream into that one goes over in batches of a million rows, and
neither these nor the writer's own memory can be bounded. DuckDB holds a few row groups for each thread, and keeps to its limit.

Resource management: `DuckDB.session` is a context manager.
"""

import re
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

from flowforge.engines.base import TARGET_BYTES, ArrowStream, WrittenFile
from flowforge.engines.duckdb.near_copies import NearCopies
from flowforge.engines.duckdb.relations import DuckDBAnswer, DuckDBRows, translated
from flowforge.engines.duckdb.requests import RequestCount
from flowforge.engines.duckdb.sql import identifier, literal
from flowforge.engines.duckdb.storage import Instance, duckdb_session

# Longer dictionaries and bloom filters cost half of the writer's time on unique columns, and save no byte.
PARQUET = "FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, DICTIONARY_SIZE_LIMIT 10000, WRITE_BLOOM_FILTER false"
# A limit has DuckDB make room for so many values of each column, 4 ms for ten rows; else it does for a fifth of the rows.
PARQUET_OF_FEW = "FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, WRITE_BLOOM_FILTER false"

LASTS = re.compile(r"\s*CREATE\s+(?!(OR\s+REPLACE\s+)?TEMP\b)")  # what it makes does not go with the connection
S3 = "s3://"  # in the text of a statement that reads or writes there
LOOK_SECONDS = 0.5  # between two looks at whether a block is to be stopped
AGAIN_SECONDS = 0.2  # an interrupt reaches the statement that runs at the moment, and is forgotten where none does


class DuckDBSession:
    """A connection. It reaches S3 from the first statement on that names an object there."""

    def __init__(self, instance: Instance, copies: NearCopies):
        self._instance, self._connection, self._copies = instance, instance.connection, copies
        self.requests = RequestCount(instance.connection)

    def _reach_store_for(self, statement: str) -> None:
        if S3 in statement and self._instance.reach_store():
            self.requests.begin()

    def execute(self, statement: str, parameters: object = None, /) -> DuckDBAnswer:
        """Runs a statement; its rows are there until the next one."""
        with translated():
            self._reach_store_for(statement)
            if LASTS.match(statement):
                self._instance.own_catalog()
            return DuckDBAnswer(self._connection.execute(statement, parameters))

    def sql(self, query: str, /) -> DuckDBRows:
        """A query, bound to the columns that there are."""
        with translated():
            self._reach_store_for(query)
            return DuckDBRows(self._connection.sql(query), self._instance.own_catalog)

    def near(self, files: Iterable[tuple[str, int]], /) -> list[str]:
        """Where this session reads objects, each given with its bytes: copies of its own where they are small, which take one
        call each, else the objects."""
        return self._copies.of(files, may_grow=not (self._instance.reaches_store or self._instance.is_confined))

    def table(self, name: str, /) -> DuckDBRows:
        """The rows of a table or view."""
        with translated():
            return DuckDBRows(self._connection.table(name), self._instance.own_catalog)

    def from_arrow(self, rows: ArrowStream, /) -> DuckDBRows:
        """Rows from elsewhere."""
        with translated():
            return DuckDBRows(self._connection.from_arrow(rows), self._instance.own_catalog)

    def register(self, name: str, rows: ArrowStream, /) -> None:
        """Rows from elsewhere, under a name."""
        with translated():
            self._connection.register(name, rows)

    def confine(self, uris: list[str], /) -> None:
        """See `storage.confine`. Of objects that are copied the copies are read, too."""
        places = {uri: self._copies.place_of(uri) for uri in uris}
        with translated():
            self._reach_store_for(" ".join(places.values()))
            self.requests.end()
            self._instance.confine([*dict.fromkeys([*places, *places.values()])])

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

        with translated():
            check_query(self._connection, sql, tables)

    def check_condition(self, sql: str, /) -> None:
        """See `second_reading.check_condition`."""
        from flowforge.engines.duckdb.second_reading import check_condition

        with translated():
            check_condition(self._connection, sql)

    def write_files(
        self, query: str, folder: str, types: Mapping[str, str], /, *, few: bool = False
    ) -> list[WrittenFile]:
        """Writes the rows as Parquet files of names that nobody has; no reader looks at a file before a table's commit."""
        columns = ", ".join(f"CAST({identifier(n)} AS {kind}) AS {identifier(n)}" for n, kind in types.items())
        pattern = f"part-{uuid.uuid4().hex}-{{i}}"
        is_near = few and not self._instance.reaches_store and S3 not in query
        form = PARQUET_OF_FEW if is_near else PARQUET
        options = f"{form}, RETURN_STATS, FILE_SIZE_BYTES {TARGET_BYTES}, OVERWRITE_OR_IGNORE"
        place = self._copies.new_folder() if is_near else folder
        written = self.execute(
            f"COPY (SELECT {columns} FROM ({query})) TO {literal(place)} ({options}, FILENAME_PATTERN {literal(pattern)})"
        ).fetchall()
        files = [
            WrittenFile(uri, rows, size, _of_columns(found, types)) for uri, rows, size, _, found, _ in written if rows
        ]
        return [self._copies.put(file, folder) for file in files] if is_near else files


class DuckDB:
    """The engine."""

    @contextmanager
    def session(self) -> Iterator[DuckDBSession]:
        """An in-process DuckDB that reads the lake; see `storage.duckdb_session`."""
        with translated(), NearCopies() as copies, duckdb_session() as instance:
            session = DuckDBSession(instance, copies)
            yield session
            session.requests.end()


def _of_columns(found: Mapping[str, Mapping[str, str]], types: Mapping[str, str]) -> dict[str, Mapping[str, str]]:
    """Statistics of whole columns by their names; DuckDB quotes these, and has entries for parts of nested ones, too."""
    return {name: found[identifier(name)] for name in types if identifier(name) in found}
