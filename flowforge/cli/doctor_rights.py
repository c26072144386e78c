"""What `flowforge doctor` finds where a function's role does not allow what template.yaml declares, or allows more.

A declared right is an action on a resource, in which {Watermarks} and the like stand for what the deployment calls them: its
functions tell that in their environment. A resource that none of them names is not compared, its actions are. A right must
be allowed by the role's permissions boundary too, where it has one. Conditions are not evaluated: what hangs on one is told.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from flowforge.cli.doctor_deployment import DEPLOY
from flowforge.cli.finding import Finding

AWS_OWN = ":iam::aws:policy/"  # policies that AWS keeps: for logs, traces and networks
OWN_CONDITIONS = {"s3:prefix"}  # the template's: lists within the prefix that a right is about
COMPARE = "Conditions are not evaluated: compare the role's statements with template.yaml, or deploy it anew"
Statement = Mapping[str, Any]


def names_of(declared: Mapping[str, Any], there: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """What the template's resources are called in the deployment, as far as its functions (by handler) are told."""
    found: dict[str, str] = {}
    for handler, function in there.items():
        told = function.get("Environment", {}).get("Variables", {})
        for variable, resource in declared.get(handler, {}).get("names", {}).items():
            if told.get(variable):
                found[resource] = told[variable].rstrip("/").rpartition("/")[2]  # of a queue its variable has the URL
        _, partition, _, region, account = function["FunctionArn"].split(":")[:5]
        found |= {"partition": partition, "region": region, "account": account}
    return found


def rights(
    name: str, declared: Mapping[str, Iterable[str]], role_arn: str, names: Mapping[str, str]
) -> Iterator[Finding]:
    """Where a role lacks one of these rights (resource: actions), or has more than a function ever needs."""
    role = role_arn.rpartition("/")[2]
    statements = [one for document in _policies(role) for one in _listed(document["Statement"])]
    allowed = [one for one in statements if one["Effect"] == "Allow"]
    denied = [one for one in statements if one["Effect"] == "Deny" and "Condition" not in one]
    bounds, bound_by = _boundary(role)
    yield from _conditions(name, statements, declared, names)
    nowhere: set[str] = set()
    for resource, actions in declared.items():
        nowhere |= (lost := {one for one in actions if not any(_is_about(own, "Action", one) for own in allowed)})
        if where := _filled(resource, names):
            held = [one for one in actions if _is_covered(allowed, one, where) and not _is_covered(denied, one, where)]
            if missing := [one for one in actions if one not in (*held, *lost)]:
                yield Finding("functions", "bad", f"{name} may not {', '.join(missing)} on {where}", DEPLOY)
            if bound_by and (beyond := [one for one in held if not _is_within(bounds, one, where)]):
                text = f"{name} may not {', '.join(beyond)} on {where}: the permissions boundary of its role does not allow it"
                yield Finding("functions", "bad", text, f"Have it allowed by {bound_by}")
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


def _conditions(
    name: str, statements: Iterable[Statement], declared: Mapping[str, Iterable[str]], names: Mapping[str, str]
) -> Iterator[Finding]:
    """The declared rights that hang on conditions which the template does not set: allowed by nothing else, or denied."""
    free, bound = list[Statement](), list[Statement]()
    for one in statements:
        (bound if _keys(one) - OWN_CONDITIONS else free).append(one)
    free = [one for one in free if one["Effect"] == "Allow"]
    for resource, actions in declared.items():
        if where := _filled(resource, names):
            for effect, verb in (("Allow", "may only"), ("Deny", "may not")):
                about = [one for one in bound if one["Effect"] == effect]
                hang = [one for one in actions if _is_covered(about, one, where)]
                if effect == "Allow":
                    hang = [one for one in hang if not _is_covered(free, one, where)]
                if hang:
                    keys = sorted(
                        set().union(*(_keys(one) for one in about if any(_is_covered([one], a, where) for a in hang)))
                    )
                    text = f"{name} {verb} {', '.join(hang)} on {where} where a condition on {', '.join(keys)} fits"
                    yield Finding("functions", "warning", text, COMPARE)


def _keys(statement: Statement) -> set[str]:
    return {key for keys in statement.get("Condition", {}).values() for key in keys}


def _boundary(role: str) -> tuple[list[Statement], str]:
    """The statements of a role's permissions boundary, and its name; none where the role has none."""
    from flowforge.aws.clients import client

    arn = client("iam").get_role(RoleName=role)["Role"].get("PermissionsBoundary", {}).get("PermissionsBoundaryArn", "")
    return (_listed(_managed(arn)["Statement"]), arn) if arn else ([], "")


def _is_within(bounds: Iterable[Statement], action: str, resource: str) -> bool:
    """Whether a boundary allows it; what it says under conditions is taken for allowed, and not for denied."""
    bounds = list(bounds)
    denied = [one for one in bounds if one["Effect"] == "Deny" and "Condition" not in one]
    allowed = [one for one in bounds if one["Effect"] == "Allow"]
    return _is_covered(allowed, action, resource) and not _is_covered(denied, action, resource)


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
                yield _managed(arn)


def _managed(arn: str) -> Mapping[str, Any]:
    from flowforge.aws.clients import client

    iam = client("iam")
    version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    return _document(iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"])


def _document(told: Any) -> Mapping[str, Any]:
    return json.loads(unquote(told)) if isinstance(told, str) else told
