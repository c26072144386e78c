"""schedules: when workflows are started; once a minute it orders the runs that are due."""

from datetime import UTC, datetime
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body, Query

from events.api.base import Cursor
from events.api.schedules import (
    MOST_SCHEDULES,
    NewSchedule,
    ScheduleDetails,
    ScheduleLimit,
    Schedules,
    ShownSchedule,
)
from flowforge.aws.message import is_http
from flowforge.jobs import schedules
from flowforge.jobs.due_schedules import start_due
from flowforge.runtime.entry_point import entry_point
from flowforge.runtime.http import Name, resolver, told
from flowforge.state.schedules import remove

app = resolver()


@app.get("/api/schedules")
def list_all(
    limit: Annotated[ScheduleLimit, Query()] = MOST_SCHEDULES, cursor: Annotated[Cursor, Query()] = None
) -> Schedules:
    """A page of the schedules; all of them, where there are no more than an answer holds."""
    return told(schedules.list_schedules(limit, cursor))


@app.get("/api/schedules/<id>")
def get(id: Name) -> ScheduleDetails:
    """One workflow's schedule, with its request and its last run."""
    return told(schedules.show(id))


@app.put("/api/schedules/<id>")
def put(id: Name, body: Annotated[NewSchedule, Body()]) -> ShownSchedule:
    """Sets a workflow's schedule; its request is checked as a submission is."""
    return told(schedules.set_schedule(id, body))


@app.delete("/api/schedules/<id>", status_code=204)
def delete(id: Name) -> Response[str]:
    """Removes a schedule; runs that it has started go on."""
    remove(id)
    return Response(204, content_type="application/json", body="")


@app.post("/api/schedules/<id>/pause")
def pause(id: Name) -> ShownSchedule:
    """Lets a schedule start nothing until it is resumed."""
    return told(schedules.pause(id))


@app.post("/api/schedules/<id>/resume")
def resume(id: Name) -> ShownSchedule:
    """Lets a paused schedule go on with its next due time."""
    return told(schedules.resume(id))


@entry_point
def handler(event: dict, context: Any) -> dict:
    """The function's entry point: HTTP calls, and the clock, whose event tells the time."""
    if is_http(event):
        return app.resolve(event, context)
    return start_due(datetime.fromisoformat(event["time"]) if "time" in event else datetime.now(UTC))
