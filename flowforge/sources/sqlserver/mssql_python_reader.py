"""Reads through mssql-python, whose driver builds Arrow batches itself: the fast path.

Guarantees: the same schema and values as the other reader, converted batch by batch. Of mssql-python's two providers
the Rust one is chosen where the environment names none (MSSQL_PYTHON_NATIVE_PROVIDER): the classic ODBC one needs
libltdl and Kerberos libraries that a fresh system lacks. mssql-python keeps no pool here: a reader's connection is
its own.
"""

import os
import threading
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import mssql_python
import pyarrow as pa

from events.targets import ConnectionReference
from flowforge.domain.errors import UnsupportedSource
from flowforge.runtime.settings import settings
from flowforge.sources.reachable import check_host, check_peers
from flowforge.sources.sqlserver.arrow_types import canonical_batch
from flowforge.sources.sqlserver.certificates import openssl_trust
from flowforge.sources.sqlserver.driver_reader import DriverReader
from flowforge.sources.sqlserver.packing import Cell
from flowforge.sources.sqlserver.read_deadline import connected_sockets, open_sockets
from flowforge.sources.sqlserver.selection import Selection
from flowforge.sources.sqlserver.statement import Statement
from flowforge.sources.target import Credentials

PACKET_BYTES = 32_767  # the largest that TDS allows; fewer packets, less work a row
_connecting = threading.Lock()  # the driver does not tell its socket: it is the one that is new


class DriverNotLoadable(ImportError):
    """The package is there, but its native library or what that needs is not; `reader` turns to the other driver."""


class MssqlPythonReader(DriverReader):
    """A DriverReader over mssql-python."""

    driver = "mssql-python"
    replaces_text = True
    failures = (mssql_python.Error, mssql_python.Warning, RuntimeError, UnicodeError, pa.ArrowException)

    def _connect(self, reference: ConnectionReference, credentials: Credentials) -> Any:
        _prepare_driver()
        check_host(reference.host, reference.port)
        try:
            with _connecting, openssl_trust(reference):
                before = open_sockets()
                connection = mssql_python.connect(
                    _connection_string(reference, credentials),
                    autocommit=True,
                    timeout=settings().login_timeout_seconds,
                )
                opened = connected_sockets(reference.port, before)
                self._read_deadline.hold(opened)
                try:
                    check_peers(opened, reference.host, reference.port)
                except UnsupportedSource:
                    connection.close()
                    raise
                return connection
        except self.failures as error:
            if "Failed to load the driver" in str(error):
                provider = mssql_python.native_provider  # pyright: ignore[reportAttributeAccessIssue] - missing in its stubs
                raise DriverNotLoadable(
                    f"mssql-python's native driver {provider} does not load; "
                    "mssql-odbc needs libssl 3, msodbcsql18 needs libltdl and Kerberos"
                ) from error
            raise

    def _prepare(self, reference: ConnectionReference, selection: Selection) -> tuple[Statement, list[Cell]]:
        return selection.singly()

    def _execute(self, statement: Statement, cells: list[Cell]) -> None:
        self._cursor = self._connection.cursor()
        self._cursor.execute(statement.text, *([statement.parameters] if statement.parameters else []))

    def _fetch(self, most: int) -> pa.RecordBatch:
        return canonical_batch(self._cursor.arrow_batch(most), self.schema)

    def _next_result(self) -> tuple[str | None, Sequence[Any] | None]:
        found = self._cursor.nextset()
        name = self._cursor.description[0][0] if found and self._cursor.description else None
        return name, self._cursor.fetchone() if found else None


def _prepare_driver() -> None:
    mssql_python.pooling(enabled=False)
    if not os.environ.get("MSSQL_PYTHON_NATIVE_PROVIDER") and find_spec("mssql_py_core"):
        mssql_python.native_provider = "mssql-odbc"  # pyright: ignore[reportAttributeAccessIssue] - missing in its stubs


def _connection_string(reference: ConnectionReference, credentials: Credentials) -> str:
    words = {
        "Server": f"{reference.host},{reference.port}",
        "Database": reference.database,
        "UID": credentials.username,
        "PWD": credentials.password.get_secret_value(),
        "Encrypt": "yes",
        "TrustServerCertificate": "yes" if reference.trust_server_certificate else "no",
        "PacketSize": str(PACKET_BYTES),
    }
    # Braces make any value literal; a closing one inside is doubled.
    return "".join(f"{word}={{{value.replace('}', '}}')}}};" for word, value in words.items())
