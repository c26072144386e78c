"""`python -m tests.helpers.permissions FOLDER [--strict]`: what the template allows each function, and what functions have done.

FOLDER is where the embedded AWS has recorded the rights that calls need (`infra/local/needed_rights.py`). Fails for a call that
its function's role does not allow. A permission that no call has used, and of which `permissions_kept` does not say why it stays,
is named, and fails it with --strict: for where all tests have been recorded, since a part of them uses a part.
Policies of AWS's own, which SAM adds for logs, traces, networks and queues as event sources, are not looked at.
"""

import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from infra.local.intrinsics import Intrinsics
from infra.local.needed_rights import Right
from infra.local.template import ACCOUNT, REGION, Template, expand
from tests.helpers.permissions_kept import KEPT
from tests.helpers.servers import ROOT

STACK = "flowforge"


class Statement(NamedTuple):
    """One statement of a role. `conditions` is (operator, condition key, patterns); all of them must hold."""

    effect: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: tuple[tuple[str, str, tuple[str, ...]], ...]

    def applies(self, right: Right) -> bool:
        return (
            any(like(pattern, right.action) for pattern in self.actions)
            and any(like(pattern, right.resource) for pattern in self.resources)
            and all(holds(*condition, right.context) for condition in self.conditions)
        )


class Grant(NamedTuple):
    """One thing that a function may do: an action on a resource, and a pattern of a condition, or ''."""

    function: str
    action: str
    resource: str
    pattern: str

    def __str__(self) -> str:
        return f"{self.function}: {self.action} on {self.resource}{f' ({self.pattern})' if self.pattern else ''}"


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), re.DOTALL)


def like(pattern: str, text: str) -> bool:
    """Whether a text is as an IAM pattern says, where * is any text and ? any character."""
    return _compiled(pattern).fullmatch(text) is not None


def holds(operator: str, key: str, patterns: tuple[str, ...], context: Mapping[str, str]) -> bool:
    """Whether a condition holds. Raises ValueError for an operator that the template has not used so far."""
    if operator not in ("StringLike", "StringLikeIfExists", "ForAllValues:StringLike"):
        raise ValueError(f"{operator} of {key}: say here how IAM judges it")
    if key not in context:
        return operator != "StringLike"
    return any(like(pattern, context[key]) for pattern in patterns)


def roles(template: Template) -> dict[str, list[Statement]]:
    """The statements of each function's role, those of shared policies included."""
    resolve = Intrinsics(template, STACK, lambda logical: _named(template, logical)).resolve
    found: dict[str, list[Statement]] = {}
    for name, resource in template.resources.items():
        if resource["Type"] != "AWS::Lambda::Function":
            continue
        role = template.resources[resource["Properties"]["Role"]["Fn::GetAtt"][0]]["Properties"]
        documents = [policy["PolicyDocument"] for policy in role.get("Policies", [])]
        shared = [arn["Ref"] for arn in role["ManagedPolicyArns"] if isinstance(arn, dict)]
        documents += [template.resources[policy]["Properties"]["PolicyDocument"] for policy in shared]
        found[name] = [_statement(resolve(one)) for document in documents for one in document["Statement"]]
    return found


def _named(template: Template, logical: str) -> tuple[Any, dict[str, Any]]:
    """What Ref and GetAtt give for a resource of the local stack, by the names that `infra/local/resources.py` makes."""
    kind = template.resources[logical]["Type"]
    if kind == "AWS::S3::Bucket":
        return (bucket := template.parameters["LakeBucketName"]), {"Arn": f"arn:aws:s3:::{bucket}"}
    if kind == "AWS::Events::EventBus":
        return f"{STACK}-events", {}
    name = f"{STACK}-{logical}"
    place = {
        "AWS::SQS::Queue": f"sqs:{REGION}:{ACCOUNT}:{name}",
        "AWS::DynamoDB::Table": f"dynamodb:{REGION}:{ACCOUNT}:table/{name}",
    }
    return name, {"QueueName": name, "Arn": f"arn:aws:{place[kind]}"}


def _statement(one: Mapping[str, Any]) -> Statement:
    conditions = tuple(
        (operator, key, _several(patterns))
        for operator, asked in one.get("Condition", {}).items()
        for key, patterns in asked.items()
    )
    return Statement(one["Effect"], _several(one["Action"]), _several(one["Resource"]), conditions)


def _several(value: str | list[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def grants(function: str, statement: Statement) -> Iterator[Grant]:
    """All that an allowing statement grants, one by one."""
    patterns = [pattern for _, _, found in statement.conditions for pattern in found] or [""]
    for action in statement.actions:
        for resource in statement.resources:
            yield from (Grant(function, action, resource, pattern) for pattern in patterns)


def uses(grant: Grant, right: Right) -> bool:
    """Whether a call is one that a grant is for. A call without the condition's key tells nothing of its patterns."""
    asked = list(right.context.values())
    fits = not grant.pattern or any(like(grant.pattern, value) for value in asked)
    return like(grant.action, right.action) and like(grant.resource, right.resource) and fits


def compared(
    allowed: Mapping[str, list[Statement]], done: Iterable[tuple[str, Right]]
) -> tuple[list[str], list[Grant]]:
    """What functions did and may not, in words, and what they may and never did."""
    rights: dict[str, list[Right]] = {}
    for caller, right in done:
        rights.setdefault(caller, []).append(right)
    missing, idle = [], []
    for function, statements in allowed.items():
        needed = rights.get(function, [])
        for right in needed:
            met = [one.effect for one in statements if one.applies(right)]
            if "Allow" not in met or "Deny" in met:
                missing.append(f"{function}: {right.action} on {right.resource} {right.context or ''}".rstrip())
        given = {grant for one in statements if one.effect == "Allow" for grant in grants(function, one)}
        idle += [grant for grant in given if not any(uses(grant, right) for right in needed)]
    return sorted(set(missing)), sorted(idle)


def recorded(folder: Path) -> Iterator[tuple[str, Right]]:
    """(function, right) of every call that was recorded."""
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            told = json.loads(line)
            yield told.pop("caller"), Right(**told)


def reason(grant: Grant) -> str | None:
    """Why a grant stays that no call has used."""
    fits = (
        why
        for function, action, resource, why in KEPT
        if like(function, grant.function)
        and like(action, grant.action)
        and like(resource, f"{grant.resource} {grant.pattern}")
    )
    return next(fits, None)


def main(folder: Path, *, strict: bool) -> int:
    """Prints what differs; returns 1 where something is missing, or idle where that counts."""
    missing, idle = compared(roles(expand(ROOT / "template.yaml", {})), recorded(folder))
    for call in missing:
        print(f"not allowed by template.yaml: {call}")
    unused = [grant for grant in idle if reason(grant) is None]
    for grant in unused:
        print(f"never used, take it out of template.yaml or say in permissions_kept.py why it stays: {grant}")
    print(f"permissions: {len(missing)} missing, {len(unused)} idle, {len(idle) - len(unused)} idle with a reason")
    return int(bool(missing or (strict and unused)))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), strict="--strict" in sys.argv[2:]))
