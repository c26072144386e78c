"""How pymssql logs in: over TLS, to a host that may be reached, within a time that the server cannot stretch.

Guarantees: a login ends by its limit, whatever the server does; what refuses it comes out as one of our errors, a database that
cannot be opened apart from a wrong password.

Resource management: `open_pymssql` hands over an open connection, which the caller closes; one that fails is closed here.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pymssql

from events.targets import ConnectionReference
from flowforge.domain.errors import LoginRefused, SourceUnavailable, UnsupportedSource
from flowforge.runtime.settings import settings
from flowforge.runtime.time_limit import deadline
from flowforge.sources.reachable import check_host, check_peers
from flowforge.sources.sqlserver.certificates import freetds_server
from flowforge.sources.sqlserver.failures import describe_reference, is_lacking, translate, translate_login
from flowforge.sources.sqlserver.read_deadline import ReadDeadline, connected_sockets, open_sockets
from flowforge.sources.sqlserver.statement import quote_identifier
from flowforge.sources.target import Credentials

APPLICATION = "flowforge"
# From this severity on pymssql raises what FreeTDS remarks; its own default leaves out that a character was lost (4).
pymssql._mssql.min_error_severity = 4
_waiting = threading.local()  # the socket on which this thread's last statement waited; what ends a login
LOGIN_STEPS = 3  # greeting, TLS and login, session options: each may take the login's timeout
SESSION_OPTIONS = (
    "SET ARITHABORT ON; SET CONCAT_NULL_YIELDS_NULL ON; SET ANSI_NULLS ON; SET ANSI_PADDING ON; SET ANSI_WARNINGS ON; "
    "SET QUOTED_IDENTIFIER ON; SET DATEFORMAT ymd; SET TEXTSIZE 2147483647; SET LOCK_TIMEOUT {};"
)


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
    before = open_sockets()  # the driver tells its socket after the first step only; until then it is one that is new
    at_most = time.monotonic() + LOGIN_STEPS * settings().login_timeout_seconds
    limit = ReadDeadline(min(at_most, deadline() or at_most), lambda: connected_sockets(port, before))
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
