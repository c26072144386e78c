"""The server's clock, and how far it has gone back since it was last read for a cursor.

A bound is a moment of that clock, and rows that come later must be stamped above it. A clock that is put back (by a person, by a
failover, at the end of summer time) stamps below it once more. Two comparisons tell by how much: the server's UTC against our
own clock, which only ever widens what is read, and its local time against its UTC. What was seen is remembered with the cursor
until a batch that started lower has moved the watermark. A clock that is put back and forth again between two loads is not seen.
"""

import datetime as dt
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from flowforge.sources.sqlserver.connection import SourceConnection
from flowforge.sources.sqlserver.statement import Statement

STEADY_MS = 500
KEPT_MS = 6 * 3_600_000  # how old the reading that is compared with may be, before another one is kept
NOTABLE_BACK_MS = 10_000  # below that, clocks that drift apart from day to day
_CLOCK = """SELECT CONVERT(varchar(27), SYSDATETIME(), 121) AS local_now,
CONVERT(varchar(27), SYSUTCDATETIME(), 121) AS utc_now"""
CLOCK = Statement((_CLOCK,))
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)(?: (\d\d:\d\d:\d\d)(?:\.(\d{1,7}))?)?", re.ASCII)

Memory = dict[str, Any]


class ServerClock(NamedTuple):
    """Both times as the server prints them (style 121, seven digits), and ours in milliseconds since 1970.

    `utc_back_ms` and `local_back_ms` are how far each went back since the watermark; `step_ms` how far local time, in which the
    server dates transactions, went back since the reading before. `is_steady`: since the reading that is kept, neither time has
    moved otherwise than ours by more than STEADY_MS, and nothing of it is to be remembered; a bound keeps at least twice as far
    from the clock. The reading that is kept is no older than KEPT_MS then: another one is kept that often, though nothing is new.
    """

    local: str
    utc: str
    ours_ms: int
    utc_back_ms: int = 0
    local_back_ms: int = 0
    step_ms: int = 0
    is_steady: bool = False

    def now(self, which: str) -> str:
        """The time by the clock that stamps a column: utc, local, or the lower of both where it is unknown."""
        if which == "unknown":
            return min(self.local, self.utc)  # fixed width: text order is time order
        return self.utc if which == "utc" else self.local

    def back_ms(self, which: str) -> int:
        """How far that clock went back since the watermark."""
        return {"utc": self.utc_back_ms, "local": self.local_back_ms}.get(which, max(self[3:5]))

    @property
    def is_local(self) -> bool:
        """Whether the server stands in a zone. To the minute: the two are read one after the other."""
        return self.local[:16] != self.utc[:16]

    def memory(self, low: str | None, behind: dict[str, int]) -> Memory:
        """What the next reading for the same cursor is compared with; `behind` are the transactions whose begin is dated too
        late, and by how much."""
        times = {"local": self.local, "utc": self.utc, "ours_ms": self.ours_ms}
        back = {"utc_back_ms": self.utc_back_ms, "local_back_ms": self.local_back_ms}
        return {**times, **back, "since": low, "behind": behind}


def read_clock(connection: SourceConnection, low: str | None = None, memories: Sequence[Memory] = ()) -> ServerClock:
    """Reads the clock and compares it with the newest of `memories`; `low` is the cursor's watermark."""
    found = connection.row(CLOCK)
    return compared(ServerClock(found["local_now"], found["utc_now"], connection.asked_ms), low, memories)


def compared(clock: ServerClock, low: str | None, memories: Sequence[Memory]) -> ServerClock:
    """A reading, compared with the newest of `memories`; `low` is the watermark of the cursor that they were kept with."""
    ours_ms = clock.ours_ms
    before = next((memory for memory in reversed(memories) if "ours_ms" in memory), None)
    if before is None:
        return clock
    utc_moved, local_moved = _ms(clock.utc) - _ms(before["utc"]), _ms(clock.local) - _ms(before["local"])
    utc_step = max(0, ours_ms - before["ours_ms"] - utc_moved, -utc_moved)
    local_step = max(0, utc_step + utc_moved - local_moved)
    drifts = (abs(ours_ms - before["ours_ms"] - moved) for moved in (utc_moved, local_moved))
    same = before["since"] == low  # otherwise a batch that knew of it has been committed
    known = any(before[fact] for fact in ("utc_back_ms", "local_back_ms", "behind"))
    return clock._replace(
        utc_back_ms=utc_step + (before["utc_back_ms"] if same else 0),
        local_back_ms=local_step + (before["local_back_ms"] if same else 0),
        step_ms=local_step,
        is_steady=max(drifts) <= STEADY_MS and not known and ours_ms - before["ours_ms"] <= KEPT_MS,
    )


def moved_text(server_time: str, milliseconds: int) -> str | None:
    """A server time (style 121) moved by milliseconds, with seven digits, as DATEADD of a datetime2 gives it (both count the
    Gregorian calendar back to year 1); None for another text, and beyond the years 1 to 9999."""
    found = _TIME.fullmatch(server_time)
    if found is None:
        return None
    day, clock, digits = found[1], found[2] or "00:00:00", (found[3] or "").ljust(7, "0")
    try:
        moved = dt.datetime.fromisoformat(f"{day}T{clock}.{digits[:6]}") + dt.timedelta(milliseconds=milliseconds)
    except (ValueError, OverflowError):
        return None
    return moved.isoformat(" ", "microseconds") + digits[6]


def behind_of(memories: Sequence[Memory]) -> dict[str, int]:
    """The transactions of the newest memory whose begin was dated too late, by id, in milliseconds."""
    return next((memory["behind"] for memory in reversed(memories) if "behind" in memory), {})


def _ms(text: str) -> int:
    moment = dt.datetime.fromisoformat(text[:26])
    return (moment - dt.datetime(1970, 1, 1)) // dt.timedelta(milliseconds=1)
