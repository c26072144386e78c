"""A connection for questions: the catalog, bounds, counts, tests. Small results only; tables are read by `reader`.

Guarantees: TLS always, verified unless the reference says otherwise; autocommit, so that each statement sees what is
committed when it starts and nothing stays locked; every driver error comes out as one of ours.

Resource management: `connect` is a context manager and closes the connection however its block ends.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any

import pymssql

from events.targets import ConnectionReference
from flowforge.domain.errors import FlowForgeError, SourceUnavailable, UnsupportedSource
from flowforge.runtime.time_limit import deadline
from flowforge.sources.sqlserver.failures import describe_reference, translate, without_row
from flowforge.sources.sqlserver.login import APPLICATION, last_socket, open_pymssql
from flowforge.sources.sqlserver.read_deadline import ReadDeadline
from flowforge.sources.sqlserver.statement import Statement, parametrised
from flowforge.sources.target import Credentials

__all__ = ["APPLICATION", "Credentials", "SourceConnection", "connect"]

QUERY = "the query"  # what a request's own SQL is called in messages
ROWS_AT_ONCE = 1_000
MOST_ROWS = (
    1_000_000  # of the answer to a question: columns, keys, counts; a catalog of 30,000 tables has as many columns
)
MOST_BYTES, VALUE_BYTES = 256 * 2**20, 64  # likewise, about; of a value beside its characters
LOCK_TIMEOUT_MS = 60_000  # a question waits this long for a writer's lock, then the message is tried again later


class Row(dict[str, Any]):
    """A row by column name. What a question asked for and its answer lacks is an error that names the server."""

    def __init__(self, values: Iterable[tuple[str, Any]], where: str):
        super().__init__(values)
        self._where = where

    def __missing__(self, name: str) -> Any:
        raise UnsupportedSource(
            f"{self._where}: it answered a question without the column {name} that was asked for",
            "check that this is the SQL Server that is meant; a view of the catalog that was replaced can do the same",
        )


class SourceConnection:
    """An open connection to one database; see `connect`. `lacks` tells what its server or login turned out to lack."""

    def __init__(
        self,
        driver_connection: "pymssql.Connection",
        reference: ConnectionReference,
        credentials: Credentials,
        limit: ReadDeadline,
    ):
        self._connection = driver_connection
        self._limit = limit
        self._credentials = credentials
        self.reference = reference
        self._answers: dict[str, tuple[int, list[dict[str, Any]]]] = {}  # when and what, until somebody asks for it
        self.asked_ms = 0  # our clock as the last answer was asked for: milliseconds since 1970
        self.lacks: list[str] = []
        self.database_facts: dict[str, Any] | None = None  # what `catalog` was told of it

    @property
    def driver_connection(self) -> "pymssql.Connection":
        """The driver's own, for a reader that reads in this connection's transaction."""
        return self._connection

    @property
    def credentials(self) -> Credentials:
        """The login."""
        return self._credentials

    @property
    def where(self) -> str:
        """Server and database for messages."""
        return describe_reference(self.reference)

    def rows(
        self, sql: Statement | str, params: Sequence[str | int | None] = (), about: str = ""
    ) -> list[dict[str, Any]]:
        """Runs a query and returns its rows by column name; `%s` in a text stands for each of `params`.

        `about` names the table for error messages. Raises the errors of `failures.translate`.
        """
        text = (sql if isinstance(sql, Statement) else parametrised(sql, params)).inlined()
        if (known := self._answers.pop(text, None)) is not None:
            self.asked_ms, found = known
            return found
        with self._connection.cursor() as cursor:
            self._execute(cursor, text, about)
            return self._answer(cursor, about)

    def ask_together(self, *questions: Statement, about: str = "") -> None:
        """Asks questions in one request, in their order; `rows` then has each answer without another request, once.

        Where one of them fails, it and what stands behind it are asked again by whoever needs the answer, and the error is met
        there: put last what a server may refuse. Answers that nobody has asked for by the next time are dropped. Raises
        UnsupportedSource for an answer without end.
        """
        self._answers.clear()
        texts = list(dict.fromkeys(question.inlined() for question in questions))
        with self._connection.cursor() as cursor:
            try:
                self._execute(cursor, ";\n".join(texts), about)
                asked_ms = self.asked_ms
                for text in texts:
                    found = self._answer(cursor, about, one_of_several=True)
                    more = self._next(cursor, about)  # raises what came behind the rows, too
                    self._answers[text] = asked_ms, found
                    if not more:
                        break
            except FlowForgeError as error:
                if not isinstance(error.__cause__, pymssql.Error | UnicodeError):
                    raise

    def _answer(self, cursor: "pymssql.Cursor", about: str, one_of_several: bool = False) -> list[dict[str, Any]]:
        try:
            names = [column[0] for column in cursor.description or ()]
            found = self._fetched(cursor, about, one_of_several) if names else ()
            return [Row(zip(names, row, strict=True), where=self.where) for row in found]
        except pymssql.Error as error:
            raise self._translated(error, about) from error

    def _next(self, cursor: "pymssql.Cursor", about: str) -> bool:
        try:
            return bool(cursor.nextset())
        except pymssql.Error as error:
            raise self._translated(error, about) from error

    def row(self, sql: Statement | str) -> dict[str, Any]:
        """The first row of a query that always has one."""
        found = self.rows(sql)
        if not found:
            raise without_row(self.where)
        return found[0]

    def _fetched(self, cursor: "pymssql.Cursor", about: str, one_of_several: bool) -> Iterator[tuple[Any, ...]]:
        """The rows of an answer, as long as they are of a size that the answer to a question may have."""
        rows = size = 0
        while found := cursor.fetchmany(ROWS_AT_ONCE):
            rows += len(found)
            size += sum(
                VALUE_BYTES + len(value) if isinstance(value, str | bytes) else VALUE_BYTES
                for row in found
                for value in row
            )
            if rows > MOST_ROWS or size > MOST_BYTES:
                self._limit.cut()  # or closing would read the rest
                where = f"{about} at {self.where}" if about else self.where
                raise UnsupportedSource(
                    f"{where}: the answer to a question about the catalog or a few rows has no end ({rows:,} rows so far)",
                    "check that this is the SQL Server that is meant; a view of the catalog that was replaced can do the same",
                )
            yield from found
            if one_of_several and len(found) < ROWS_AT_ONCE:
                return  # the driver would go on with the rows of the next answer

    def scalar(self, sql: Statement | str, params: Sequence[str | int | None] = (), about: str = "") -> Any:
        """The first column of the first row, or None when there is no row."""
        rows = self.rows(sql, params, about)
        return next(iter(rows[0].values())) if rows else None

    def run(self, sql: Statement | str, params: Sequence[str | int | None] = ()) -> None:
        """Runs a statement that returns no rows."""
        statement = sql if isinstance(sql, Statement) else parametrised(sql, params)
        with self._connection.cursor() as cursor:
            self._execute(cursor, statement.inlined(), "")

    def sibling(self) -> "AbstractContextManager[SourceConnection]":
        """Opens a second connection to the same database with the same login."""
        return connect(self.reference, self._credentials)

    def close(self) -> None:
        """Closes the connection; a broken one too."""
        self._limit.release()
        with suppress(pymssql.Error):
            self._connection.close()

    def _execute(self, cursor: "pymssql.Cursor", text: str, about: str) -> None:
        self.asked_ms = time.time_ns() // 1_000_000
        try:
            cursor.execute(text)
        except (pymssql.Error, UnicodeError) as error:
            raise self._translated(error, about) from error

    def _translated(self, error: BaseException, about: str) -> Exception:
        where = f"{about} at {self.where}" if about else self.where
        if self._limit.expired:
            return SourceUnavailable(
                f"{where}: it took the connection and gave no answer in time",
                "look at what blocks or slows the server; FlowForge asks again where a message stands behind the question",
            )
        secret = self._credentials.password.get_secret_value()
        return translate(error, where, secret, about == QUERY)


@contextmanager
def connect(reference: ConnectionReference, credentials: Credentials) -> Iterator[SourceConnection]:
    """Opens a connection for the block. What it asks ends by the time limit of the function, whatever the server does.

    Raises LoginRefused (user, password, database), SourceUnavailable (unreachable, TLS refused, lost) and, where
    there is no CA to verify with, UnsupportedSource.
    """
    opened = open_pymssql(reference, credentials, LOCK_TIMEOUT_MS)
    limit = ReadDeadline(deadline())
    connection = SourceConnection(opened, reference, credentials, limit)
    try:
        limit.hold([last_socket()])
        yield connection
    finally:
        connection.close()
