"""Which steps each table of a run has come to: small items beside the full story, so that a list reads no more than it shows.

A run's tables are spread over PARTS items, by a digest of their names: one of a thousand tables would take a unit of writing for
each kilobyte that the others have told. What is told together goes into one of them, so a table may be in several. A step is a
member of a set, so it may be told twice, and in any order.

Guarantees: status and times are those of the full story, but for what a worker that died has told half. Runs of a version before
have no such items, and say so (`keys_of`).
"""

import zlib
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from typing import NamedTuple

from events import facts
from flowforge.aws import items
from flowforge.domain.errors import FlowForgeError
from flowforge.runtime.settings import settings
from flowforge.state.expiry import EXPIRES_AT, expires_at

PARTS = 64
MOST_AT_ONCE = 25  # tables: an expression holds 4 KB
PLACES = "steps_in"  # of a run's own item: the parts that its tables are in
STEPS, TABLE = "STEPS#", "TABLE#"
Steps = dict[str, dict[str, str]]  # by step, as a table's events are read: {"ingest": {"at": ISO 8601}}


def places_of(bronze_tables: Iterable[str]) -> list[int]:
    """The parts that tables are in, for the run's own item."""
    return sorted({_part(table) for table in bronze_tables})


def keys_of(run: items.Item) -> list[items.Item] | None:
    """The items that tell of a run's tables; None for a run of a version before."""
    return None if PLACES not in run else [{"pk": run["pk"], "sk": f"{STEPS}{part:02}"} for part in run[PLACES]]


STEP_OF = {
    facts.SlicesRead: "slices",
    facts.BronzeLanded: "ingest",
    facts.IntervalEmpty: "empty",
    facts.WatermarkCommitted: "watermark",
    facts.SilverRefined: "silver",
    facts.GoldPublished: "gold",
}


class Step(NamedTuple):
    """A step that a table has come to, `at` a time in ISO 8601; of one whose time says nothing it is empty."""

    bronze_table: str
    step: str
    at: str = ""

    @property
    def mark(self) -> str:
        """The member of the set."""
        return f"{self.step}@{round(datetime.fromisoformat(self.at).timestamp() * 1000) if self.at else 0}"


Noted = dict[tuple[str, str, str], Step]  # by `key_of`


def step_of(fact: facts.TableEvent, at: str) -> Step:
    """The step that an event tells of, which comes to pass at a time in ISO 8601."""
    name = f"failed_{fact.step}" if isinstance(fact, facts.StepFailed) else STEP_OF[type(fact)]
    return Step(fact.bronze_table, name, "" if isinstance(fact, facts.SlicesRead) else at)


def key_of(fact: facts.TableEvent) -> tuple[str, str, str]:
    """What tells the step of an event from others: run, bronze table and the step's name."""
    return fact.run_id, fact.bronze_table, step_of(fact, "").step


def note_ahead(told: Iterable[facts.TableEvent]) -> Noted:
    """Writes down the steps of several events of a run in one call, and returns them; those of a run of which there is one event,
    and those that cannot be written now, are left to `run_stories.record`."""
    by_run: dict[str, Noted] = {}
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    for fact in told:
        by_run.setdefault(fact.run_id, {})[key_of(fact)] = step_of(fact, at)
    noted: Noted = {}
    for run_id, steps in by_run.items():
        if len(steps) > 1:
            with suppress(FlowForgeError):  # `run_stories.record` meets it again, for its own event
                note(run_id, steps.values())
                noted |= steps
    return noted


def note(run_id: str, steps: Iterable[Step]) -> None:
    """Writes down steps of a run's tables, in one call for MOST_AT_ONCE tables: those of one call go into one item, that of one
    of their tables, whose part the run's list of them has."""
    marks: dict[str, set[str]] = {}
    for step in steps:
        marks.setdefault(step.bronze_table, set()).add(step.mark)
    tables = sorted(marks)
    for start in range(0, len(tables), MOST_AT_ONCE):
        part = tables[start : start + MOST_AT_ONCE]
        key = {"pk": run_id, "sk": f"{STEPS}{_part(part[0]):02}"}
        values = {":expires": expires_at()} | {f":s{n}": marks[table] for n, table in enumerate(part)}
        added = ", ".join(f"#t{n} :s{n}" for n in range(len(part)))
        names = {f"t{n}": f"{TABLE}{table}" for n, table in enumerate(part)}
        items.update(settings().runs_table, key, f"SET {EXPIRES_AT} = :expires ADD {added}", values, **names)


def read(found: Iterable[items.Item | None]) -> dict[str, tuple[str, Steps]]:
    """What items of one run tell of each table: by its name in lower case, its name as the catalog spells it, empty until that is
    known, and its steps."""
    marks: dict[str, set[str]] = {}
    for item in found:
        for name, members in (item or {}).items():
            if name.startswith(TABLE):
                marks.setdefault(name.removeprefix(TABLE), set()).update(members)
    told: dict[str, tuple[str, Steps]] = {}
    for table in sorted(marks):
        spelt, known = told.get(table.lower(), ("", {}))
        steps = _steps(marks[table])
        told[table.lower()] = (table if steps.keys() & {"ingest", "empty"} else spelt, known | steps)
    return told


def _part(bronze_table: str) -> int:
    return zlib.crc32(bronze_table.lower().encode(errors="surrogatepass")) % PARTS


def _steps(marks: Iterable[str]) -> Steps:
    """A step that was told several times counts from the first, one that failed by the last: as the full story has it."""
    moments: dict[str, list[int]] = {}
    for mark in marks:
        step, _, milliseconds = mark.partition("@")
        moments.setdefault(step, []).append(int(milliseconds))
    return {step: {"at": _iso((max if step.startswith("failed_") else min)(times))} for step, times in moments.items()}


def _iso(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")
