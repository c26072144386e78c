"""Faults on demand: what a source does wrong in real life, so that it can be tested what a client makes of it.

A client sets them while the server runs, on any connection:

    EXEC flowforge_fault 'kind', after_rows, times, 'matching'

    die        the whole server is gone at once, as after kill -9
    reset      the connection is reset
    deadlock   error 1205: an ERROR token in the middle of the rows, then DONE with its error bit; the transaction is rolled back
    stall      nothing more is sent until the client leaves or the faults are cleared; then the rows go on
    snapshot N error N (3961, 7420, 35371, 41332) for a SELECT under SNAPSHOT isolation, before its first row
    refuse     a new connection is reset before its login (after_rows and matching mean nothing here)
    none       clears all faults

A fault strikes a result set once `after_rows` rows of it have been sent and at least one more was to come; only those of
requests whose text contains `matching` (any case; '' for all). It strikes `times` times (default 1) and is then gone. What was
sent before the fault is on the wire: clients see that many rows and no more.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

from .errors import SqlError

_SNAPSHOT = {
    3961: "Snapshot isolation transaction failed in database because the object accessed by the statement has been modified by a"
    " DDL statement in another concurrent transaction since the start of this transaction.",
    7420: 'Remote access is not supported for transaction isolation level "SNAPSHOT".',
    35371: "SNAPSHOT isolation level is not supported on a table which has a clustered columnstore index.",
    41332: "Memory optimized tables and natively compiled modules cannot be accessed or created when the session TRANSACTION"
    " ISOLATION LEVEL is set to SNAPSHOT.",
}
SNAPSHOT_KINDS = tuple(f"snapshot {number}" for number in _SNAPSHOT)
KINDS = ("die", "reset", "deadlock", "stall", "refuse", *SNAPSHOT_KINDS)


@dataclass
class Fault:
    """One fault that is set, with the strikes that are left."""

    kind: str
    after_rows: int
    times: int
    matching: str


class Faults:
    """The faults of a server. Used by all its threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[Fault] = []
        self.cleared = threading.Event()  # what a stalled connection waits for

    def set(self, arguments: list[object]) -> None:
        """Sets a fault from the procedure's arguments. Raises SqlError where they make no sense."""
        kind, after_rows, times, matching = (list(arguments) + [None] * 4)[:4]
        if kind == "none":
            self._clear()
            return
        if kind not in KINDS or len(arguments) > 4:
            raise SqlError(
                50000, f"flowforge_fault: expected one of {', '.join(KINDS)} or none, then rows, times, text."
            )
        try:
            fault = Fault(
                str(kind), int(str(after_rows or 0)), int(str(1 if times is None else times)), str(matching or "")
            )
        except ValueError:
            raise SqlError(50000, "flowforge_fault: after_rows and times are whole numbers.") from None
        with self._lock:
            self.cleared.clear()
            self._waiting.append(fault)

    def _clear(self) -> None:
        with self._lock:
            self._waiting.clear()
            self.cleared.set()

    def take_refusal(self) -> bool:
        """Whether this new connection is to be refused."""
        with self._lock:
            return self._take(lambda fault: fault.kind == "refuse") is not None

    def check_snapshot(self, text: str) -> None:
        """Raises the error that is set for a statement under SNAPSHOT isolation."""
        with self._lock:
            found = self._take(lambda fault: fault.kind in SNAPSHOT_KINDS and fault.matching.lower() in text.lower())
        if found is not None:
            number = int(found.kind.removeprefix("snapshot "))
            raise SqlError(number, _SNAPSHOT[number])

    def take_strike(self, text: str, sent: int, coming: int) -> Fault | None:
        """The fault that strikes a result set of the request `text`, of which `sent` rows are out and `coming` are next."""
        with self._lock:
            return self._take(
                lambda fault: (
                    fault.kind not in ("refuse", *SNAPSHOT_KINDS)
                    and sent <= fault.after_rows < sent + coming
                    and fault.matching.lower() in text.lower()
                )
            )

    def _take(self, strikes) -> Fault | None:
        found = next((fault for fault in self._waiting if fault.times > 0 and strikes(fault)), None)
        if found is not None:
            found.times -= 1
        return found
