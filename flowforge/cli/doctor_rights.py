"""What `flowforge doctor` finds where a function's role does not allow what template.yaml declares, or allows more.

A declared right is an action on a resource, in which {Watermarks} and the like stand for what the deployment calls them: its
functions tell that in their environment. A resource that none of them names is not compared, its actions are. Conditions of
statements are not compared.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from flowforge.cli.doctor_deployment import DEPLOY
from flowforge.cli.finding import Finding

AWS_OWN = ":iam::aws:policy/"  # policies that AWS keeps: for logs, traces and networks
Statement = Mapping[str, Any]


def names_of(declared: Mapping[str, Any], there: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """What the template's resources are called in the deployment, as far as its functions (by handler) are told."""
    found: dict[str, str] = {}
    for handler, function in there.items():
        told = function.get("Environment", {}).get("Variables", {})
        for variable, resource in declared.get(handler, {}).get("names", {}).items():
            if told.get(variable):
                found[resource] = told[variable].rpartition("/")[2]  # of a queue its variable has the URL
        _, partition, _, region, account = function["FunctionArn"].split(":")[:5]
        found |= {"partition": partition, "region": region, "account": account}
    return found


def rights(
    name: str, declared: Mapping[str, Iterable[str]], role_arn: str, names: Mapping[str, str]
) -> Iterator[Finding]:
    """Where a role lacks one of these rights (resource: actions), or has more than a function ever needs."""
    statements = [one for document in _policies(role_arn.rpartition("/")[2]) for one in _listed(document["Statement"])]
    allowed = [one for one in statements if one["Effect"] == "Allow"]
    denied = [one for one in statements if one["Effect"] == "Deny" and "Condition" not in one]
    nowhere: set[str] = set()
    for resource, actions in declared.items():
        nowhere |= (lost := {one for one in actions if not any(_is_about(own, "Action", one) for own in allowed)})
        if where := _filled(resource, names):
            held = [one for one in actions if _is_covered(allowed, one, where) and not _is_covered(denied, one, where)]
            if missing := [one for one in actions if one not in (*held, *lost)]:
                yield Finding("functions", "bad", f"{name} may not {', '.join(missing)} on {where}", DEPLOY)
    if nowhere:
        yield Finding("functions", "bad", f"{name} may not {', '.join(sorted(nowhere))}", DEPLOY)
    if wide := sorted(
        {one for own in allowed for one in _listed(own.get("Action", [])) if re.search(r"^\*$|:\*$", one)}
    ):
        yield Finding("functions", "warning", f"{name} may do more than it needs: {', '.join(wide)}", DEPLOY)
    if anywhere := sorted(
        {one for own in allowed if "*" in _listed(own.get("Resource", [])) for one in _listed(own["Action"])}
    ):
        text = f"{name} may do this on every resource of the account: {', '.join(anywhere)}"
        yield Finding("functions", "warning", text, DEPLOY)


def _filled(resource: str, names: Mapping[str, str]) -> str | None:
    wanted = set(re.findall(r"\{(\w+)\}", resource))
    return resource.format_map(names) if wanted <= names.keys() else None


def _is_covered(statements: Iterable[Statement], action: str, resource: str) -> bool:
    return any(_is_about(one, "Action", action) and _is_about(one, "Resource", resource) for one in statements)


def _is_about(statement: Statement, element: str, value: str) -> bool:
    """Whether a statement is about an action or a resource; a declared resource with `*` is covered by what covers all of it."""
    if f"Not{element}" in statement:
        return not any(_matches(one, value) for one in _listed(statement[f"Not{element}"]))
    return any(_matches(one, value) for one in _listed(statement.get(element, [])))


def _matches(pattern: str, value: str) -> bool:
    return bool(re.fullmatch(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), value, re.DOTALL))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _policies(role: str) -> Iterator[Mapping[str, Any]]:
    from flowforge.aws.clients import client

    iam = client("iam")
    for page in iam.get_paginator("list_role_policies").paginate(RoleName=role):
        for policy in page["PolicyNames"]:
            yield _document(iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"])
    for page in iam.get_paginator("list_attached_role_policies").paginate(RoleName=role):
        for arn in (one["PolicyArn"] for one in page["AttachedPolicies"]):
            if AWS_OWN not in arn:
                version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
                yield _document(iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"])


def _document(told: Any) -> Mapping[str, Any]:
    return json.loads(unquote(told)) if isinstance(told, str) else told
