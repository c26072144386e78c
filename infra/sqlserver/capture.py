"""Change Data Capture: what is switched on, and the numbers (LSNs) of commits.

As the documentation has it, but for the capture job, which reads the log every few seconds: here a commit's changes can be read
at once. Nothing is cleaned up, a table has one capture instance, and its change table has no __$command_id.
"""

from __future__ import annotations

import datetime as dt

import duckdb

from .errors import SqlError, invalid_object
from .types import SqlType

LSN = SqlType("binary", 10)
# One counter numbers rows and commits: a commit's number is above those of its rows, and of all commits before it.
_TABLES = """
CREATE TABLE meta.captures(capture_instance VARCHAR, source_id INTEGER, object_id INTEGER, start_lsn BIGINT,
  supports_net_changes BOOLEAN, created TIMESTAMP);
CREATE TABLE meta.lsns(lsn BIGINT, xdes BIGINT, begun TIMESTAMP, ended TIMESTAMP);
CREATE SEQUENCE meta.lsn START 256;
CREATE MACRO lsn_bytes(n) AS CASE WHEN n IS NOT NULL THEN unhex(format('0000002A{:08X}0001', n)) END;
"""


class Capture:
    """Change Data Capture of the one database."""

    def __init__(self, connection: duckdb.DuckDBPyConnection):
        connection.execute(_TABLES)
        self.is_on = False

    def check(self, name: str) -> None:
        """Raises 208 where it is off: schema cdc is not there, and so is nothing in it."""
        if not self.is_on:
            raise invalid_object(name)

    def check_database(self, database: str) -> None:
        """Raises 22901 where it is off."""
        if not self.is_on:
            raise SqlError(
                22901,
                f"The database '{database}' is not enabled for Change Data Capture. Ensure that the correct database context is "
                "set and retry the operation. To report on the databases enabled for Change Data Capture, query the "
                "is_cdc_enabled column in the sys.databases catalog view.",
            )


def number_commit(cursor: duckdb.DuckDBPyConnection, number: int, begun: dt.datetime, ended: dt.datetime) -> None:
    """Gives a transaction its LSN, right before it commits; who calls sees to the order."""
    cursor.execute("INSERT INTO meta.lsns VALUES (nextval('meta.lsn'), ?, ?, ?)", [number, begun, ended])


def log_of(number: int) -> str:
    """DuckDB's name for the captured rows of a table."""
    return f"meta.captured_{number}"
