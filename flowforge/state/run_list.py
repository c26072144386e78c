"""The list of runs, newest first, page by page: of all, or of one workflow; all of them, or those with one status.

An index gives the runs of a page and no others, however many there are; what else is shown of them is read a hundred items in one
call. Of each run all tables are shown, so a page ends early where its runs have many. A run of a version before is read by
itself, and one that should have ended long ago: a version before may have told its steps.

What a run has come to is known by its steps, so no index has it. A page of one status looks at so many runs and no more, and may
have none and still a `next`. Of failed ones it reads the steps of those alone of which a step was ever given up (`FAILED_AT`).
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from flowforge.aws import items
from flowforge.domain.errors import NotFound
from flowforge.runtime.pages import cursor_of, fitting, place_of
from flowforge.runtime.settings import settings
from flowforge.state import discards, run_steps, run_unchanged
from flowforge.state.expiry import NOT_EXPIRED, now
from flowforge.state.run_status import SHOWN, head_of, outcome
from flowforge.state.run_stories import FAILED_AT
from flowforge.state.runs import TELLS_FAILURE, is_ended, names_in, names_of, read_run, steps_in

MOST_CHARACTERS = 200  # of a workflow's id, as requests have it
MOST_BYTES = 2_000_000  # of a page: to show a run's tables takes reading their names and steps
READ_AT_ONCE = 100  # items
LOOKED_AT, READ_STEPS = 500, 100  # runs of a page of one status: of failed ones, and the most of which steps are read
STATUSES = {"under-way": ("accepted", "running"), "failed": ("failed", "rejected"), "succeeded": ("succeeded",)}
LONG = timedelta(days=1)  # for a run


def list_runs(
    limit: int, workflow_id: str | None = None, cursor: str | None = None, status: str | None = None
) -> dict[str, Any]:
    """At most `limit` runs, each with its tables' statuses, as `runs`; `next` is there where older ones follow.
    `status` is one of STATUSES.

    Raises InvalidRequest for a cursor that is none.
    """
    if status and limit:
        return _with_status(status, limit, workflow_id, cursor)
    listed = _stored(limit + 1, workflow_id, cursor)
    shown = fitting(_in_short(listed[:limit]), MOST_BYTES)
    if not shown or len(shown) == len(listed):
        return {"runs": shown}
    last = listed[len(shown) - 1]
    return {"runs": shown, "next": cursor_of(last["accepted_at"], last["pk"])}


def _with_status(status: str, limit: int, workflow_id: str | None, cursor: str | None) -> dict[str, Any]:
    most = LOOKED_AT if status == "failed" else READ_STEPS  # of the others nearly each is read
    listed = _stored(most + 1, workflow_id, cursor)
    places = [place for place, run in enumerate(listed[:most]) if _may_be(status, run)]
    end = places[READ_STEPS] if len(places) > READ_STEPS else len(listed[:most])
    shown: list[dict[str, Any]] = []
    left = MOST_BYTES
    for place, run in zip(places, _in_short([listed[place] for place in places[:READ_STEPS]]), strict=False):
        left -= len(json.dumps(run))
        if left < 0 and place != places[0]:
            end = place
            break
        shown += [run] if run["status"] in STATUSES[status] else []
        if len(shown) == limit:
            end = place + 1
            break
    last = listed[end - 1] if end < len(listed) else None
    return {"runs": shown} | ({"next": cursor_of(last["accepted_at"], last["pk"])} if last else {})


def _may_be(status: str, run: items.Item) -> bool:
    """Whether a run may have a status, by its own item alone. One of a version before tells of no failure there."""
    if status == "failed":
        return run.get("status") == "rejected" or FAILED_AT in run or TELLS_FAILURE not in run
    return run.get("status") != "rejected"


def newest_of(workflow_id: str, most: int) -> list[str]:
    """The ids of a workflow's newest runs; those of the last moments may be missing."""
    return [item["pk"] for item in _stored(most, workflow_id, None)]


