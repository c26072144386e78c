"""What is to be done so that a deployment says what a folder of pipelines says: the difference, and the steps in their order.

The difference is read from the deployment each time and nothing is noted beside it. So a second `apply` has nothing to do, and
one after a first that was cut off does the rest. Passwords cannot be compared: they go with a connection that is new or changes.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from flowforge.cli.differing import Field, fields_of, lines_of
from flowforge.cli.failure import Failure
from flowforge.cli.pipeline_checks import check_names, check_removed
from flowforge.cli.pipeline_difference import Action, Change, Difference, Kind
from flowforge.cli.pipelines import ConnectionFile, Pipelines, ScheduleFile

if TYPE_CHECKING:
    from flowforge.cli.api import Api

WHEN = ("cron", "rate", "after", "timezone", "paused")
SCHEDULES_AT_ONCE = 1_000


def difference(wanted: Pipelines, api: "Api", bucket: str | None, prune: bool, passwords: bool) -> Difference:
    """What differs; asks and changes nothing. `bucket` is the lake's, where models are managed."""
    found = Difference()
    saved = {one["id"]: one for one in api.all_pages("connections", "connections")["connections"]}
    scheduled = _schedules(api)
    connections = _connections(found, wanted, saved, api, prune, passwords)
    models = _models(found, wanted, bucket, prune) if "models" in wanted.managed and bucket else []
    schedules = _schedule_changes(found, wanted, scheduled, api, prune)
    check_names(found, wanted, saved, scheduled, api, prune)
    check_removed(found, connections, wanted, scheduled, api, prune)
    # A connection is there before its schedule and goes after it; a schedule that goes may free the place of a chain.
    gone = [change for change in schedules if change.action == "remove"]
    found.changes = [
        *(one for one in connections if one.action != "remove"),
        *models,
        *gone,
        *(one for one in schedules if one.action != "remove"),
        *(one for one in connections if one.action == "remove"),
    ]
    return found


def _connections(
    found: Difference, wanted: Pipelines, saved: dict[str, Any], api: "Api", prune: bool, passwords: bool
) -> list[Change]:
    made: list[Change] = []
    for name, file in wanted.connections.items():
        before = saved.get(name)
        fields = list(fields_of(_subset(before, file.fields), file.fields))
        if before is not None and passwords:
            fields.append(Field("password", None, "sent again"))
        if before is None or fields:
            action: Action = "create" if before is None else "change"
            made.append(Change("connection", name, action, fields, _saves(api, name, file)))
        else:
            found.same += 1
    return made + _removed(
        found, "connection", wanted, "connections", saved, prune, lambda name: api.delete("connections", name)
    )


def _saves(api: "Api", name: str, file: ConnectionFile) -> Callable[[], object]:
    return lambda: api.post("connections", body={"id": name, **_given(file.fields), "password": file.password()})


def _models(found: Difference, wanted: Pipelines, bucket: str | None, prune: bool) -> list[Change]:
    from flowforge.cli.lake import lake_failures
    from flowforge.gold.graph import check_files
    from flowforge.gold.model_files import model_texts, remove_models, write_models

    def key(table: str) -> str:
        return f"models/{table}.sql"

    place = bucket or ""
    made: list[Change] = []
    with lake_failures():
        kept = model_texts(place)
        problems = check_files({key(table): text for table, text in wanted.models.items()}, place, ahead=True)
    for problem in problems:
        where, _, told = problem.partition(": ")
        found.mistakes.append({"field": where, "problem": told})
    for table, text in wanted.models.items():
        if table in kept and kept[table] == text:
            found.same += 1
            continue
        lines = list(lines_of(kept.get(table) or "", text)) if table in kept else []
        put = _bound(write_models, {key(table): text}, place)
        made.append(Change("model", table, "change" if table in kept else "create", lines, put))
    return made + _removed(
        found, "model", wanted, "models", kept, prune, lambda table: remove_models([key(table)], place)
    )


