"""A connection for questions: the catalog, bounds, counts, tests. Small results only; tables are read by `reader`.

Guarantees: TLS always, verified unless the reference says otherwise; autocommit, so that each statement sees what is
committed when it starts and nothing stays locked; every driver error comes out as one of ours.

Resource management: `connect` is a context manager and closes the connection however its block ends.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any

import pymssql

from events.targets import ConnectionReference
from flowforge.domain.errors import LoginRefused, SourceUnavailable
from flowforge.runtime.settings import settings
from flowforge.runtime.time_limit import deadline
from flowforge.sources.sqlserver.certificates import freetds_server
from flowforge.sources.sqlserver.failures import describe_reference, is_lacking, translate, translate_login
from flowforge.sources.sqlserver.read_deadline import ReadDeadline
from flowforge.sources.sqlserver.sql_text import Statement, parametrised, quote_identifier
from flowforge.sources.target import Credentials

__all__ = ["APPLICATION", "Credentials", "SourceConnection", "connect", "last_socket", "open_pymssql"]

APPLICATION = "flowforge"
QUERY = "the query"  # what a request's own SQL is called in messages
# From this severity on pymssql raises what FreeTDS remarks; its own default leaves out that a character was lost (4).
pymssql._mssql.min_error_severity = 4
_waiting = threading.local()  # the socket on which this thread's last statement waited
pymssql.set_wait_callback(lambda descriptor: setattr(_waiting, "on", descriptor))
LOCK_TIMEOUT_MS = 60_000  # a question waits this long for a writer's lock, then the message is tried again later
SESSION_OPTIONS = (
    "SET ARITHABORT ON; SET CONCAT_NULL_YIELDS_NULL ON; SET ANSI_NULLS ON; SET ANSI_PADDING ON; SET ANSI_WARNINGS ON; "
    "SET QUOTED_IDENTIFIER ON; SET DATEFORMAT ymd; SET TEXTSIZE 2147483647; SET LOCK_TIMEOUT {};"
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
                return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()] if names else []
            except pymssql.Error as error:
                raise self._translated(error, about) from error

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
    return pymssql.connect(
        server=freetds_server(reference),
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
