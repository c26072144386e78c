"""Reading a source as Arrow: one protocol, two drivers.

Guarantees: the schema is known before the first row and is the canonical one; batches are bounded in rows and, by
declaration, in bytes, so memory does not grow with the table; a read that ends early raises. The server counts the
rows of the very statement that sent them, in the same batch of SQL, and a read is only complete when the counts
agree.

Resource management: a reader holds one connection of its own; it is a context manager, and `close` may be called at
any time.
"""

from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from typing import Any, Protocol, Self

import pyarrow as pa

from events.targets import ConnectionReference
from flowforge.errors import QueryRefused, TruncatedRead, UnsupportedSource
from flowforge.source.credentials import Credentials
from flowforge.source.sql_text import Statement
from flowforge.source.sql_types import LARGE_OBJECT_BYTES, declared_bytes
from flowforge.state.batch import SourceColumn

BATCH_ROWS = 8_192  # several batches are under way at once; larger ones read no faster
BATCH_BYTES = 16 * 2**20  # of declared width: what one batch may take where every cell is as wide as it may be
LEAST_BATCH_ROWS = 256
FIRST_LARGE_ROWS = 16  # of a table with large objects, whose size nothing declares
LARGE_BATCH_BYTES = 2 * 2**20  # what such batches grow to; several are under way at once
COUNT_COLUMN = "flowforge_source_rows"
COUNTED = f"\n;\nSELECT ROWCOUNT_BIG() AS {COUNT_COLUMN}"  # the server's own count of the statement before

_PACKAGES = {"mssql-python": "mssql_python", "pymssql": "pymssql"}


class ArrowReader(Protocol):
    """A schema and an iterator of record batches in that schema."""

    schema: pa.Schema

    def __iter__(self) -> Iterator[pa.RecordBatch]: ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *exception: object) -> None: ...

    def close(self) -> None: ...


def open_reader(
    reference: ConnectionReference,
    credentials: Credentials,
    statement: Statement,
    columns: Sequence[SourceColumn],
    driver: str = "auto",
    batch_rows: int = BATCH_ROWS,
) -> ArrowReader:
    """Runs the statement and returns its rows as Arrow, in the columns' canonical types.

    `driver` is auto (mssql-python where it is installed and loads, else pymssql), mssql-python or pymssql. Raises
    UnsupportedSource for a driver that is not there, and what connecting and running raise. While rows are read:
    SourceUnavailable when the connection is lost or the server ends the statement, TruncatedRead when the server
    counted other than what arrived.
    """
    rows = BatchRows(columns, batch_rows)
    if driver not in ("auto", *_PACKAGES):
        raise UnsupportedSource(f"there is no driver {driver!r}", f"use auto, {' or '.join(_PACKAGES)}")
    if driver != "auto" and not find_spec(_PACKAGES[driver]):
        raise UnsupportedSource(
            f"the driver {driver} is not installed", f"install the package {driver}, or use driver auto"
        )
    if driver != "pymssql" and find_spec("mssql_python"):
        try:
            from flowforge.source.mssql_python_reader import MssqlPythonReader

            return MssqlPythonReader(reference, credentials, statement, columns, rows)
        except ImportError as error:
            if driver != "auto":
                raise UnsupportedSource(
                    f"the driver {driver} is installed, but cannot be used: {error}", "use driver auto or pymssql"
                ) from error
    from flowforge.source.pymssql_reader import PymssqlReader

    return PymssqlReader(reference, credentials, statement, columns, rows)


class BatchRows:
    """How many rows to fetch next: `rows`.

    Declared widths bound a batch, except of large objects: those start with few rows and follow the size that arrives.
    """

    def __init__(self, columns: Sequence[SourceColumn], most: int = BATCH_ROWS):
        width = sum(declared_bytes(c.sql_type) for c in columns)
        self._most = max(1, min(most, max(LEAST_BATCH_ROWS, BATCH_BYTES // max(1, width))))
        self._adapts = any(declared_bytes(c.sql_type) == LARGE_OBJECT_BYTES for c in columns)
        self.rows = min(self._most, FIRST_LARGE_ROWS) if self._adapts else self._most

    def learn(self, batch: pa.RecordBatch) -> None:
        """Takes note of a batch that arrived."""
        if self._adapts and batch.num_rows:
            fitting = LARGE_BATCH_BYTES // max(1, batch.nbytes // batch.num_rows)
            self.rows = max(1, min(self._most, 2 * self.rows, fitting))


def counted_rows(name: str | None, row: Sequence[Any] | None, where: str) -> int | None:
    """The server's count from the result set that follows the rows, None when there is none.

    Raises QueryRefused when something else follows: then the query held more than one SELECT.
    """
    if name is not None and name != COUNT_COLUMN:
        raise QueryRefused(f"{where}: the query returns more than one result set", "give one SELECT")
    return int(row[0]) if row else None


def check_complete(arrived: int, counted: int | None, where: str) -> None:
    """Compares the rows that arrived with the server's count; raises TruncatedRead unless they agree."""
    if counted != arrived:
        said = "did not say how many rows it sent" if counted is None else f"sent {counted} rows"
        raise TruncatedRead(
            f"{where}: the server {said}, {arrived} arrived", "the read starts again from its beginning"
        )
