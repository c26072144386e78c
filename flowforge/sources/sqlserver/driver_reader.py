"""What the readers of both drivers have in common: how a read goes, ends, fails and is given up.

Guarantees: a driver's errors come out as ours, with the password masked; a read that was ended from outside says so; `close`
may be called from any thread at any time, and a read under way in another one then raises.
"""

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self

import pyarrow as pa

from events.targets import ConnectionReference
from flowforge.domain.errors import UnsupportedSource
from flowforge.sources.reports import CountAtSource, ReadReport
from flowforge.sources.sqlserver.arrow_types import arrow_schema
from flowforge.sources.sqlserver.batch_rows import BatchRows
from flowforge.sources.sqlserver.broken_text import TextCheck
from flowforge.sources.sqlserver.completeness import check_complete, check_counted, counted_rows
from flowforge.sources.sqlserver.failures import describe_reference, translate, without_row
from flowforge.sources.sqlserver.packing import Cell
from flowforge.sources.sqlserver.proof import require_conversions
from flowforge.sources.sqlserver.read_deadline import ReadDeadline
from flowforge.sources.sqlserver.selection import Selection
from flowforge.sources.sqlserver.statement import Statement
from flowforge.sources.target import Credentials


class DriverReader(ABC):
    """An ArrowReader over one connection of its own; see `reader.open_reader`."""

    driver: str
    failures: tuple[type[BaseException], ...]  # what the driver raises
    replaces_text = False  # whether the driver puts U+FFFD for what it cannot convert, and says nothing

    def __init__(
        self,
        reference: ConnectionReference,
        credentials: Credentials,
        selection: Selection,
        batch_rows: BatchRows,
        deadline: float | None = None,
    ):
        self.schema = arrow_schema(selection.columns)
        self._batch_rows = batch_rows
        self._where = describe_reference(reference)
        self._secret = credentials.password.get_secret_value()
        self._read_deadline = ReadDeadline(deadline)
        self._using = threading.Lock()  # drivers take one caller at a time
        self._connection: Any = None
        self._closed = False
        self._is_owed = False  # whether the server may have rows on their way
        self._consistency = selection.consistency
        self._counts_again, self._judge = selection.counts_again, selection.judge
        self._theirs = isinstance(selection.source, str) and not selection.own
        self.counted: CountAtSource | None = None
        self.notes: list[str] = []  # how rows are read where the server made it differ
        self._texts = TextCheck(reference, credentials, selection)
        try:
            with self._asking():
                self._connection = self._connect(reference, credentials)
            require_conversions(reference, [column.sql_type for column in selection.columns], self._asked)
            prepared = self._prepare(reference, selection)
            self._is_owed = True
            with self._naming_rows(0), self._asking():
                self._execute(*prepared)
        except BaseException:
            self.close()
            raise

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        arrived = 0
        while (batch := self._next(arrived)).num_rows:
            if self.replaces_text:
                self._texts.check(batch, arrived)
            arrived += batch.num_rows
            self._batch_rows.learn(batch)
            yield batch
        with self._asking():
            name, row = self._next_result()
        check_complete(arrived, counted_rows(name, row, self._where), self._where)
        if self._counts_again:
            with self._asking():
                _, row = self._next_result()
            self.counted = check_counted(arrived, row, self._where)
        if self._judge is not None:
            with self._asking():
                _, row = self._next_result()
            self._judge(row)
        self._is_owed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def report(self) -> ReadReport:
        """What the read knows of itself, once all rows have been taken."""
        return ReadReport(self._consistency, self.counted, self.notes)

    def close(self) -> None:
        """Closes the connection; rows not read are given up, and a read under way in another thread raises."""
        if not self._using.acquire(blocking=False):
            self._read_deadline.cut()
            self._using.acquire()
        elif self._is_owed:
            self._read_deadline.cut()  # a driver takes what is on its way before it closes, for ever if the server stalls
        try:
            if self._connection is not None:
                self._disconnect()
        except self.failures:
            pass  # it was broken
        finally:
            self._connection, self._closed = None, True
            self._read_deadline.release()
            self._using.release()

    def _next(self, arrived: int) -> pa.RecordBatch:
        with self._naming_rows(arrived), self._asking():
            batch = self._fetch(self._batch_rows.rows)
        self._read_deadline.check(self._where)
        return batch

    @contextmanager
    def _naming_rows(self, arrived: int) -> Iterator[None]:
        try:
            yield
        except UnsupportedSource as error:
            named = self._texts.refused(error, arrived, self._batch_rows.rows)
            raise named from (None if named is error else error)

    @contextmanager
    def _asking(self) -> Iterator[None]:
        with self._using:
            if self._closed:
                raise self._read_deadline.given_up(self._where)
            try:
                yield
            except self.failures as error:
                raise self._read_deadline.failure(self._where) or translate(
                    error, self._where, self._secret, self._theirs
                ) from error

    def _asked(self, statement: str) -> Any:
        """The first cell that a statement gives."""
        with self._asking():
            cursor = self._connection.cursor()
            try:
                cursor.execute(statement)
                found = cursor.fetchone()
            finally:
                cursor.close()
        if not found:
            raise without_row(self._where)
        return found[0]

    @abstractmethod
    def _connect(self, reference: ConnectionReference, credentials: Credentials) -> Any:
        """Opens the driver's connection and tells `_read_deadline` its sockets."""

    @abstractmethod
    def _prepare(self, reference: ConnectionReference, selection: Selection) -> tuple[Statement, list[Cell]]:
        """The selection's statement, with the counts behind it, and the columns that each of its cells holds."""

    @abstractmethod
    def _execute(self, statement: Statement, cells: list[Cell]) -> None:
        """Sends the statement."""

    @abstractmethod
    def _fetch(self, most: int) -> pa.RecordBatch:
        """The next rows in the canonical schema, at most so many; an empty batch when there are no more."""

    @abstractmethod
    def _next_result(self) -> tuple[str | None, Sequence[Any] | None]:
        """The first column's name and the first row of the next result set; (None, None) without one."""

    def _disconnect(self) -> None:
        self._connection.close()
