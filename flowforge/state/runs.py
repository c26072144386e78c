"""Run history: one item for the run, one for each table that something happened to.

What events tell of a table is written by `state.run_stories`; a table's status is derived when it is read (`state.run_status`).
A step that succeeds later (a replay) outweighs its earlier failure, never the other way round. What is written goes by itself
once it is as old as the history that is kept (`state.expiry`).
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from flowforge.aws import items
from flowforge.aws.compact import pack, shorten, unpack
from flowforge.domain.errors import NotFound
from flowforge.runtime.settings import settings
from flowforge.state import discards, outbox, run_steps, run_unchanged
from flowforge.state.expiry import EXPIRES_AT, expires_at, is_expired
from flowforge.state.run_status import head_of, table_status
from flowforge.state.run_unchanged import Unchanged

TELLS_FAILURE = "tells_failure"  # of a run's own item: it would say by `run_stories.FAILED_AT` that a step was given up
NAMES, NAMES_PER_ITEM = "NAMES#", 250  # each may take a kilobyte, and an item holds 400
MISTAKES_KEPT, MISTAKES_BYTES, TEXT_CHARACTERS = 500, 100_000, 2_000


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def open_run(
    run_id: str,
    workflow_id: str,
    job_id: str,
    batch_id: str,
    trigger: str,
    tables: list[tuple[str, str]],
    names: Mapping[str, str | None] | None = None,
    *,
    unchanged: Sequence[Unchanged] = (),
) -> None:
    """Opens a run with its (bronze table, source table) pairs; `names` are what people call its workflow and job, `unchanged` are
    tables that have come to their end already. A run that is open already stays as it is."""
    run_unchanged.keep(run_id, unchanged, _now())
    for start in range(0, len(tables), NAMES_PER_ITEM):
        names_of = pack(tables[start : start + NAMES_PER_ITEM])
        part = {"pk": run_id, "sk": f"{NAMES}{start:08d}", "names": names_of, EXPIRES_AT: expires_at()}
        items.put(settings().runs_table, part, "attribute_not_exists(pk)")
    run: dict[str, Any] = {
        "workflow_id": workflow_id,
        "job_id": job_id,
        "batch_id": batch_id,
        "trigger": trigger,
        "status": "accepted",
    }
    asked = {one.bronze_table for one in unchanged}
    run |= {"table_count": len(tables), TELLS_FAILURE: True} | run_unchanged.attribute_of(unchanged)
    run[run_steps.PLACES] = run_steps.places_of(bronze for bronze, _ in tables if bronze not in asked)
    again = "attribute_not_exists(pk) OR attribute_exists(mistakes)"  # a replay of what was rejected
    _put_run(run_id, run | dict(names or {}), again)


def tables_of(run_id: str) -> list[str]:
    """The bronze tables of a run, in the order of its request."""
    values = {":pk": run_id, ":names": NAMES}
    found = items.query(settings().runs_table, "pk = :pk AND begins_with(sk, :names)", values)
    return [bronze for item in found for bronze, _ in unpack(item["names"])]


def is_open(run_id: str) -> bool:
    """Whether the run exists and was not rejected."""
    found = items.get(settings().runs_table, {"pk": run_id, "sk": "RUN"})
    return found is not None and found["status"] != "rejected"


def reject(run_id: str, trigger: str, mistakes: list[dict[str, str]]) -> None:
    """Keeps a request that could not be taken, with its mistakes."""
    told = shorten({"mistakes": [_clipped(mistake) for mistake in mistakes[:MISTAKES_KEPT]]}, MISTAKES_BYTES)[
        "mistakes"
    ]
    if len(told) < len(mistakes):
        told.append({"field": "(more)", "problem": f"{len(mistakes) - len(told):,} further mistakes"})
    run = {"trigger": trigger, "status": "rejected", "mistakes": json.dumps(told), "finished_at": _now()}
    _put_run(run_id, run | {"table_count": 0, run_steps.PLACES: []})


def _clipped(mistake: dict[str, str]) -> dict[str, str]:
    return {k: v if len(v) <= TEXT_CHARACTERS else f"{v[:TEXT_CHARACTERS]}…" for k, v in mistake.items()}


def _put_run(run_id: str, fields: dict[str, Any], condition: str = "attribute_not_exists(pk)") -> None:
    item = {"pk": run_id, "sk": "RUN", "kind": "run", "accepted_at": _now(), EXPIRES_AT: expires_at(), **fields}
    items.put(settings().runs_table, item, condition)


def read_run(run_id: str) -> dict[str, Any]:
    """A run with the status of each of its tables; raises NotFound."""
    found = {item["sk"]: item for item in items.query(settings().runs_table, "pk = :pk", {":pk": run_id})}
    if "RUN" not in found or is_expired(found["RUN"]):
        remedy = f"flowforge status lists the runs; they are kept for {settings().history_days} days."
        raise NotFound(f"no run {run_id!r}", remedy)
    names = names_in(found)
    told = run_unchanged.stories_in(found) | by_table(found)
    tables = [table_status(bronze, source, told.get(bronze.lower(), {})) for bronze, source in names]
    return head_of(found["RUN"], tables, discards.of_run(found)) | {"tables": tables}


def names_of(run: items.Item) -> list[items.Item]:
    """The keys of the items with the names of a run's tables, by the run's own item."""
    starts = range(0, run.get("table_count", 0), NAMES_PER_ITEM)
    return [{"pk": run["pk"], "sk": f"{NAMES}{start:08d}"} for start in starts]


def names_in(found: Mapping[str, items.Item]) -> list[tuple[str, str]]:
    """The (bronze table, source table) pairs of a run's items, in the order of its request."""
    return [tuple(pair) for sk in sorted(found) if sk.startswith(NAMES) for pair in unpack(found[sk]["names"])]


