"""One client's session: its settings, variables and transaction, and the facts that its statements ask.

It knows neither statements (`batches.py`) nor packets (`connection.py`).
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

import duckdb

from flowforge.domain.given import given

from .catalog import Catalog
from .errors import SqlError, late_snapshot, translate_error
from .sink import Sink
from .tables import Column, Table
from .transactions import Transaction
from .types import SqlType
from .values import INT, Typed, quote_text

if TYPE_CHECKING:
    from .instance import Instance
    from .login import Login


class Session:
    """State of one connection. Used by one thread at a time."""

    def __init__(self, server: Instance, login: Login, spid: int):
        self.server, self.login, self.spid = server, login, spid
        self.login_time = server.now()
        self.sees_server_state = server.sees_server_state(login.user)
        self.cursor = server.new_cursor()
        self.catalog = Catalog(self.cursor, server.database, server.collation, version=server.catalog_version)
        self.database = server.database
        self._gate = threading.Lock()
        self.is_running = False
        self.statement = ""
        self.request_number = 0
        self.is_encrypted = False
        self.transaction: Transaction | None = None
        self.reset()

    def reset(self) -> None:
        """Back to a fresh session: what sp_reset_connection and pooled connections ask for."""
        self._roll_back()
        self.transaction_count = 0
        self.variables: dict[str, tuple[SqlType, object]] = {}
        self.last_identity: int | None = None
        self.identity_insert: int | None = None
        self.row_count = 0
        self.last_error = 0
        self.no_count = False
        self.implicit_transactions = False
        self.isolation = "READ COMMITTED"
        self.lock_timeout_ms = -1

    # --- running and being interrupted

    def begin_request(self) -> None:
        """Called as a request comes in; until `end_request` an attention interrupts it."""
        self.server.count_request()
        with self._gate:
            self.is_running = True
            self.request_number += 1

    def end_request(self) -> None:
        """Called once a request is answered."""
        with self._gate:
            self.is_running = False

    def interrupt(self, request_number: int) -> None:
        """Stops this request, and no later one, while it computes. Called from another thread."""
        with self._gate:
            if self.is_running and self.request_number == request_number:
                self.cursor.interrupt()

    def close(self) -> None:
        """Rolls back what is open, and closes the session's cursor."""
        self._roll_back()
        self.cursor.close()

    def fail(self, error: Exception, sink: Sink) -> SqlError:
        """Sends what went wrong as SQL Server's error, with what it does to the transaction; returns the error."""
        failure = translate_error(error)
        self.last_error = failure.number
        self._check_transaction(sink)
        sink.failed(failure)
        return failure

    # --- transactions

    def begin_implicit(self, sink: Sink) -> None:
        """Begins a transaction where none is open (SET IMPLICIT_TRANSACTIONS ON)."""
        if self.transaction is None:
            self.begin(sink)

    def begin(self, sink: Sink, name: str = "user_transaction") -> None:
        """BEGIN TRANSACTION; nested ones only count."""
        self.transaction_count += 1
        if self.transaction is None:
            self.transaction = self.server.new_transaction(name)
            sink.transaction_changed("begin", self.transaction.number)

    def commit(self, sink: Sink) -> None:
        """COMMIT: ends the outermost transaction, or one nested level. Raises SqlError 3902 where none is open."""
        if self.transaction is None:
            raise SqlError(3902, "The COMMIT TRANSACTION request has no corresponding BEGIN TRANSACTION.")
        self.transaction_count -= 1
        if self.transaction_count == 0:
            number = self.transaction.number
            try:
                self.end_transaction("COMMIT")
            except duckdb.Error as error:
                sink.transaction_changed("rollback", number)
                raise translate_error(error) from error
            sink.transaction_changed("commit", number)

    def rollback(self, sink: Sink) -> None:
        """ROLLBACK, of all levels. Raises SqlError 3903 where no transaction is open."""
        if self.transaction is None:
            raise SqlError(3903, "The ROLLBACK TRANSACTION request has no corresponding BEGIN TRANSACTION.")
        number = self.transaction.number
        self._roll_back()
        sink.transaction_changed("rollback", number)

    def _roll_back(self) -> None:
        self.transaction_count = 0
        if self.transaction is not None:
            self.end_transaction("ROLLBACK")

    @property
    def open_transaction(self) -> Transaction:
        """The transaction, where there must be one."""
        return given(self.transaction)

    def end_transaction(self, word: str, is_own: bool = False) -> None:
        """Ends the DuckDB transaction, if it was opened, and forgets ours. After a failed COMMIT all is rolled back."""
        transaction, self.transaction, is_done = self.open_transaction, None, False
        try:
            if word == "COMMIT" and (transaction.is_tracked or transaction.is_captured):
                ticks, now = self.server.clock.utc_ticks(), self.server.now()
                self.server.tracking.commit(self.cursor, transaction, ticks, now)
            elif transaction.is_open_in_duckdb:
                self.cursor.execute(word)
            is_done = True
        except duckdb.Error:
            self.transaction_count = 0
            with contextlib.suppress(duckdb.Error):  # DuckDB may have rolled back already
                self.cursor.execute("ROLLBACK")
            if word == "COMMIT":
                raise
        finally:
            self.server.rowversions.release(transaction.number)
            self.catalog.end_transaction(is_committed=is_done and word == "COMMIT")

    def open_in_duckdb(self) -> None:
        """Begins the open transaction in DuckDB, too: from here on it sees one state."""
        if not self.open_transaction.is_open_in_duckdb:
            self.catalog.depart()
            self.cursor.execute("BEGIN TRANSACTION")
            self.open_transaction.is_open_in_duckdb = True

    def access_data(self) -> None:
        """Called before a statement of the open transaction accesses data: the first one decides the transaction's isolation.
        Raises 3951 where it was another than SNAPSHOT, and is now; the transaction is then rolled back."""
        transaction = self.open_transaction
        transaction.began_under = transaction.began_under or self.isolation
        if self.isolation == "SNAPSHOT" and transaction.began_under != "SNAPSHOT":
            transaction.is_doomed = True
            raise late_snapshot(self.server.database)

    def open_for_write(self) -> None:
        """The same for a statement that writes: the transaction counts as one that has written."""
        self.access_data()
        self.open_in_duckdb()
        self.open_transaction.has_written = True
        self.open_transaction.log_records += 1

    def _check_transaction(self, sink: Sink) -> None:
        """After an error: DuckDB may have given the transaction up; then it is rolled back here too."""
        if self.transaction is None or not self.transaction.is_open_in_duckdb:
            return
        doomed = self.transaction.is_doomed
        try:
            self.cursor.execute("SELECT 1").fetchall()
        except duckdb.Error:
            doomed = True
        if doomed:
            number = self.transaction.number
            self._roll_back()
            sink.transaction_changed("rollback", number)

    # --- facts that expressions ask

    def check_database(self, name: str, shown: str) -> None:
        """Raises 208 when a three-part name leaves the database."""
        if name and name.lower() not in (self.server.database.lower(), "master"):
            raise SqlError(208, f"Invalid object name '{name}.{shown}'.")

    def server_variable(self, name: str) -> Typed:
        """The value of @@name."""
        numbers = {
            "rowcount": self.row_count, "trancount": self.transaction_count, "error": self.last_error,
            "max_precision": 38, "lock_timeout": self.lock_timeout_ms, "nestlevel": 0, "options": 5496,
            "fetch_status": -1, "procid": 0, "datefirst": 7, "langid": 0, "textsize": 2147483647,
        }  # fmt: skip
        if name in numbers:
            return Typed(str(numbers[name]), INT, False)
        if name == "spid":
            return Typed(str(self.spid), SqlType("smallint"), False)
        if name == "dbts":
            return Typed(f"rowversion_of({self.server.rowversions.last_used()})", SqlType("varbinary", 8), False)
        if name == "identity":
            text = "NULL" if self.last_identity is None else str(self.last_identity)
            return Typed(f"CAST({text} AS DECIMAL(38,0))", SqlType("decimal", 0, 38, 0))
        texts = {
            "version": self.server.version,
            "servername": self.server.replicas.name,
            "servicename": "MSSQLSERVER",
            "language": "us_english",
        }
        if name in texts:
            return Typed(quote_text(texts[name]), SqlType("nvarchar", 300), False, texts[name])
        raise SqlError(137, f'Must declare the scalar variable "@@{name}".', 15)

    def mask_of(self, table: Table, column: Column) -> str | None:
        """The mask through which this session sees a column; None where it sees its values."""
        mask = column.traits.mask
        if mask is None or self.server.rights.sees_through(self.login.user, table.schema, table.name, column.name):
            return None
        return mask
