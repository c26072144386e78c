"""`python -m infra.aws.image_template [FILE] [--template TEMPLATE]`: the template, with silver and gold from a container image.

The functions of the library group `lake` come from one image (`infra/aws/Dockerfile`), whose address is a parameter; the others
stay zips. SAM takes no condition in a function's kind of package, so this is a second template, as that of `token_template` is,
from which it can be made, too. It is written beside template.yaml, whose folders it names, as JSON, which is YAML.
"""

import argparse
import copy
import json
import sys
from pathlib import Path
from typing import Any

from infra.local.template_text import read_yaml

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "template.yaml"
FILE = ROOT / "template.image.yaml"
GROUP = "lake"
IMAGE = {
    "Type": "String",
    "AllowedPattern": r"^[0-9]{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(\.cn)?/[^\s:@]+(:[^\s:@]+|@sha256:[0-9a-f]{64})$",
    "Description": "Image of silver's and gold's functions in a private registry (ECR) of this region, with its tag or digest.",
}
OF_ZIPS = ("Runtime", "CodeUri")  # of Globals, which an image's function must not have


def with_images(template: dict[str, Any]) -> dict[str, Any]:
    """The template with those functions from an image."""
    made = copy.deepcopy(template)
    made["Parameters"]["LakeImage"] = IMAGE
    made["Metadata"].pop("Shared", None)  # anchors, which are all in their places by now
    common = made["Globals"]["Function"]
    zipped = {name: common.pop(name) for name in OF_ZIPS}
    for function in made["Resources"].values():
        if function["Type"] != "AWS::Serverless::Function":
            continue
        if function["Metadata"]["LibraryGroup"] != GROUP:
            function["Properties"] = zipped | function["Properties"]
            continue
        function["Metadata"].pop("BuildMethod")
        command = [function["Properties"].pop("Handler")]
        image = {"PackageType": "Image", "ImageUri": {"Ref": "LakeImage"}, "ImageConfig": {"Command": command}}
        function["Properties"] = image | function["Properties"]
    return made


def main() -> int:
    """Writes the file and names it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("file", type=Path, nargs="?", default=FILE)
    parser.add_argument(
        "--template", type=Path, default=TEMPLATE, help="template.token.yaml, for an API that takes tokens"
    )
    arguments = parser.parse_args()
    file: Path = arguments.file
    read = read_yaml(arguments.template.read_text(encoding="utf-8"))
    file.write_text(json.dumps(with_images(read), indent=1), encoding="utf-8")
    sys.stdout.write(f"{file}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
