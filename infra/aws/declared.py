"""`python -m infra.aws.declared`: writes what the template declares of each function, for `flowforge doctor` to compare with.

The command line is installed without the template. What a parameter decides is null: a deployment may have another value.
"""

import json
from pathlib import Path
from typing import Any

from samtranslator.yaml_helper import yaml_parse

from infra.local.template import Template, expand

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "flowforge" / "cli" / "declared.json"


def declared() -> dict[str, Any]:
    """By handler: memory, time, variables, what its queue starts, and the actions that its role allows."""
    template = expand(ROOT / "template.yaml", {})
    source = yaml_parse((ROOT / "template.yaml").read_text(encoding="utf-8"))
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
            "actions": sorted(set(_actions(template, function))),
        }
    return found


def _of(template: Template, kind: str) -> dict[str, Any]:
    return {name: one for name, one in template.resources.items() if one["Type"] == kind}


def _plain(value: Any) -> int | None:
    return value if isinstance(value, int) else None


def _actions(template: Template, function: dict[str, Any]) -> list[str]:
    role = template.resources[function["Properties"]["Role"]["Fn::GetAtt"][0]]["Properties"]
    documents = [policy["PolicyDocument"] for policy in role.get("Policies", [])]
    shared = [arn["Ref"] for arn in role["ManagedPolicyArns"] if isinstance(arn, dict)]
    documents += [template.resources[policy]["Properties"]["PolicyDocument"] for policy in shared]
    allowed = [one["Action"] for of in documents for one in of["Statement"] if one["Effect"] == "Allow"]
    return [action for one in allowed for action in ([one] if isinstance(one, str) else one)]


def text() -> str:
    """The file as it is to be."""
    return json.dumps(declared(), indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
