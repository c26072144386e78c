"""Change Tracking: what is switched on, the log of changed keys, and the version that each commit gets.

As the real server has it: a table that is tracked has a side table of keys and operations, written by the transaction that
changes its rows; a commit gets the next version of the database, and only then its changes can be seen. The version lives on
when tracking is switched off; a table that is tracked anew, or truncated, begins at the version of that moment. Clean-up takes
effect at once, in snapshots that began before it, too: nothing in the documentation promises more.

A client cleans up while the server runs, on any connection:

    EXEC sys.sp_flush_CT_internal_table_on_demand 'dbo.t'    by the clock: what is older than the retention
    EXEC flowforge_tracking 'clean', 'dbo.t', 17             up to this version, however young it is
    EXEC flowforge_tracking 'rewind', 17                     the log as it was at this version, as a restore leaves it
"""

from __future__ import annotations

import datetime as dt
import threading
from typing import TYPE_CHECKING

import duckdb

from flowforge.domain.given import given

from .capture import number_commit

if TYPE_CHECKING:
    from .tables import Table
    from .transactions import Transaction

UNITS = {"MINUTES": 1, "HOURS": 2, "DAYS": 3}
UNIT_MINUTES = {"MINUTES": 1, "HOURS": 60, "DAYS": 1440}
_TICKS_A_MINUTE = 600_000_000
_TABLES = """
CREATE TABLE meta.tracked(object_id INTEGER, begin_version BIGINT, tracks_columns BOOLEAN, created TIMESTAMP, side_id INTEGER);
CREATE TABLE meta.commits(version BIGINT, xdes BIGINT, ticks BIGINT);
CREATE SEQUENCE meta.change_order;
INSERT INTO meta.commits VALUES (0, 0, 0);
"""


class Tracking:
    """Change Tracking of the one database. Used by all threads of the server."""

    def __init__(self, connection: duckdb.DuckDBPyConnection):
        connection.execute(_TABLES)
        self._cursor, self._lock = connection.cursor(), threading.Lock()
        self._cleaned: dict[int, int] = {}
        self.period, self.unit, self.cleans_up = 2, "DAYS", True
        self.is_on = False

    # --- the log

    def commit(self, cursor: duckdb.DuckDBPyConnection, transaction: Transaction, ticks: int, now: dt.datetime) -> None:
        """Commits a transaction with changes for a log under the next version, or LSN: in the order of these."""
        with self._lock:
            if transaction.is_tracked:
                version = self.current() + 1
                cursor.execute("INSERT INTO meta.commits VALUES (?, ?, ?)", [version, transaction.number, ticks])
            if transaction.is_captured:
                number_commit(cursor, transaction.number, transaction.begun, now)
            cursor.execute("COMMIT")

    def current(self) -> int:
        """The version of the newest commit."""
        return given(self._cursor.cursor().execute("SELECT max(version) FROM meta.commits").fetchone())[0]

    # --- what is tracked

    def tables(self) -> list[tuple[int, bool, int, int, int]]:
        """Of each tracked table: its number, whether columns are told, min_valid, begin and cleanup version."""
        rows = self._cursor.cursor().execute("SELECT object_id, tracks_columns, begin_version FROM meta.tracked")
        found = []
        for number, tells, begin in rows.fetchall():
            cleaned = self._cleaned.get(number, 0)
            found.append((number, tells, max(begin, cleaned), begin, cleaned))
        return found

    def cleaned(self, number: int) -> int:
        """The version up to which a table's log is gone."""
        return self._cleaned.get(number, 0)

    # --- clean-up and restore

    def expire(self, table: Table, now_ticks: int) -> None:
        """Cleans a table's log of what is older than the retention."""
        oldest = now_ticks - self.period * UNIT_MINUTES[self.unit] * _TICKS_A_MINUTE
        found = self._cursor.cursor().execute("SELECT max(version) FROM meta.commits WHERE ticks < ?", [oldest])
        self.clean(table, given(found.fetchone())[0] or 0)

    def begin(self, table: Table) -> None:
        """A table is tracked anew: nothing of its log is gone."""
        self._cleaned.pop(table.object_id, None)

    def clean(self, table: Table, version: int) -> None:
        """Cleans a table's log up to a version."""
        self._cleaned[table.object_id] = max(version, self.cleaned(table.object_id))

    def rewind(self, version: int) -> None:
        """The log as it was at a version. The rows of the tables are the caller's."""
        with self._lock:
            self._cursor.cursor().execute("DELETE FROM meta.commits WHERE version > ?", [version])


def side_of(number: int) -> str:
    """DuckDB's name for the log of a table."""
    return f"meta.side_{number}"
