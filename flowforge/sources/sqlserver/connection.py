"""A connection for questions: the catalog, bounds, counts, tests. Small results only; tables are read by `reader`.

Guarantees: TLS always, verified unless the reference says otherwise; autocommit, so that each statement sees what is
committed when it starts and nothing stays locked; every driver error comes out as one of ours.

Resource management: `connect` is a context manager and closes the connection however its block ends.
"""

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any

import pymssql

from events.targets import ConnectionReference
from flowforge.domain.errors import LoginRefused, SourceUnavailable, UnsupportedSource
from flowforge.runtime.settings import settings
from flowforge.runtime.time_limit import deadline
from flowforge.sources.reachable import check_host, check_peers
from flowforge.sources.sqlserver.certificates import freetds_server
from flowforge.sources.sqlserver.failures import describe_reference, is_lacking, translate, translate_login, without_row
from flowforge.sources.sqlserver.read_deadline import ReadDeadline, connected_sockets
from flowforge.sources.sqlserver.statement import Statement, parametrised, quote_identifier
from flowforge.sources.target import Credentials

__all__ = ["APPLICATION", "Credentials", "SourceConnection", "connect", "last_socket", "open_pymssql"]

APPLICATION = "flowforge"
QUERY = "the query"  # what a request's own SQL is called in messages
# From this severity on pymssql raises what FreeTDS remarks; its own default leaves out that a character was lost (4).
pymssql._mssql.min_error_severity = 4
_waiting = threading.local()  # the socket on which this thread's last statement waited; what ends a login
LOGIN_STEPS = 3  # greeting, TLS and login, session options: each may take the login's timeout
ROWS_AT_ONCE = 1_000
MOST_ROWS = (
    1_000_000  # of the answer to a question: columns, keys, counts; a catalog of 30,000 tables has as many columns
)
MOST_BYTES, VALUE_BYTES = 256 * 2**20, 64  # likewise, about; of a value beside its characters
LOCK_TIMEOUT_MS = 60_000  # a question waits this long for a writer's lock, then the message is tried again later
SESSION_OPTIONS = (
    "SET ARITHABORT ON; SET CONCAT_NULL_YIELDS_NULL ON; SET ANSI_NULLS ON; SET ANSI_PADDING ON; SET ANSI_WARNINGS ON; "
    "SET QUOTED_IDENTIFIER ON; SET DATEFORMAT ymd; SET TEXTSIZE 2147483647; SET LOCK_TIMEOUT {};"
)


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
        statement = sql if isinstance(sql, Statement) else parametrised(sql, params)
        with self._connection.cursor() as cursor:
            self._execute(cursor, statement.inlined(), about)
            try:
                names = [column[0] for column in cursor.description or ()]
                found = self._fetched(cursor, about) if names else ()
                return [Row(zip(names, row, strict=True), where=self.where) for row in found]
            except pymssql.Error as error:
                raise self._translated(error, about) from error

    def row(self, sql: Statement | str) -> dict[str, Any]:
        """The first row of a query that always has one."""
        found = self.rows(sql)
        if not found:
            raise without_row(self.where)
        return found[0]

    def _fetched(self, cursor: "pymssql.Cursor", about: str) -> Iterator[tuple[Any, ...]]:
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


def last_socket() -> int:
    """The descriptor of the socket on which this thread's last statement by pymssql waited, that of a login among them."""
    return _waiting.on


def open_pymssql(
    reference: ConnectionReference, credentials: Credentials, lock_timeout_ms: int = -1
) -> "pymssql.Connection":
    """Opens pymssql's own connection over TLS; the caller closes it. Lock timeout in milliseconds, -1 for none."""
    where = describe_reference(reference)
    secret = credentials.password.get_secret_value()
    try:
        return _login(reference, credentials, reference.database, lock_timeout_ms)
    except (pymssql.Error, UnicodeError) as error:
        failure = translate_login(error, where, credentials.username, secret)
        if not isinstance(failure, LoginRefused):
            raise failure from error
        cause = error
    # The driver reports a database that cannot be opened as a failed login. Entering it in a second step tells which it is.
    try:
        connection = _login(reference, credentials, "", lock_timeout_ms)
    except (pymssql.Error, UnicodeError):
        raise failure from cause
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"USE {quote_identifier(reference.database)}")
    except (pymssql.Error, ValueError) as error:
        connection.close()
        entered = translate(error, where, secret)
        # Azure SQL Database does not enter a database in a second step; then the login's own failure is what is known.
        raise (failure if is_lacking(entered) else entered) from error
    return connection


def _login(
    reference: ConnectionReference, credentials: Credentials, database: str, lock_timeout_ms: int
) -> "pymssql.Connection":
    server = freetds_server(reference)
    check_host(reference.host, reference.port)
    with _bounded_login(reference.port) as limit:
        try:
            connection = _connected(reference, credentials, database, lock_timeout_ms, server)
        except (pymssql.Error, UnicodeError) as error:
            if limit.expired:
                raise _unfinished(reference) from error
            raise
        if limit.expired:  # the driver may not have noticed
            connection.close()
            raise _unfinished(reference)
    try:
        check_peers([last_socket()], reference.host, reference.port)
    except UnsupportedSource:
        connection.close()
        raise
    return connection


def _unfinished(reference: ConnectionReference) -> SourceUnavailable:
    return SourceUnavailable(
        f"{describe_reference(reference)}: the login was not finished in time",
        "check that host and port are those of a SQL Server that is up",
    )


def _on_wait(descriptor: int) -> None:
    """Called by pymssql wherever it waits for a server, in the thread that does; a login's socket is known from here."""
    if (limit := getattr(_waiting, "limit", None)) is not None and getattr(_waiting, "held", None) != descriptor:
        limit.hold([descriptor])
        _waiting.held = descriptor
    _waiting.on = descriptor


pymssql.set_wait_callback(_on_wait)


@contextmanager
def _bounded_login(port: int) -> Iterator[ReadDeadline]:
    """Ends a login, and the options that follow it, that a server never ends: the driver's limit starts anew with each packet."""
    before = connected_sockets(
        port
    )  # the driver tells its socket after the first step only; until then it is one that is new
    at_most = time.monotonic() + LOGIN_STEPS * settings().login_timeout_seconds
    limit = ReadDeadline(min(at_most, deadline() or at_most), lambda: connected_sockets(port) - before)
    _waiting.limit, _waiting.held = limit, None
    try:
        yield limit
    finally:
        _waiting.limit = None
        limit.release()


def _connected(
    reference: ConnectionReference, credentials: Credentials, database: str, lock_timeout_ms: int, server: str
) -> "pymssql.Connection":
    return pymssql.connect(
        server=server,
        port=str(reference.port),
        user=credentials.username,
        password=credentials.password.get_secret_value(),
        database=database,
        encryption="require",
        tds_version="7.4",
        login_timeout=settings().login_timeout_seconds,
        appname=APPLICATION,
        autocommit=True,
        use_datetime2=True,
        conn_properties=SESSION_OPTIONS.format(lock_timeout_ms),
    )
