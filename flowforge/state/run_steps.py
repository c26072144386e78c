"""Which steps each table of a run has come to: small items beside the full story, so that a list reads no more than it shows.

A run's tables are spread over PARTS items, by a digest of their names: one of a thousand tables would take a unit of writing for
each kilobyte that the others have told. A step is a member of a set, so it may be told twice, and in any order.

Guarantees: status and times are those of the full story, but for what a worker that died has told half. Runs of a version before
have no such items, and say so (`keys_of`).
"""

import zlib
from collections.abc import Iterable
from datetime import UTC, datetime

from flowforge.aws import items
from flowforge.runtime.settings import settings
from flowforge.state.expiry import EXPIRES_AT, expires_at

PARTS = 64
PLACES = "steps_in"  # of a run's own item: the parts that its tables are in
STEPS, TABLE = "STEPS#", "TABLE#"
Steps = dict[str, dict[str, str]]  # by step, as a table's events are read: {"ingest": {"at": ISO 8601}}


def places_of(bronze_tables: Iterable[str]) -> list[int]:
    """The parts that tables are in, for the run's own item."""
    return sorted({_part(table) for table in bronze_tables})


def keys_of(run: items.Item) -> list[items.Item] | None:
    """The items that tell of a run's tables; None for a run of a version before."""
    return None if PLACES not in run else [{"pk": run["pk"], "sk": f"{STEPS}{part:02}"} for part in run[PLACES]]


def note(run_id: str, bronze_table: str, step: str, at: str = "") -> None:
    """Writes down that a table has come to a step, `at` a time in ISO 8601; of one whose time says nothing it is empty."""
    key = {"pk": run_id, "sk": f"{STEPS}{_part(bronze_table):02}"}
    milliseconds = round(datetime.fromisoformat(at).timestamp() * 1000) if at else 0
    values = {":expires": expires_at(), ":step": {f"{step}@{milliseconds}"}}
    expression = f"SET {EXPIRES_AT} = :expires ADD #loaded :step"
    items.update(settings().runs_table, key, expression, values, loaded=f"{TABLE}{bronze_table}")


def read(found: Iterable[items.Item | None]) -> dict[str, tuple[str, Steps]]:
    """What items of one run tell of each table: by its name in lower case, its name as the catalog spells it, empty until that is
    known, and its steps."""
    told: dict[str, tuple[str, Steps]] = {}
    for item in found:
        for name, marks in sorted((item or {}).items()):
            if name.startswith(TABLE):
                table = name.removeprefix(TABLE)
                spelt, known = told.get(table.lower(), ("", {}))
                steps = _steps(marks)
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