def steps_in(found: Mapping[str, items.Item]) -> dict[str, tuple[str, run_steps.Steps]]:
    """What a run's items tell of each table in short, as `run_steps.read` gives it; those that had nothing new among them."""
    stepped = (item for sk, item in found.items() if sk.startswith(run_steps.STEPS))
    return run_unchanged.steps_in(found) | run_steps.read(stepped)


def is_ended(run: Mapping[str, Any]) -> bool:
    """Whether a run, as it is shown, has come to its end."""
    return run["status"] in ("succeeded", "failed", "rejected")


def by_table(found: Mapping[str, items.Item]) -> dict[str, items.Item]:
    """What events said of each table, by its name in lower case: a table that is loaded for the first time may get the catalog's
    spelling on the way, and no two tables of a run differ by case only."""
    told: dict[str, items.Item] = {}
    for sk in sorted(found):
        if sk.startswith("TABLE#"):
            told.setdefault(sk.removeprefix("TABLE#").lower(), {}).update(found[sk])
    return told


def older_than(moment: datetime) -> Iterator[str]:
    """The ids of runs that were accepted before a moment, the oldest first."""
    condition, before = "#kind = :run AND accepted_at < :before", moment.isoformat(timespec="milliseconds")
    options = {"IndexName": "recent-runs", "ExpressionAttributeNames": {"#kind": "kind"}}
    found = items.query(settings().runs_table, condition, {":run": "run", ":before": before}, **options)
    return (item["pk"] for item in found)


def forget(run_id: str) -> bool:
    """Deletes all that is stored of a run, what it is found by last; False where some of its tables are not queued yet."""
    found = sorted(
        items.query(settings().runs_table, "pk = :pk", {":pk": run_id}), key=lambda item: item["sk"] == "RUN"
    )
    if any(outbox.UNQUEUED in item for item in found):
        return False
    items.delete_many(settings().runs_table, [{"pk": run_id, "sk": item["sk"]} for item in found])
    return True


def job_of(run_id: str) -> str | None:
    """The run's job as `workflow.job`; None for a run that is not known or was rejected."""
    found = items.get(settings().runs_table, {"pk": run_id, "sk": "RUN"})
    return f"{found['workflow_id']}.{found['job_id']}" if found and "workflow_id" in found else None
