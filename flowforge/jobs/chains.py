"""Workflows that start after another one has succeeded: once for each run of it.

The clock looks at the runs of the other workflow that were accepted since the chain was set. Guarantees: a run that succeeds is
followed by one run, however often that is seen, since the follower's id derives from it; also where nobody looked for a while. A
follower that is still going makes the next one wait, and none is left out. A run that failed is looked at for a day: a replay may
mend it. Nothing starts in a circle.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from events.commands import StartWorkflow
from events.request import InvalidRequest
from flowforge.aws.fanout import send_commands
from flowforge.domain.errors import ConflictingTarget, FlowForgeError, NotFound
from flowforge.domain.run_ids import run_id_of_delivery
from flowforge.jobs.going import going, moment_text
from flowforge.runtime.settings import settings
from flowforge.state import run_list, runs, schedules
from flowforge.state.schedules import Schedule

UNSEEN = timedelta(minutes=5)  # a run that was accepted may not be in the index for moments
MENDED = timedelta(hours=24)  # a run that has not succeeded by then is not followed
LOOKED_AT = 200  # runs that are not followed: the newest of a day, and the oldest of those before
UNKNOWN = "no workflow of this name has run or has a schedule: submit it once, or set its schedule first"


def check_chain(workflow: str, after: str) -> None:
    """Raises InvalidRequest where a workflow would wait for one that is not known, or for itself."""
    if names := circle(workflow, after):
        problem = f"{' after '.join(names)} would start each other for ever"
        raise InvalidRequest([{"field": "after", "problem": problem}])
    if not run_list.newest_of(after, 1) and _found(after) is None:
        raise InvalidRequest([{"field": "after", "problem": UNKNOWN}])


def circle(workflow: str, after: str) -> list[str]:
    """The workflows of the circle that a chain closes, the first one again at the end; empty where it closes none."""
    names = [workflow, after]
    while names[-1] != workflow:
        found = _found(names[-1])
        if found is None or not found.after:
            return []
        if found.after in names[1:]:  # a circle that this workflow is not in
            return []
        names.append(found.after)
    return names


def follow(found: Schedule, now: datetime) -> str | None:
    """Orders the run that follows the oldest one that has succeeded and is not followed yet; returns `queued`, or None."""
    listed = run_list.accepted_since(found.after, found.due_at)
    open_runs = [(run_id, at) for run_id, at in listed if run_id not in found.followed]
    succeeded, unsettled = _judged(open_runs, now)
    chosen = succeeded[0] if succeeded else None
    change: dict[str, Any] = {"problem": "", "holding": ""}
    queued = False
    if chosen is not None:
        if names := circle(found.workflow, found.after):
            raise ConflictingTarget(
                f"{' after '.join(names)}: nothing starts in a circle", "Remove one of their schedules."
            )
        run_id = run_id_of_delivery("after", found.workflow, found.revision, chosen[0])
        change["holding"] = going(found, run_id, now)
        queued = not change["holding"]
        if queued:
            order = StartWorkflow(new_run_id=run_id, workflow_id=found.workflow, trigger="chain")
            send_commands(settings().submit_queue_url, [order])
            change |= {"last_run": run_id, "last_after": chosen[0], "started_at": moment_text(now)}
    pending = unsettled + [one for one in succeeded if not (queued and one == chosen)]
    since = max(found.due_at, min([at for _, at in pending] + [moment_text(now - UNSEEN)]))
    followed = [*found.followed, *([chosen[0]] if queued and chosen else [])]
    known = {run_id: at for run_id, at in listed}
    change |= {"due_at": since, "followed": [one for one in followed if known.get(one, "") >= since]}
    moved = found.model_copy(update=change)
    if moved != found:
        schedules.advance(found, moved)
    return "queued" if queued else None


def _judged(open_runs: list[tuple[str, str]], now: datetime) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """The runs that have succeeded, and those that still may; the oldest first."""
    young = [one for one in open_runs if now - datetime.fromisoformat(one[1]) < MENDED]
    old = [one for one in open_runs if one not in young]
    looked_at = [*old[:LOOKED_AT], *young[-LOOKED_AT:]]
    succeeded = [one for one in looked_at if _status(one[0]) == "succeeded"]
    return succeeded, [one for one in [*old[LOOKED_AT:], *young] if one not in succeeded]


def _status(run_id: str) -> str:
    try:
        return runs.read_run(run_id)["status"]
    except (FlowForgeError, ValueError, TypeError, KeyError):
        return ""


def _found(workflow: str) -> Schedule | None:
    try:
        return schedules.find(workflow)
    except NotFound:
        return None


def waiting(now: datetime) -> Iterator[str]:
    """The workflows that wait for others."""
    return schedules.due(moment_text(now), schedules.RUN)
