"""What is refused of a difference before anything is done: names of what is not there or would go, missing passwords."""

from typing import TYPE_CHECKING, Any

from flowforge.cli.pipeline_difference import Change, Difference
from flowforge.cli.pipelines import Mistake, Pipelines

if TYPE_CHECKING:
    from flowforge.cli.api import Api


def check_names(
    found: Difference, wanted: Pipelines, saved: dict[str, Any], scheduled: dict[str, Any], api: "Api", prune: bool
) -> None:
    """Refuses names of what is not there, or would not be there any more, and chains without a beginning."""
    gone = prune and "connections" in wanted.managed
    connections = set(wanted.connections) | (set() if gone else set(saved))
    stays = {} if prune and "schedules" in wanted.managed else scheduled
    follows = {name: one.get("after") for name, one in stays.items()}
    follows |= {name: file.when["after"] for name, file in wanted.schedules.items()}
    for name, file in wanted.schedules.items():
        if file.connection and file.connection not in connections:
            problem = f"there is no connection {file.connection!r}: add connections/{file.connection}.json"
            found.mistakes.append({"field": f"{file.file}: connection", "problem": problem})
        after = file.when["after"]
        if after and after not in follows and not api.get("runs", limit=1, workflow_id=after)["runs"]:
            problem = f"no workflow {after!r} has run or has a schedule: add its file below schedules/"
            found.mistakes.append({"field": f"{file.file}: after", "problem": problem})
        if after and _meets_itself(name, follows):
            problem = "these workflows would start each other for ever: give one of them cron or rate"
            found.mistakes.append({"field": f"{file.file}: after", "problem": problem})


def check_removed(
    found: Difference, connections: list[Change], wanted: Pipelines, scheduled: dict[str, Any], api: "Api", prune: bool
) -> None:
    """Refuses to remove a connection that a schedule reads from which stays as it is."""
    gone = {change.name for change in connections if change.action == "remove"}
    if not gone or (prune and "schedules" in wanted.managed):
        return
    for workflow in sorted(set(scheduled) - set(wanted.schedules)):
        source = (api.get("schedules", workflow).get("request") or {}).get("source_config") or {}
        if (used := (source.get("connection") or {}).get("connectionId")) in gone:
            problem = f"the schedule of {workflow!r} reads from it: keep its file, or remove that schedule first"
            found.mistakes.append({"field": f"connections/{used}.json", "problem": problem})


def needed_passwords(found: Difference, wanted: Pipelines) -> list[Mistake]:
    """The passwords that are to be sent and cannot be read."""
    mistakes: list[Mistake] = []
    for change in found.changes:
        if change.kind == "connection" and change.action != "remove":
            file = wanted.connections[change.name]
            try:
                file.password()
            except ValueError as error:
                mistakes.append({"field": f"{file.file}: password", "problem": str(error)})
    return mistakes


def _meets_itself(name: str, follows: dict[str, Any]) -> bool:
    place, steps = follows.get(name), 0
    while place and place != name and steps <= len(follows):
        place, steps = follows.get(place), steps + 1
    return place == name
