"""`python -m infra.aws.resolved FILE`: writes the template as plain CloudFormation, as a careful deployment has it, for checkov.

checkov reads neither SAM nor conditions: it would look at a parameter's default alone. So SAM is expanded, and every choice that
a parameter gives is made for the stricter side: what it then still finds, no parameter mends.
"""

import argparse
import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

from infra.local.intrinsics import Intrinsics
from infra.local.template import expand

ROOT = Path(__file__).resolve().parents[2]
CAREFUL = {
    "AlarmEmail": "oncall@example.com",
    "AlertWebhook": "https://alerts.example.com",
    "Dashboard": "yes",
    "KmsKeyArn": "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
    "LakeVersioning": "Enabled",
    "MonthlyBudget": "100",
    "ReceiversInVpc": "yes",
    "SecurityGroupIds": "sg-1",
    "SubnetIds": "subnet-1,subnet-2",
}


def resolved() -> dict[str, Any]:
    """Every resource of such a deployment, with its properties; what refers to another one has that one's name."""
    template = expand(ROOT / "template.yaml", CAREFUL)
    intrinsics = Intrinsics(template, "flowforge", lambda logical: (logical, defaultdict(lambda: logical)))
    found = {
        name: one | {"Properties": intrinsics.resolve(one.get("Properties") or {})}
        for name, one in template.resources.items()
        if "Condition" not in one or intrinsics.condition(one["Condition"])
    }
    for one in found.values():
        one.pop("Condition", None)
    return {"AWSTemplateFormatVersion": "2010-09-09", "Resources": found}


def main() -> int:
    """Writes the file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("file", type=Path)
    file: Path = parser.parse_args().file
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(resolved(), indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
