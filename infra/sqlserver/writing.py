"""One changing statement: in the session's transaction or in its own, again after a conflict with another writer."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

import duckdb

from .errors import SqlError, deadlock, update_conflict

if TYPE_CHECKING:
    from .session import Session

_CONFLICT_PATIENCE_SECONDS = 20.0


class Write:
    """Runs one changing statement in the session's transaction, or in one of its own; `table` is named in errors."""

    def __init__(self, session: Session, table: str = ""):
        self._session, self._table = session, table
        self._is_own = session.transaction is None

    def __enter__(self) -> Write:
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_own and self._session.transaction is not None:
            self._session.end_transaction("ROLLBACK")

    def run(self, action):
        """Runs `action`, again after a conflict with another writer if nothing is lost by that."""
        session = self._session
        deadline = time.monotonic() + (
            _CONFLICT_PATIENCE_SECONDS if session.lock_timeout_ms < 0 else session.lock_timeout_ms / 1000
        )
        pause = 0.005
        while True:
            first_write = self._is_own or not session.open_transaction.is_open_in_duckdb
            if self._is_own:
                session.transaction = session.server.new_transaction()
            try:
                session.open_for_write()
                result = action()
                if self._is_own:
                    session.end_transaction("COMMIT", is_own=True)
                return result
            except duckdb.Error as error:
                if not _is_conflict(error):
                    raise
                self._give_up_or_wait(first_write, deadline, error)
                time.sleep(pause)
                pause = min(0.1, pause * 1.5)

    def _give_up_or_wait(self, first_write: bool, deadline: float, error: Exception) -> None:
        session = self._session
        if not first_write:
            is_snapshot = session.isolation == "SNAPSHOT"
            raise (update_conflict(self._table, session.server.database) if is_snapshot else deadlock()) from error
        if self._is_own:
            if session.transaction is not None:
                session.end_transaction("ROLLBACK")
        else:
            with contextlib.suppress(duckdb.Error):  # DuckDB may have rolled back already
                session.cursor.execute("ROLLBACK")
            session.open_transaction.is_open_in_duckdb = False
        if time.monotonic() > deadline:
            if session.lock_timeout_ms >= 0:
                raise SqlError(1222, "Lock request time out period exceeded.") from error
            raise deadlock() from error
        session.catalog.end_transaction()


def _is_conflict(error: Exception) -> bool:
    return isinstance(error, duckdb.TransactionException) and "onflict" in str(error)
