"""What `flowforge doctor` finds where functions are not as template.yaml declares them: settings, queues, rights.

A deployment's functions are those that have its watermark table in their environment. `declared.json` is what the template says
(`infra/aws/declared.py`); what its parameters decide is not compared, and of rights only the actions. Who may not
look is told so: it is no fault of the deployment.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from flowforge.cli.finding import Finding

DECLARED = Path(__file__).with_name("declared.json")
TABLE, OURS = "FLOWFORGE_WATERMARKS_TABLE", "FLOWFORGE_"
DEPLOY = "Deploy template.yaml as it is: sam build && sam deploy, with the parameters of before."
LOOK = "To have functions looked at, allow lambda:ListFunctions, lambda:ListEventSourceMappings, iam:List* and iam:Get* of roles."
AWS_OWN = ":iam::aws:policy/"  # policies that AWS keeps: for logs, traces and networks


def functions(table: str | None, *, local: bool) -> list[Finding]:
    """Where the functions differ. A local stack runs them from the template itself."""
    from botocore.exceptions import BotoCoreError, ClientError

    if local or table is None:
        return []
    wanted = json.loads(DECLARED.read_text(encoding="utf-8"))
    try:
        there = {one["Handler"]: one for one in _pages("lambda", "list_functions", "Functions") if _is_of(one, table)}
    except (ClientError, BotoCoreError) as error:
        return [Finding("functions", "warning", f"cannot be told: {error}", LOOK)]
    if not there:
        return [
            Finding("functions", "warning", f"none in this region has {TABLE}={table}", "Name the deployment's region.")
        ]
    found = [
        Finding("functions", "bad", f"{handler} is not there", DEPLOY) for handler in wanted if handler not in there
    ]
    for handler, declared in wanted.items():
        if handler in there:
            found += _of_function(declared, there[handler])
    return found or [Finding("functions", "good", f"{len(there)} are as the template declares them")]


def _pages(service: str, operation: str, key: str, **asked: str) -> Iterator[Any]:
    from flowforge.aws.clients import client

    for page in client(service).get_paginator(operation).paginate(**asked):
        yield from page[key]


def _is_of(function: Mapping[str, Any], table: str) -> bool:
    return function.get("Environment", {}).get("Variables", {}).get(TABLE) == table


def _of_function(declared: Mapping[str, Any], there: Mapping[str, Any]) -> Iterator[Finding]:
    from botocore.exceptions import BotoCoreError, ClientError

    name = there["FunctionName"]
    yield from _settings(name, declared, there)
    for look in (lambda: _queues(name, declared["queues"]), lambda: _rights(name, declared["actions"], there["Role"])):
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


def _rights(name: str, declared: Iterable[str], role_arn: str) -> Iterator[Finding]:
    allowed = {action for document in _policies(role_arn.rpartition("/")[2]) for action in _allowed(document)}
    if missing := [action for action in declared if action not in allowed and not _covered(action, allowed)]:
        yield Finding("functions", "bad", f"{name} may not {', '.join(missing)}", DEPLOY)
    if wide := sorted(action for action in allowed if action == "*" or action.endswith(":*")):
        text = f"{name} may do more than it needs: {', '.join(wide)}"
        yield Finding("functions", "warning", text, DEPLOY)


def _covered(action: str, allowed: Iterable[str]) -> bool:
    return any(one.endswith("*") and action.startswith(one[:-1]) for one in allowed)


def _policies(role: str) -> Iterator[Mapping[str, Any]]:
    from flowforge.aws.clients import client

    iam = client("iam")
    for policy in _pages("iam", "list_role_policies", "PolicyNames", RoleName=role):
        yield _document(iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"])
    for attached in _pages("iam", "list_attached_role_policies", "AttachedPolicies", RoleName=role):
        arn = attached["PolicyArn"]
        if AWS_OWN not in arn:
            version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
            yield _document(iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"])


def _document(told: Any) -> Mapping[str, Any]:
    return json.loads(unquote(told)) if isinstance(told, str) else told


def _allowed(document: Mapping[str, Any]) -> Iterator[str]:
    statements = document["Statement"]
    for one in [statements] if isinstance(statements, dict) else statements:
        if one["Effect"] == "Allow":
            actions = one.get("Action", [])
            yield from [actions] if isinstance(actions, str) else actions
