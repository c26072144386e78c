"""A run as somebody sees it who looks again and again: of its tables those alone that something has happened to since.

A look reads the run's own items and its steps, and the full story of the tables that these tell of; the rest of a run of
thousands of tables is neither read nor sent. Status and times of the run are of all its tables.

What a worker tells may be seen later than its time says. So a look goes back MARGIN further; a table that it misses all the same
stays as it was, until it changes again or all of the run is read.
"""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from flowforge.aws import items
from flowforge.runtime.settings import settings
from flowforge.state import discards, run_steps, run_unchanged
from flowforge.state.expiry import is_expired
from flowforge.state.run_status import head_of, outcome, table_status
from flowforge.state.run_steps import STEPS, TABLE, Steps
from flowforge.state.runs import by_table, names_in, read_run, steps_in

MARGIN = timedelta(seconds=1)


def look_at(run_id: str, since: datetime | None = None) -> dict[str, Any]:
    """A run with the status of each of its tables, or of those alone that have changed since a moment: `as_of` of the answer
    before. Raises NotFound."""
    # With a Z: the "+" of an offset would be a blank in an address.
    as_of = (datetime.now(UTC) - MARGIN).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    run = None
    if since:
        with suppress(OverflowError):  # at an end of the calendar
            run = _changes(run_id, since.astimezone(UTC).isoformat(timespec="milliseconds"))
    return (run or read_run(run_id)) | {"as_of": as_of}


def _changes(run_id: str, since: str) -> dict[str, Any] | None:
    """None where all of the run is to be read: it is not known, or of a version before."""
    table = settings().runs_table
    # Between these two kinds of items stand the names of its tables, and its own item.
    values = {":pk": run_id, ":first": discards.DISCARDED, ":last": f"{STEPS}~"}
    found = {item["sk"]: item for item in items.query(table, "pk = :pk AND sk BETWEEN :first AND :last", values)}
    run = found.get("RUN")
    if run is None or is_expired(run) or run_steps.PLACES not in run:
        return None
    found |= {item["sk"]: item for item in items.get_many(table, run_unchanged.keys_of(run)) if item}
    told = steps_in(found)
    ended, changed = [], list[tuple[str, str]]()
    for bronze, source in names_in(found):
        _, steps = told.get(bronze.lower(), ("", {}))
        status, finished, _ = outcome(steps)
        ended.append({"status": status, "finished_at": finished})
        if _is_new(steps, since):
            changed.append((bronze, source))
    stepped = [item for sk, item in found.items() if sk.startswith(STEPS)]
    stories = _stories(run_id, {bronze.lower() for bronze, _ in changed}, stepped)
    tables = [table_status(bronze, source, stories.get(bronze.lower(), {})) for bronze, source in changed]
    return head_of(run, ended, discards.of_run(found)) | {"tables": tables}


def _is_new(steps: Steps, since: str) -> bool:
    """Whether a table may have changed since; how far one is whose slices are read has no time of its own."""
    return any(step["at"] > since for step in steps.values()) or ("slices" in steps and "ingest" not in steps)


def _stories(run_id: str, wanted: set[str], stepped: list[items.Item]) -> dict[str, items.Item]:
    """What events said of tables, named in lower case: by the keys that their steps go by."""
    names = sorted(
        {sk for item in stepped for sk in item if sk.startswith(TABLE) and sk.removeprefix(TABLE).lower() in wanted}
    )
    found = items.get_many(settings().runs_table, [{"pk": run_id, "sk": sk} for sk in names])
    return by_table({item["sk"]: item for item in found if item})