def accepted_since(workflow_id: str, moment: str) -> list[tuple[str, str]]:
    """The ids of a workflow's runs that were accepted from a moment on, and when, the oldest first; the same is true of these."""
    values = {":of": workflow_id, ":since": moment}
    options = {"IndexName": "runs-of-workflow", "ExpressionAttributeNames": {"#of": "workflow_id"}}
    found = items.query(settings().runs_table, "#of = :of AND accepted_at >= :since", values, **options)
    return [(item["pk"], item["accepted_at"]) for item in found]


def _stored(most: int, workflow_id: str | None, cursor: str | None) -> list[items.Item]:
    """The runs behind a place as they are stored. A workflow's are found by what each run has carried ever since."""
    index, attribute, value = "recent-runs", "kind", "run"
    if len(workflow_id or "") > MOST_CHARACTERS:
        return []  # no request may name such a one, and no index takes it
    if workflow_id:
        index, attribute, value = "runs-of-workflow", "workflow_id", workflow_id
    options: dict[str, Any] = {"IndexName": index, "ScanIndexForward": False, "Limit": most}
    options |= {"ExpressionAttributeNames": {"#of": attribute}, "FilterExpression": NOT_EXPIRED}
    if place := place_of(cursor, 2):
        start = {attribute: value, "accepted_at": place[0], "pk": place[1], "sk": "RUN"}
        options["ExclusiveStartKey"] = items.encode(start)
    return list(items.query(settings().runs_table, "#of = :of", {":of": value, ":now": now()}, **options))


def _in_short(runs: list[items.Item]) -> Iterator[dict[str, Any]]:
    """Runs for a list of them, a few at a time as they are wanted: of each its names, steps and discarded messages."""
    for part in _parts(runs):
        found = iter(items.get_many(settings().runs_table, [key for _, keys in part for key in keys]))
        for run, keys in part:
            yield _listed(run, {item["sk"]: item for item in islice(found, len(keys)) if item})


def _parts(runs: list[items.Item]) -> Iterator[list[tuple[items.Item, list[items.Item]]]]:
    """Runs with the keys of what is shown of them, as many as one call reads; one with more keys is alone."""
    part: list[tuple[items.Item, list[items.Item]]] = []
    for run in runs:
        keys = _keys_of(run)
        if part and sum(len(others) for _, others in part) + len(keys) > READ_AT_ONCE:
            yield part
            part = []
        part.append((run, keys))
    if part:
        yield part


def _keys_of(run: items.Item) -> list[items.Item]:
    steps = run_steps.keys_of(run)
    return [] if steps is None else [*steps, *run_unchanged.keys_of(run), *names_of(run), *discards.keys_of(run)]


def _listed(item: items.Item, found: dict[str, items.Item]) -> dict[str, Any]:
    """A run for a list; one that cannot be read says so and leaves the others alone."""
    try:
        run = _short(item, found) if run_steps.PLACES in item else None
        if run is None or not (is_ended(run) or _is_young(item)):
            run = read_run(item["pk"])
    except (ValueError, TypeError, KeyError, NotFound) as error:
        known = {k: item.get(k) for k in SHOWN}
        mistake = {"field": "(run)", "problem": f"what is stored of it cannot be read: {error!r}"}
        return {"run_id": item["pk"], **known, "status": "unreadable", "mistakes": [mistake], "tables": []}
    return run | {"tables": [{"table": t["table"], "status": t["status"]} for t in run["tables"]]}


def _is_young(item: items.Item) -> bool:
    return item["accepted_at"] > (datetime.now(UTC) - LONG).isoformat(timespec="milliseconds")


def _short(item: items.Item, found: dict[str, items.Item]) -> dict[str, Any]:
    told = steps_in(found)
    tables = []
    for bronze, _ in names_in(found):
        spelt, steps = told.get(bronze.lower(), ("", {}))
        status, finished, _ = outcome(steps)
        tables.append({"table": spelt or bronze, "status": status, "finished_at": finished})
    return head_of(item, tables, discards.of_run(found)) | {"tables": tables}
