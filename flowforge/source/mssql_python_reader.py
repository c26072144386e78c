"""Reads through mssql-python, whose driver builds Arrow batches itself: the fast path.

Guarantees: the same schema and values as the other reader, converted batch by batch. Of mssql-python's two providers
the Rust one is chosen where the environment names none (MSSQL_PYTHON_NATIVE_PROVIDER): the classic ODBC one needs
libltdl and Kerberos libraries that a fresh system lacks. mssql-python keeps no pool here: a reader's connection is
its own.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib.util import find_spec
from typing import Any, Self

import mssql_python
import pyarrow as pa

from events.targets import ConnectionReference
from flowforge.settings import settings
from flowforge.source.arrow_types import arrow_schema, canonical_batch
from flowforge.source.certificates import openssl_trust
from flowforge.source.credentials import Credentials
from flowforge.source.failures import describe_reference, translate
from flowforge.source.reader import COUNTED, BatchRows, check_complete, counted_rows
from flowforge.source.sql_text import Statement
from flowforge.state.batch import SourceColumn

PACKET_BYTES = 32_767  # the largest that TDS allows; fewer packets, less work a row
_FAILURES = (mssql_python.Error, mssql_python.Warning, RuntimeError, UnicodeError, pa.ArrowException)


class DriverNotLoadable(ImportError):
    """The package is there, but its native library or what that needs is not; `reader` turns to the other driver."""


class MssqlPythonReader:
    """An ArrowReader over mssql-python; see `reader.open_reader`."""

    def __init__(
        self,
        reference: ConnectionReference,
        credentials: Credentials,
        statement: Statement,
        columns: Sequence[SourceColumn],
        batch_rows: BatchRows,
    ):
        self.schema = arrow_schema(columns)
        self._batch_rows = batch_rows
        self._where = describe_reference(reference)
        self._secret = credentials.password.get_secret_value()
        self._connection = self._opened(reference, credentials)
        try:
            self._cursor = self._connection.cursor()
            self._cursor.execute((statement + COUNTED).text, *([statement.parameters] if statement.parameters else []))
        except _FAILURES as error:
            self.close()
            raise translate(error, self._where, self._secret) from error

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        arrived = 0
        while (batch := self._fetched()).num_rows:
            arrived += batch.num_rows
            self._batch_rows.learn(batch)
            yield canonical_batch(batch, self.schema)
        check_complete(arrived, self._server_count(), self._where)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connection; rows not read are given up."""
        with suppress(*_FAILURES):
            self._connection.close()

    def _opened(self, reference: ConnectionReference, credentials: Credentials) -> Any:
        _prepare_driver()
        try:
            with openssl_trust(reference):
                return mssql_python.connect(
                    _connection_string(reference, credentials),
                    autocommit=True,
                    timeout=settings().login_timeout_seconds,
                )
        except _FAILURES as error:
            if "Failed to load the driver" in str(error):
                raise DriverNotLoadable(
                    f"mssql-python's native driver {mssql_python.native_provider} does not load; "
                    "mssql-odbc needs libssl 3, msodbcsql18 needs libltdl and Kerberos"
                ) from error
            raise translate(error, self._where, self._secret) from error

    def _fetched(self) -> pa.RecordBatch:
        try:
            return self._cursor.arrow_batch(self._batch_rows.rows)
        except _FAILURES as error:
            raise translate(error, self._where, self._secret) from error

    def _server_count(self) -> int | None:
        try:
            found = self._cursor.nextset()
            name = self._cursor.description[0][0] if found and self._cursor.description else None
            row = self._cursor.fetchone() if found else None
        except _FAILURES as error:
            raise translate(error, self._where, self._secret) from error
        return counted_rows(name, row, self._where)


def _prepare_driver() -> None:
    mssql_python.pooling(enabled=False)
    if not os.environ.get("MSSQL_PYTHON_NATIVE_PROVIDER") and find_spec("mssql_py_core"):
        mssql_python.native_provider = "mssql-odbc"


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
