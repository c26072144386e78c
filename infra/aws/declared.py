"""`python -m infra.aws.declared`: writes what the template declares of each function, for `flowforge doctor` to compare with.

The command line is installed without the template. What a parameter decides is null: a deployment may have another value.
Resources are named by the template, as {Watermarks}: what a deployment calls them its functions' variables tell (`names`).
"""

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from infra.local.intrinsics import Intrinsics
from infra.local.template import ACCOUNT, REGION, Template, expand
from infra.local.template_text import read_yaml

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "flowforge" / "cli" / "declared.json"
BUCKET, STACK = "LakeBucketName", "StackName"


def declared() -> dict[str, Any]:
    """By handler: memory, time, variables, what its queue starts, and the rights that its role gives (resource: actions)."""
    template = expand(ROOT / "template.yaml", {})
    template = replace(template, parameters=template.parameters | {BUCKET: f"{{{BUCKET}}}"})
    intrinsics = Intrinsics(template, f"{{{STACK}}}", lambda logical: _named(template, logical))
    source = read_yaml((ROOT / "template.yaml").read_text(encoding="utf-8"))
    common = source["Globals"]["Function"]
    mappings = [one["Properties"] for one in _of(template, "AWS::Lambda::EventSourceMapping").values()]
    found = {}
    for name, function in _of(template, "AWS::Lambda::Function").items():
        written, properties = common | source["Resources"][name]["Properties"], function["Properties"]
        queues = [one for one in mappings if one["FunctionName"] == {"Ref": name}]
        found[properties["Handler"]] = {
            "memory_mb": _plain(written["MemorySize"]),
            "timeout_seconds": _plain(written["Timeout"]),
            "variables": sorted(properties["Environment"]["Variables"]),
            "queues": [
                {
                    "batch": _plain(one["BatchSize"]),
                    "at_once": _plain(one["ScalingConfig"]["MaximumConcurrency"]),
                    "answers": sorted(one["FunctionResponseTypes"]),
                }
                for one in queues
            ],
            "names": {
                variable: named
                for variable, value in sorted(properties["Environment"]["Variables"].items())
                if isinstance(value, dict) and (named := _named_by(value)) in {BUCKET, STACK, *template.resources}
            },
            "rights": _rights(template, function, intrinsics),
        }
    return found


def _of(template: Template, kind: str) -> dict[str, Any]:
    return {name: one for name, one in template.resources.items() if one["Type"] == kind}


def _named_by(value: dict[str, Any]) -> str | None:
    """What a variable tells the name of: secrets begin with the stack's."""
    return STACK if value == {"Fn::Sub": f"${{AWS::{STACK}}}/"} else value.get("Ref")


def _plain(value: Any) -> int | None:
    return value if isinstance(value, int) else None


def _named(template: Template, logical: str) -> tuple[str, dict[str, str]]:
    """What Ref and GetAtt give for a resource, its own name in braces where a deployment has one."""
    name = f"{{{logical}}}"
    arns = {
        "AWS::DynamoDB::Table": f"dynamodb:{REGION}:{ACCOUNT}:table/{name}",
        "AWS::SQS::Queue": f"sqs:{REGION}:{ACCOUNT}:{name}",
        "AWS::S3::Bucket": f"s3:::{name}",
    }
    arn = arns.get(template.resources[logical]["Type"], name)
    return name, defaultdict(lambda: name, Arn=f"arn:aws:{arn}")


def _rights(template: Template, function: dict[str, Any], intrinsics: Intrinsics) -> dict[str, list[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for statement in _statements(template, function):
        if statement["Effect"] == "Allow":
            for resource in map(_general, _listed(intrinsics.resolve(statement["Resource"]))):
                found[resource] |= set(_listed(statement["Action"]))
    return {resource: sorted(actions) for resource, actions in sorted(found.items())}


def _statements(template: Template, function: dict[str, Any]) -> Iterator[dict[str, Any]]:
    role = template.resources[function["Properties"]["Role"]["Fn::GetAtt"][0]]["Properties"]
    documents = [policy["PolicyDocument"] for policy in role.get("Policies", [])]
    shared = [arn["Ref"] for arn in role["ManagedPolicyArns"] if isinstance(arn, dict)]
    documents += [template.resources[policy]["Properties"]["PolicyDocument"] for policy in shared]
    return (one for of in documents for one in of["Statement"])


def _general(arn: str) -> str:
    own = {"arn:aws:": "arn:{partition}:", f":{REGION}:": ":{region}:", f":{ACCOUNT}:": ":{account}:"}
    for before, after in own.items():
        arn = arn.replace(before, after)
    return arn


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def text() -> str:
    """The file as it is to be."""
    return json.dumps(declared(), indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
