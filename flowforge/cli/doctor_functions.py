"""What `flowforge doctor` finds where functions are not as template.yaml declares them: settings, queues, rights.

A deployment's functions are those that have its watermark table in their environment. `declared.json` is what the template says
(`infra/aws/declared.py`); what its parameters decide is not compared. Who may not look is told so: it is no fault of the
deployment.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from flowforge.cli.doctor_deployment import DEPLOY
from flowforge.cli.doctor_rights import names_of, rights
from flowforge.cli.finding import Finding

DECLARED = Path(__file__).with_name("declared.json")
TABLE, OURS = "FLOWFORGE_WATERMARKS_TABLE", "FLOWFORGE_"
LOOK = "To have functions looked at, allow lambda:ListFunctions, lambda:ListEventSourceMappings, iam:List* and iam:Get* of roles."


def functions(table: str | None, *, local: bool) -> list[Finding]:
    """Where the functions differ. A local stack runs them from the template itself."""
    from botocore.exceptions import BotoCoreError, ClientError

    if local or table is None:
        return []
    wanted = json.loads(DECLARED.read_text(encoding="utf-8"))
    try:
        all_there = [one for one in _pages("lambda", "list_functions", "Functions") if _is_of(one, table)]
    except (ClientError, BotoCoreError) as error:
        return [Finding("functions", "warning", f"cannot be told: {error}", LOOK)]
    there = {_handler(one): one for one in all_there}
    if not there:
        return [
            Finding("functions", "warning", f"none in this region has {TABLE}={table}", "Name the deployment's region.")
        ]
    found = [
        Finding("functions", "bad", f"{handler} is not there", DEPLOY) for handler in wanted if handler not in there
    ]
    names = names_of(wanted, there)
    for handler, declared in wanted.items():
        if handler in there:
            own = names_of({handler: declared}, {handler: there[handler]})
            found += _of_function(declared, there[handler], names | own)
    return found or [Finding("functions", "good", f"{len(there)} are as the template declares them")]


def _pages(service: str, operation: str, key: str, **asked: str) -> Iterator[Any]:
    from flowforge.aws.clients import client

    for page in client(service).get_paginator(operation).paginate(**asked):
        yield from page[key]


def _is_of(function: Mapping[str, Any], table: str) -> bool:
    return function.get("Environment", {}).get("Variables", {}).get(TABLE) == table


def _handler(function: Mapping[str, Any]) -> str:
    """A function's handler; one that is a container image has it as its command."""
    command = function.get("ImageConfigResponse", {}).get("ImageConfig", {}).get("Command") or [""]
    return function.get("Handler") or command[0]


def _of_function(declared: Mapping[str, Any], there: Mapping[str, Any], names: Mapping[str, str]) -> Iterator[Finding]:
    from botocore.exceptions import BotoCoreError, ClientError

    name = there["FunctionName"]
    yield from _settings(name, declared, there)
    for look in (
        lambda: _queues(name, declared["queues"]),
        lambda: rights(name, declared["rights"], there["Role"], names),
    ):
        try:
            yield from look()
        except (ClientError, BotoCoreError) as error:
            yield Finding("functions", "warning", f"{name}: cannot be told: {error}", LOOK)


def _settings(name: str, declared: Mapping[str, Any], there: Mapping[str, Any]) -> Iterator[Finding]:
    for wanted, key, unit in (("memory_mb", "MemorySize", "MB"), ("timeout_seconds", "Timeout", "s")):
        if declared[wanted] not in (None, there[key]):
            state = "bad" if there[key] < declared[wanted] else "warning"
            text = f"{name} has {key} {there[key]:,} {unit}, the template {declared[wanted]:,}"
            yield Finding("functions", state, text, DEPLOY)
    variables = there.get("Environment", {}).get("Variables", {})
    if missing := [one for one in declared["variables"] if one not in variables]:
        yield Finding("functions", "bad", f"{name} lacks the variable {', '.join(missing)}", DEPLOY)
    if more := sorted(one for one in variables if one.startswith(OURS) and one not in declared["variables"]):
        text = f"{name} has the variable {', '.join(more)}, which the template does not give it"
        yield Finding("functions", "warning", text, DEPLOY)


def _queues(name: str, declared: list[Mapping[str, Any]]) -> Iterator[Finding]:
    there = list(_pages("lambda", "list_event_source_mappings", "EventSourceMappings", FunctionName=name))
    if len(there) < len(declared):
        yield Finding("functions", "bad", f"{name} listens to {len(there)} queues of {len(declared)}", DEPLOY)
        return
    for one, wanted in zip(there, declared, strict=False):
        queue = one["EventSourceArn"].rpartition(":")[2]
        if one["State"] not in ("Enabled", "Enabling", "Updating", "Creating"):
            text = f"{name} does not listen to {queue}: its mapping is {one['State'].lower()}"
            remedy = f"Enable it: aws lambda update-event-source-mapping --enabled --uuid {one['UUID']}"
            yield Finding("functions", "bad", text, remedy)
        if lost := [answer for answer in wanted["answers"] if answer not in one.get("FunctionResponseTypes", [])]:
            text = f"{name} tells {queue} nothing of single messages ({', '.join(lost)}): what failed is lost, or all come again"
            yield Finding("functions", "bad", text, DEPLOY)
        if wanted["batch"] not in (None, one["BatchSize"]):
            text = f"{name} gets {one['BatchSize']} messages of {queue} at once, in the template {wanted['batch']}"
            yield Finding("functions", "bad" if one["BatchSize"] > wanted["batch"] else "warning", text, DEPLOY)
        most = one.get("ScalingConfig", {}).get("MaximumConcurrency")
        if most is None or wanted["at_once"] not in (None, most):
            text = f"{queue} starts {most or 'any number'} of {name} at once, in the template {wanted['at_once'] or 'a number'}"
            yield Finding("functions", "warning", text, DEPLOY)
