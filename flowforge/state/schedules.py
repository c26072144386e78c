"""Schedules, one for each workflow that has one: when it is started, by which request, and what became of it last.

A schedule is an item of the register, which is found by an index once it is due; its request, which holds no secret, is an item
of its own. Both are written in one transaction.

Guarantees: what is noted of a due time is noted once (`advance` compares what was read); an invocation that
was overtaken by another, or by a person, writes nothing.
"""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from flowforge.aws import items
from flowforge.aws.compact import pack, unpack
from flowforge.domain.errors import NotFound, StoreUnavailable, UnreadableRecord, unreadable
from flowforge.runtime.settings import settings

REGISTER, REQUEST = "SCHEDULES", "REQUEST"
VERSION = 1  # of the items; a reader takes those up to its own
TIME, RUN = "time", "run"  # what a schedule waits for, in the index
INDEX = "due-schedules"


class Skipped(BaseModel):
    """Due times at which nothing was started, since the last start: how many, the last one, when that was seen, and why."""

    times: int
    due: str
    at: str
    why: str


class Missed(BaseModel):
    """Due times that had passed when the last one of them was seen: how many (at most a thousand are counted), and from when on.
    One run was started for all."""

    times: int
    since: str
    until: str
    at: str


class Schedule(BaseModel):
    """When a workflow is started: `cron` in `timezone`, `rate`, or `after` another workflow. Moments are UTC (ISO 8601).

    `revision` is drawn each time that a person sets it, `moves` counts what was noted since. `due_at` is what it waits for,
    also while it is paused; of one that follows another, from when on that one's runs are looked at, and `followed` are those
    that are done.
    """

    model_config = ConfigDict(frozen=True)

    version: int = VERSION
    workflow: str
    revision: str
    moves: int = 0
    cron: str = ""
    rate: str = ""
    after: str = ""
    timezone: str = "UTC"
    paused: bool = False
    set_at: str
    due_at: str
    last_due: str = ""
    last_run: str = ""
    last_after: str = Field(default="", description="the run that the last one followed")
    started_at: str = ""
    holding: str = Field(default="", description="why a run that is to follow is not started yet")
    followed: list[str] = Field(default_factory=list)
    skipped: Skipped | None = None
    missed: Missed | None = None
    problem: str = Field(default="", description="why it could not be looked after, the last time")

    def item(self) -> items.Item:
        """The stored form; what does not wait is not in the index."""
        plain = self.model_dump(exclude={"workflow", "skipped", "missed", "followed"})
        told = {name: pack(told.model_dump()) for name in ("skipped", "missed") if (told := getattr(self, name))}
        told |= {"followed": pack(self.followed)} if self.followed else {}
        waits = {} if self.paused else {"waits": RUN if self.after else TIME}
        return {**_key(self.workflow), **plain, **told, **waits}


def keep(schedule: Schedule, document: dict[str, Any]) -> None:
    """Writes a schedule and its request in place of those before. Raises TooLarge, and StoreUnavailable."""
    request = {**_request_key(schedule.workflow), "version": VERSION, "document": pack(document)}
    table = settings().schedules_table
    if not items.transact([items.put_action(table, one) for one in (request, schedule.item())]):
        raise StoreUnavailable(f"schedule {schedule.workflow!r} is being set by somebody else", "Set it again.")


def advance(before: Schedule, after: Schedule) -> bool:
    """Writes what has become of a schedule; False where another invocation or a person was faster."""
    values = {":moves": before.moves, ":revision": before.revision}
    moved = after.model_copy(update={"moves": before.moves + 1})
    return items.put(settings().schedules_table, moved.item(), "moves = :moves AND revision = :revision", values)


def find(workflow: str) -> Schedule:
    """A workflow's schedule. Raises NotFound, UnreadableRecord."""
    found = items.get(settings().schedules_table, _key(workflow))
    if found is None:
        remedy = "flowforge schedules list shows them; one is set by: flowforge schedules set FILE --rate TEXT."
        raise NotFound(f"workflow {workflow!r} has no schedule", remedy)
    return schedule_of(found)


def request_of(workflow: str) -> dict[str, Any] | None:
    """The request that a schedule starts; None where there is no schedule. Raises UnreadableRecord."""
    found = items.get(settings().schedules_table, _request_key(workflow))
    if found is None:
        return None
    try:
        return unpack(_known(found)["document"])
    except (ValueError, TypeError, KeyError) as error:
        raise _unreadable(f"the request of schedule {workflow!r}", error) from error


def remove(workflow: str) -> None:
    """Removes a schedule with its request, both at once, so that one set meanwhile keeps its own; runs that it has started go on.
    Raises NotFound, StoreUnavailable."""
    find(workflow)
    table = settings().schedules_table
    if not items.transact([items.delete_action(table, key(workflow)) for key in (_key, _request_key)]):
        raise StoreUnavailable(
            f"schedule {workflow!r} is being set by somebody else", "Look at it, and remove it again."
        )


def exists(workflow: str) -> bool:
    """Whether a workflow has a schedule, be it one that cannot be read."""
    return items.get(settings().schedules_table, _key(workflow)) is not None


def lost_request(workflow: str) -> UnreadableRecord:
    """The error for a schedule whose request is not there."""
    return _unreadable(f"the request of schedule {workflow!r}", KeyError(REQUEST))


def stored(most: int, behind: str | None = None) -> list[items.Item]:
    """At most so many schedules as they are stored, in the order of their workflows, behind one of them."""
    options: dict[str, Any] = {"Limit": most}
    if behind:
        options["ExclusiveStartKey"] = items.encode(_key(behind))
    return list(items.query(settings().schedules_table, "pk = :pk", {":pk": REGISTER}, **options))


def due(now: str, waits: str = TIME) -> Iterator[str]:
    """The workflows whose schedules are due by a moment, the longest first. The index may be behind by moments."""
    return (key["sk"] for key in due_keys(now, waits))


def due_keys(now: str, waits: str) -> Iterator[items.Item]:
    """The keys of what has waited for something until a moment; whatever is in the table may wait."""
    condition, values = "waits = :waits AND due_at <= :now", {":waits": waits, ":now": now}
    return items.query(settings().schedules_table, condition, values, IndexName=INDEX)


def schedule_of(item: items.Item) -> Schedule:
    """A schedule from its stored form. Raises UnreadableRecord."""
    try:
        told = {name: unpack(item[name]) for name in ("skipped", "missed", "followed") if item.get(name)}
        return Schedule.model_validate({**_known(item), "workflow": item["sk"], **told})
    except (ValueError, TypeError, KeyError) as error:
        raise _unreadable(f"schedule {item.get('sk')!r}", error) from error


def _known(item: items.Item) -> items.Item:
    if item["version"] > VERSION:
        raise ValueError(f"it is of version {item['version']}")
    return item


def _unreadable(what: str, error: Exception) -> UnreadableRecord:
    return unreadable(
        what, error, "Set the schedule again, which writes it anew; or deploy the newer version that wrote it."
    )


def _key(workflow: str) -> items.Item:
    return {"pk": REGISTER, "sk": workflow}


def _request_key(workflow: str) -> items.Item:
    return {"pk": f"{REQUEST}#{workflow}", "sk": REQUEST}
