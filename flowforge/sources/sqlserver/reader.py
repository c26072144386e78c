"""Reading a source as Arrow: one protocol, two drivers.

Guarantees: the schema is known before the first row and is the canonical one; batches are bounded in rows and, by
declaration, in bytes, so memory does not grow with the table; a read that ends early raises: `completeness` compares
what arrived with what the server counted, `read_deadline` holds the deadline.

Resource management: a reader holds one connection of its own; it is a context manager, and `close` may be called at
any time, from any thread.
"""

from importlib.util import find_spec
from typing import Protocol

from events.targets import ConnectionReference
from flowforge.domain.errors import UnsupportedSource
from flowforge.runtime.settings import settings
from flowforge.sources.base import BatchReader
from flowforge.sources.sqlserver.batch_rows import BATCH_ROWS, BatchRows
from flowforge.sources.sqlserver.selection import Selection
from flowforge.sources.target import Credentials

_PACKAGES = {"mssql-python": "mssql_python", "pymssql": "pymssql"}


class ArrowReader(BatchReader, Protocol):
    """A BatchReader over one of the drivers; `notes` tell of how the rows are read, where the server made it differ."""

    driver: str
    notes: list[str]


def open_reader(
    reference: ConnectionReference,
    credentials: Credentials,
    selection: Selection,
    driver: str = "auto",
    batch_rows: int = BATCH_ROWS,
    deadline: float | None = None,
) -> ArrowReader:
    """Asks for the selection and returns its rows as Arrow, in the columns' canonical types.

    `driver` is auto (mssql-python where it is installed and loads, else pymssql; pymssql for a Windows login), mssql-python or
    pymssql; `deadline` an instant of time.monotonic(). Raises UnsupportedSource for a driver that is not there or does not know
    the login, and what connecting and running raise. While rows are read: SourceUnavailable when the connection is lost, the
    server ends the statement or the deadline passes, TruncatedRead when the server counted other than what arrived.
    """
    rows = BatchRows(selection.columns, batch_rows)
    if driver not in ("auto", *_PACKAGES):
        raise UnsupportedSource(f"there is no driver {driver!r}", f"use auto, {' or '.join(_PACKAGES)}")
    driver = _for_login(driver, credentials.username)
    if driver != "auto" and not find_spec(_PACKAGES[driver]):
        raise UnsupportedSource(
            f"the driver {driver} is not installed", f"install the package {driver}, or use driver auto"
        )
    if driver != "pymssql" and find_spec("mssql_python"):
        try:
            from flowforge.sources.sqlserver.mssql_python_reader import MssqlPythonReader

            return MssqlPythonReader(reference, credentials, selection, rows, deadline)
        except ImportError as error:
            if driver != "auto":
                raise UnsupportedSource(
                    f"the driver {driver} is installed, but cannot be used: {error}", "use driver auto or pymssql"
                ) from error
    from flowforge.sources.sqlserver.pymssql_reader import PymssqlReader

    return PymssqlReader(reference, credentials, selection, rows, deadline)


def wanted_driver(reference: ConnectionReference) -> str:
    """The driver that the connection names, or else the deployment."""
    return settings().driver if reference.driver == "auto" else reference.driver


def _for_login(driver: str, username: str) -> str:
    """Of the two drivers only pymssql logs in to a Windows domain (DOMAIN\\user, by NTLM)."""
    if "\\" not in username:
        return driver
    if driver == "mssql-python":
        raise UnsupportedSource(
            f"the driver mssql-python does not log in as {username!r}: a Windows login needs NTLM",
            "use driver auto or pymssql, or a SQL login",
        )
    return "pymssql"
