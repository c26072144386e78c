"""Schedules of late committers: transactions that write, wait and commit in any order, clocks that move on, loads in between.

A schedule is a list of steps made from a seed, so it can be run again; what fails is shrunk to the steps that matter. Steps:

    ("begin", writer, isolation)   ("insert", writer, rows)   ("update", writer, which)   ("commit", writer)
    ("rollback", writer)           ("advance", milliseconds)  ("load",)

A writer without a transaction writes in autocommit. `which` picks one of the rows that exist by then.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

Step = tuple
WRITERS = 3
LAG_MS = 300_000  # how long a transaction may stay open where nobody can look: the deployment's default lag
SECOND, MINUTE, HOUR = 1000, 60_000, 3_600_000


@dataclass(frozen=True)
class Kind:
    """A kind of cursor: its column's declaration, what the writing statement stamps it with, and the pace of its clock."""

    name: str
    declaration: str
    local: str = ""
    utc: str = ""
    pace_ms: int = SECOND

    @property
    def stamped(self) -> bool:
        """The writing statement sets it; otherwise the server draws it."""
        return bool(self.local)

    @property
    def repeats(self) -> bool:
        """Its numbers are not unique, so the last one is read again."""
        return self.local == SECONDS

    @property
    def updates(self) -> bool:
        """An update moves it."""
        return self.stamped or self.name == "rowversion"


SECONDS = "DATEDIFF(second, '2026-01-01', SYSUTCDATETIME())"

KINDS = {
    kind.name: kind
    for kind in (
        Kind("rowversion", "rowversion"),
        Kind("int", "int IDENTITY(1,1)"),
        Kind("bigint", "bigint IDENTITY(9007199254740993,1)"),  # beyond what a float holds
        Kind("int, seconds", "int", SECONDS, SECONDS),  # several rows have the same
        Kind("date", "date", "SYSDATETIME()", "SYSUTCDATETIME()", 5 * HOUR),
        Kind("smalldatetime", "smalldatetime", "SYSDATETIME()", "SYSUTCDATETIME()", 30 * SECOND),
        Kind("datetime", "datetime", "GETDATE()", "GETUTCDATE()"),
        Kind("datetime2(0)", "datetime2(0)", "SYSDATETIME()", "SYSUTCDATETIME()"),
        Kind("datetime2(7)", "datetime2(7)", "SYSDATETIME()", "SYSUTCDATETIME()"),
        Kind("datetimeoffset(3)", "datetimeoffset(3)", "SYSDATETIMEOFFSET()", "SYSUTCDATETIME()"),
        Kind("datetimeoffset(7)", "datetimeoffset(7)", "SYSDATETIMEOFFSET()", "SYSUTCDATETIME()"),
    )
}


@dataclass(frozen=True)
class Schedule:
    """What is played: `sighted` tells whether the loading login sees open transactions, `keyed` whether the table has a key."""

    seed: int
    kind: Kind
    sighted: bool
    keyed: bool
    zone_minutes: int
    clock: str
    steps: tuple[Step, ...]

    def __str__(self) -> str:
        shown = "\n  ".join(repr(step) for step in self.steps)
        login = "sees open transactions" if self.sighted else "is blind"
        key = "with a key" if self.keyed else "without a key"
        return (
            f"seed {self.seed}: {self.kind.name} {key}, cursorClock {self.clock}, zone {self.zone_minutes:+} min, "
            f"the login {login}\n  {shown}"
        )


def make_schedule(seed: int, kind: Kind, sighted: bool) -> Schedule:
    """The schedule of a seed."""
    chance = random.Random(f"{seed} {kind.name} {sighted}")
    clock = chance.choice(["utc", "local", "unknown"]) if kind.stamped else "unknown"
    zone = chance.choice([0, 60, 330, -300]) if kind.stamped else 0
    keyed = chance.random() < 0.75
    steps = _Maker(chance, kind.updates and keyed, kind.pace_ms, None if sighted else LAG_MS).make()
    return Schedule(seed, kind, sighted, keyed, zone, clock, tuple(steps))


class _Maker:
    """Makes steps; keeps every transaction shorter than `longest_ms`."""

    def __init__(self, chance: random.Random, updates: bool, pace_ms: int, longest_ms: int | None):
        self.chance, self.updates, self.pace_ms, self.longest_ms = chance, updates, pace_ms, longest_ms
        self.open: dict[int, int] = {}  # writer -> age of its transaction in milliseconds
        self.steps: list[Step] = []

    def make(self) -> list[Step]:
        actions = [self._begin, self._insert, self._insert, self._insert, self._end, self._advance, self._advance]
        actions += [self._update] * 2 if self.updates else []
        for _ in range(self.chance.randint(2, 3)):
            for _ in range(self.chance.randint(5, 12)):
                self.chance.choice(actions)()
            self.steps.append(("load",))
        for writer in list(self.open):
            self._finish(writer)
        return self.steps

    def _writer(self) -> int:
        # Mostly one whose transaction is open: rows that commit at once are the easy ones.
        among = list(self.open) if self.open and self.chance.random() < 0.7 else range(WRITERS)
        return self.chance.choice(list(among))

    def _begin(self) -> None:
        idle = [writer for writer in range(WRITERS) if writer not in self.open]
        if idle:
            writer = self.chance.choice(idle)
            self.open[writer] = 0
            self.steps.append(("begin", writer, self.chance.choice(["READ COMMITTED", "READ COMMITTED", "SNAPSHOT"])))

    def _insert(self) -> None:
        self.steps.append(("insert", self._writer(), self.chance.randint(1, 3)))

    def _update(self) -> None:
        self.steps.append(("update", self._writer(), self.chance.randrange(1000)))

    def _end(self) -> None:
        if self.open:
            self._finish(self.chance.choice(list(self.open)))

    def _finish(self, writer: int) -> None:
        del self.open[writer]
        self.steps.append(("commit" if self.chance.random() < 0.8 else "rollback", writer))

    def _advance(self) -> None:
        most = self.chance.choice([self.pace_ms // 100, self.pace_ms, 4 * self.pace_ms])
        milliseconds = self.chance.randint(1, most)
        if self.longest_ms is not None:
            for writer, age in list(self.open.items()):
                if age + milliseconds >= self.longest_ms:
                    self._finish(writer)
        self.open = {writer: age + milliseconds for writer, age in self.open.items()}
        self.steps.append(("advance", milliseconds))


def shrink(schedule: Schedule, fails: Callable[[Schedule], bool], attempts: int = 60) -> Schedule:
    """Leaves out steps for as long as the schedule still fails; runs it `attempts` times at most."""
    size = max(1, len(schedule.steps) // 2)
    while attempts > 0:
        start, shorter = 0, False
        while start < len(schedule.steps) and attempts > 0:
            steps = schedule.steps[:start] + schedule.steps[start + size :]
            candidate = replace(schedule, steps=steps)
            attempts -= 1
            if fails(candidate):
                schedule, shorter = candidate, True
            else:
                start += size
        if size == 1 and not shorter:
            break
        size = max(1, size // 2)
    return schedule