def _schedules(api: "Api") -> dict[str, dict[str, Any]]:
    listed = api.all_pages("schedules", "schedules", limit=SCHEDULES_AT_ONCE)["schedules"]
    return {one["workflow_id"]: one for one in listed}


def _schedule_changes(
    found: Difference, wanted: Pipelines, scheduled: dict[str, Any], api: "Api", prune: bool
) -> list[Change]:
    made: list[Change] = []
    for workflow in _in_order(wanted.schedules):
        file = wanted.schedules[workflow]
        after = _when(file.when)
        if workflow not in scheduled or scheduled[workflow].get("problem"):
            action: Action = "change" if workflow in scheduled else "create"
            made.append(Change("schedule", workflow, action, [], _sets(api, workflow, file)))
            continue
        before = api.get("schedules", workflow)
        fields = [*fields_of(_when(before), after), *fields_of(before.get("request"), file.request, "request")]
        if not fields:
            found.same += 1
        elif [one.name for one in fields] == ["paused"]:  # the rest of it goes on as it was
            act = "pause" if file.when["paused"] else "resume"
            made.append(
                Change("schedule", workflow, "change", fields, _bound(api.post, "schedules", workflow, act, body={}))
            )
        else:
            made.append(Change("schedule", workflow, "change", fields, _sets(api, workflow, file)))
    return made + _removed(
        found, "schedule", wanted, "schedules", scheduled, prune, lambda name: api.delete("schedules", name)
    )


def _sets(api: "Api", workflow: str, file: ScheduleFile) -> Callable[[], object]:
    return _bound(api.put, "schedules", workflow, body={"request": file.request, **_when(file.when)})


def _in_order(schedules: dict[str, ScheduleFile]) -> Iterator[str]:
    """Workflows after those that they follow; those in a circle, which the API refuses, come last."""
    left = dict(schedules)
    while left:
        ready = [name for name, file in left.items() if file.when["after"] not in left] or list(left)
        for name in ready:
            del left[name]
            yield name


def _removed(
    found: Difference, kind: Kind, wanted: Pipelines, folder: str, there: Any, prune: bool, do: Callable[[str], object]
) -> list[Change]:
    """What no file names: removed if that is wanted, else told. Of a kind without a folder nothing is looked at."""
    if folder not in wanted.managed:
        return []
    others = sorted(set(there) - set(getattr(wanted, folder)))
    if not prune:
        found.left.extend((kind, name) for name in others)
        return []
    return [Change(kind, name, "remove", [], _bound(do, name)) for name in others]


def _bound(do: Callable[..., object], *given: Any, **named: Any) -> Callable[[], object]:
    return lambda: do(*given, **named)


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _subset(there: dict[str, Any] | None, fields: dict[str, Any]) -> dict[str, Any]:
    return {name: (there or {}).get(name) for name in fields}


def _when(told: dict[str, Any]) -> dict[str, Any]:
    """When a schedule starts, as one tells the API: what says nothing is left out."""
    when = {name: told.get(name) for name in WHEN if told.get(name)} | {"paused": bool(told.get("paused"))}
    if "cron" not in when:
        when.pop("timezone", None)
    return when


def apply_changes(found: Difference, tell: Callable[[str], object]) -> None:
    """Does what differs, one after the other. Failure says what was done before, and that the rest is left."""
    for place, change in enumerate(found.changes):
        try:
            change.do()
        except Failure as error:
            told = f"{change.kind} {change.name} was not applied: {error.message}"
            done = f"{place} of {len(found.changes)} changes are done, apply again does the rest"
            remedy = f"{error.remedy or 'mend the cause'}; {done}"
            raise Failure(
                told,
                remedy,
                error=error.error,
                exit_code=error.exit_code,
                mistakes=error.mistakes,
                transient=error.transient,
            ) from error
        tell(f"{change.kind} {change.name}: {change.action}d")
