"""Schedules: when workflows are started, and what became of it last."""

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import Field

from events.api.base import Answer, Page, unless_empty
from events.api.runs import JobDocument
from events.model import Request

MOST_SCHEDULES = 1_000  # of a page
ScheduleLimit = Annotated[int, Field(ge=0, le=MOST_SCHEDULES), unless_empty(MOST_SCHEDULES)]
ONE_OF = "give one of cron, rate and after"


class NewSchedule(Request):
    """What a user sends to set a workflow's schedule."""

    request: JobDocument = Field(description="the job request that is submitted each time, without batch_id")
    cron: str | None = Field(None, max_length=200, description="five fields of a crontab, in `timezone`")
    rate: str | None = Field(None, max_length=200, description="a number of minutes, hours or days: 15 minutes")
    after: str | None = Field(
        None, max_length=200, description="the workflow after whose success it starts, once for each run"
    )
    timezone: str = Field("UTC", max_length=100, description="IANA name of the time zone of `cron`")
    paused: bool = False

    @classmethod
    def contradictions(cls, given: dict[str, Any]) -> Iterator[str | tuple[str, str]]:
        """One way to say when, and a time zone only where it means something."""
        named = [name for name in ("cron", "rate", "after") if given.get(name)]
        if len(named) != 1:
            yield (named[-1] if named else "cron"), ONE_OF
        elif named != ["cron"] and given.get("timezone"):
            yield "timezone", "is that of cron"


class SkippedTimes(Answer):
    """Due times at which nothing was started, since the last start."""

    times: int
    due: str = Field(description="the last of them")
    at: str = Field(description="when that was seen")
    why: str


class MissedTimes(Answer):
    """Due times that had passed when they were seen; one run was started for all. At most a thousand are counted."""

    times: int
    since: str
    until: str
    at: str


class ShownSchedule(Answer):
    """A schedule. Moments are UTC."""

    workflow_id: str
    cron: str | None = None
    rate: str | None = None
    after: str | None = None
    timezone: str | None = None
    paused: bool | None = None
    set_at: str | None = None
    next_at: str | None = Field(None, description="when it is due next; none while it is paused, or follows another")
    last_due: str | None = Field(None, description="what the last run was due at")
    last_run: str | None = None
    last_after: str | None = Field(None, description="the run that the last one followed")
    holding: str | None = Field(None, description="why a run that is to follow is not started yet")
    started_at: str | None = Field(None, description="when the last run was ordered")
    skipped: SkippedTimes | None = None
    missed: MissedTimes | None = None
    problem: str | None = Field(None, description="why it could not be read, or looked after the last time")


class ScheduleDetails(ShownSchedule):
    """A schedule with its request and what became of its last run."""

    request: dict[str, Any] | None = Field(description="without a password: the login is in the secret store")
    next: list[str] = Field(description="the next times at which it is due")
    last_status: str | None = Field(description="of the last run; none where it has not begun, or is forgotten")


class Schedules(Page):
    """Schedules, by their workflows."""

    schedules: list[ShownSchedule]
