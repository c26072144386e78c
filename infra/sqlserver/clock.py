"""The server's clock and the zone it stands in. Tests stop it and move it, so that hours may pass without waiting.

A client sets it while the server runs, on any connection:

    EXEC flowforge_clock 'set', '2024-03-31 00:59:59.5'    stops it at this UTC time
    EXEC flowforge_clock 'advance', 1500                   moves it by milliseconds, back when negative; it stays stopped
    EXEC flowforge_clock 'zone', 60                        local time is UTC and so many minutes from now on
    EXEC flowforge_clock 'run'                             the machine's clock again, in UTC

Every time that the server tells comes from here: GETDATE, SYSUTCDATETIME and their kin, and the begin times of transactions.
"""

from __future__ import annotations

import datetime as dt
import threading
import time

from .errors import SqlError

_TICKS_PER_SECOND = 10_000_000
_TICKS_PER_MINUTE = 60 * _TICKS_PER_SECOND
_UNIX_EPOCH_TICKS = 719_162 * 86_400 * _TICKS_PER_SECOND
_EPOCH = dt.datetime(1, 1, 1)


class Clock:
    """Tells the time in ticks of 100 ns since 0001-01-01. Used by all threads of the server."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stopped_at: int | None = None
        self.offset_minutes = 0

    def utc_ticks(self) -> int:
        """The time in UTC."""
        with self._lock:
            return self._now()

    def local_ticks(self) -> int:
        """The time in the server's zone."""
        return self.utc_ticks() + self.offset_minutes * _TICKS_PER_MINUTE

    def local_datetime(self) -> dt.datetime:
        """Local time as a datetime has it: rounded to 1/300 s, told in whole milliseconds."""
        seconds, rest = divmod(self.local_ticks(), _TICKS_PER_SECOND)
        third = (rest * 3 + 50_000) // 100_000
        return _EPOCH + dt.timedelta(seconds=seconds, milliseconds=(third * 10 + 1) // 3)

    def set(self, arguments: list[object]) -> None:
        """Sets the clock from the procedure's arguments. Raises SqlError where they make no sense."""
        word, value = (*arguments, None, None)[:2]
        try:
            with self._lock:
                self._change(str(word), str(value))
        except ValueError:
            raise SqlError(50000, f"flowforge_clock: {value!r} is no value for {word!r}.") from None

    def _change(self, word: str, value: str) -> None:
        if word == "set":
            moment = dt.datetime.fromisoformat(value) - _EPOCH
            self._stopped_at = (moment.days * 86_400 + moment.seconds) * _TICKS_PER_SECOND + moment.microseconds * 10
        elif word == "advance":
            self._stopped_at = self._now() + int(value) * 10_000
        elif word == "zone":
            self.offset_minutes = int(value)
        elif word == "run":
            self._stopped_at, self.offset_minutes = None, 0
        else:
            raise SqlError(50000, "flowforge_clock: expected set, advance, zone or run, then a value.")

    def _now(self) -> int:
        return time.time_ns() // 100 + _UNIX_EPOCH_TICKS if self._stopped_at is None else self._stopped_at
