"""A session's transaction over DuckDB, and the database-wide rowversion counter.

DuckDB's transaction opens at the first write: until then every statement reads what is committed at that moment, as
READ COMMITTED does. SNAPSHOT, REPEATABLE READ and SERIALIZABLE open it at the first statement. After its first write a
transaction sees the database as of that write, plus its own changes: that is closer to SNAPSHOT than SQL Server's default.
Writers do not wait for one another's rows: a conflict is retried until the lock timeout when nothing is lost by that, and
ends as error 1205 otherwise, under SNAPSHOT as 3960. Readers never wait: READ_COMMITTED_SNAPSHOT is on, and hints such as
NOLOCK are ignored: nobody sees what is not committed. Row versions and identity values are drawn when a row is written, whatever
becomes of its transaction. A statement that fails inside DuckDB rolls the whole transaction back (as XACT_ABORT ON).
"""

import datetime as dt
import threading
from dataclasses import dataclass

import duckdb

from flowforge.domain.given import given


@dataclass
class Transaction:
    """An open transaction, as sys.dm_tran_active_transactions shows it."""

    number: int
    begun: dt.datetime
    name: str
    is_open_in_duckdb: bool = False
    has_written: bool = False
    log_records: int = 0
    is_tracked: bool = False  # it has changed rows of a table under Change Tracking
    is_captured: bool = False  # the same for Change Data Capture
    began_under: str = ""  # the isolation of the statement that accessed data first
    is_doomed: bool = False  # a statement failed halfway: only a rollback is left


class Rowversions:
    """The counter behind rowversion columns, and the lowest value that an open transaction may still commit."""

    def __init__(self, connection: duckdb.DuckDBPyConnection):
        self._cursor = connection.cursor()
        self._lock = threading.Lock()
        self._held: dict[int, int] = {}

    def _last(self) -> int:
        query = (
            "SELECT start_value, last_value FROM duckdb_sequences()"
            " WHERE schema_name = 'meta' AND sequence_name = 'rowversions'"
        )
        start, last = given(self._cursor.execute(query).fetchone())
        return start - 1 if last is None else last

    def hold(self, transaction: int) -> None:
        """Called before a transaction first takes values: none it takes will be lower than what is held here."""
        with self._lock:
            self._held.setdefault(transaction, self._last() + 1)

    def release(self, transaction: int) -> None:
        """Called after the transaction's end is visible to others."""
        with self._lock:
            self._held.pop(transaction, None)

    def last_used(self) -> int:
        """@@DBTS."""
        with self._lock:
            return self._last()

    def lowest_active(self) -> int:
        """MIN_ACTIVE_ROWVERSION(): @@DBTS + 1 when no open transaction holds a value."""
        with self._lock:
            return min([*self._held.values(), self._last() + 1])
