"""What people do with schedules: set, show, pause, resume, remove.

Guarantees: the request of a schedule is planned when it is set, as a submission plans it, so it is refused for the same mistakes
then and not in the night. What is kept of it holds no password. A schedule that is set again, or resumed, waits for its next due
time; what it would have done meanwhile it does not make up for.
"""

import uuid
from datetime import UTC, datetime
from typing import Any

from events.api.schedules import NewSchedule
from events.request import InvalidRequest
from flowforge.domain.due_times import Cron, Rate, read_cron, read_rate
from flowforge.domain.errors import FlowForgeError
from flowforge.domain.run_ids import new_run_id
from flowforge.jobs.chains import check_chain
from flowforge.jobs.going import exact_text, moment_text
from flowforge.jobs.keeping import kept_request
from flowforge.jobs.submission import plan
from flowforge.runtime.pages import cursor_of, fitting, place_of
from flowforge.state import runs, schedules
from flowforge.state.schedules import Schedule

LABELLED = "names the objects of one run: leave it out, each run of a schedule gets one of its own"
SHOWN_NEXT = 5


def set_schedule(workflow: str, wanted: NewSchedule, now: datetime | None = None) -> dict[str, Any]:
    """Sets a workflow's schedule in place of the one before. Raises InvalidRequest with every mistake, or what stops a run from
    being planned."""
    now = now or datetime.now(UTC)
    mistakes: list[dict[str, str]] = []
    rule = None if wanted.after else _rule(wanted, mistakes)
    document = dict(wanted.request)
    try:
        planned = plan(document, new_run_id(), workflow)
        if planned.request.batch_id is not None:
            mistakes.append({"field": "batch_id", "problem": LABELLED})
    except InvalidRequest as error:
        raise InvalidRequest(error.mistakes + mistakes) from None
    if mistakes:
        raise InvalidRequest(mistakes)
    if wanted.after:
        check_chain(workflow, wanted.after)
    schedule = Schedule(
        workflow=workflow,
        revision=uuid.uuid4().hex,
        cron=wanted.cron or "",
        rate=wanted.rate or "",
        after=wanted.after or "",
        timezone=wanted.timezone,
        paused=wanted.paused,
        set_at=moment_text(now),
        due_at=moment_text(rule.after(now)) if rule else exact_text(now),
    )
    schedules.keep(schedule, kept_request(document, planned.request))
    return shown(schedule)


def show(workflow: str) -> dict[str, Any]:
    """A schedule with its request, its next due times, and what became of its last run. Raises NotFound."""
    schedule = schedules.find(workflow)
    told = shown(schedule) | {"request": schedules.request_of(workflow)}
    told["next"] = [] if schedule.paused or schedule.after else _next_times(schedule)
    try:
        told["last_status"] = runs.read_run(schedule.last_run)["status"] if schedule.last_run else None
    except FlowForgeError:  # not begun yet, or too old
        told["last_status"] = None
    return told


def list_schedules(limit: int, cursor: str | None = None) -> dict[str, Any]:
    """At most `limit` schedules in the order of their workflows, as `schedules`; `next` is there where others follow. Raises
    InvalidRequest for a cursor that is none."""
    place = place_of(cursor, 1)
    found = schedules.stored(limit + 1, place[0] if place else None)
    told = fitting(map(_listed, found[:limit]))
    more = {"next": cursor_of(told[-1]["workflow_id"])} if told and len(told) < len(found) else {}
    return {"schedules": told, **more}


def pause(workflow: str) -> dict[str, Any]:
    """Lets a schedule start nothing until it is resumed. Raises NotFound."""
    return _changed(workflow, lambda found: found.model_copy(update={"paused": True}))


def resume(workflow: str, now: datetime | None = None) -> dict[str, Any]:
    """Lets a paused schedule go on with its next due time; one that is not paused stays as it is. Raises NotFound."""
    moment = now or datetime.now(UTC)

    def resumed(found: Schedule) -> Schedule:
        if not found.paused:
            return found
        due = exact_text(moment) if found.after else moment_text(rule_of(found).after(moment))
        return found.model_copy(update={"paused": False, "due_at": due, "followed": []})

    return _changed(workflow, resumed)


def rule_of(schedule: Schedule) -> Cron | Rate:
    """When a schedule is due that waits for a time."""
    return read_rate(schedule.rate) if schedule.rate else read_cron(schedule.cron, schedule.timezone)


def shown(schedule: Schedule) -> dict[str, Any]:
    """What may be shown of a schedule in a list."""
    told = schedule.model_dump(exclude={"workflow", "version", "revision", "moves", "due_at", "followed"})
    told = {name: value if value != "" else None for name, value in told.items()}
    told["timezone"] = schedule.timezone if schedule.cron else None
    return {
        "workflow_id": schedule.workflow,
        **told,
        "next_at": None if schedule.paused or schedule.after else schedule.due_at,
    }


def _rule(wanted: NewSchedule, mistakes: list[dict[str, str]]) -> Cron | Rate | None:
    try:
        return read_rate(wanted.rate) if wanted.rate else read_cron(wanted.cron or "", wanted.timezone)
    except ValueError as error:
        zone = "time zone" in str(error)
        field = "rate" if wanted.rate else "timezone" if zone else "cron"
        mistakes.append({"field": field, "problem": str(error)})
        return None


def _next_times(schedule: Schedule) -> list[str]:
    times, rule = [datetime.fromisoformat(schedule.due_at)], rule_of(schedule)
    while len(times) < SHOWN_NEXT:
        times.append(rule.after(times[-1]))
    return [moment_text(time) for time in times]


def _changed(workflow: str, change: Any) -> dict[str, Any]:
    """A schedule as `change` leaves it, also where the clock moves it on meanwhile."""
    while True:
        found = schedules.find(workflow)
        wanted = change(found)
        if wanted == found or schedules.advance(found, wanted):
            return shown(wanted)


def _listed(item: dict[str, Any]) -> dict[str, Any]:
    """A schedule for a list; one that cannot be read says so and leaves the others alone."""
    try:
        return shown(schedules.schedule_of(item))
    except FlowForgeError as error:
        return {"workflow_id": item["sk"], "problem": error.with_remedy}
