"""The container image of silver and gold, which no engine builds here: what its file copies is there, and is what a package has.
The template that deploys it differs in those functions only."""

import json
import re
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

from infra.aws.image_template import IMAGE, TEMPLATE, with_images
from infra.aws.package import GROUPS, copy_code
from infra.local.template import expand
from infra.local.template_text import read_yaml
from tests.helpers.servers import ROOT

DOCKERFILE = ROOT / "infra" / "aws" / "Dockerfile"
ROOT_OF_TASK = "${LAMBDA_TASK_ROOT}/"
READ = read_yaml(TEMPLATE.read_text())
GIVEN = {"LakeImage": "123456789012.dkr.ecr.eu-central-1.amazonaws.com/flowforge-lake:1"}
FUNCTIONS = {name: one for name, one in READ["Resources"].items() if one["Type"] == "AWS::Serverless::Function"}
HANDLERS = {
    name: one["Properties"]["Handler"] for name, one in FUNCTIONS.items() if one["Metadata"]["LibraryGroup"] == "lake"
}


def instructions() -> list[tuple[str, str]]:
    """The file's instructions with what follows them, comments and broken lines taken out."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [(line.split()[0], line.partition(" ")[2].strip()) for line in text.splitlines() if line.strip()]


def told(instruction: str) -> list[str]:
    return [rest for word, rest in instructions() if word == instruction]


def ignored(path: Path) -> bool:
    lines = (ROOT / "infra/aws/Dockerfile.dockerignore").read_text().splitlines()
    patterns = [line.removeprefix("**/") for line in lines if line and not line.startswith("#")]
    return any(fnmatch(part, pattern) for part in path.parts for pattern in patterns)


def copied() -> set[Path]:
    """The files that the image gets, each of which has its own place of the repository in the image."""
    files: set[Path] = set()
    for line in told("COPY"):
        source, target = line.split()
        found = [path.relative_to(ROOT) for path in ROOT.glob(source + ("**/*" if source.endswith("/") else ""))]
        assert found, source
        folder = source if source.endswith("/") else f"{Path(source).parent}/"
        assert target == ROOT_OF_TASK + folder
        files |= {path for path in found if (ROOT / path).is_file() and not ignored(path)}
    return files


def test_should_copy_into_the_image_what_the_packages_of_its_functions_have(tmp_path):
    for handler in HANDLERS.values():
        copy_code(handler.split(".")[1], tmp_path)
    packed = {path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()}
    assert copied() == packed


def test_should_install_the_groups_libraries_as_they_are_pinned():
    libraries = re.search(r'LIBRARIES="([^"]+)"', "\n".join(told("ARG")))
    assert libraries is not None
    assert tuple(libraries[1].split()) == GROUPS["lake"]
    run, compiling = told("RUN")
    assert "--invalidation-mode checked-hash" in compiling
    assert "source=constraints.txt,target=/tmp/constraints.txt" in run
    assert "--constraint /tmp/constraints.txt" in run
    pinned = {line.partition("==")[0].replace("_", "-") for line in (ROOT / "constraints.txt").read_text().splitlines()}
    assert set(GROUPS["lake"]) <= pinned


def test_should_build_for_both_architectures_and_start_a_function_that_there_is():
    assert told("FROM") == [f"public.ecr.aws/lambda/python:{READ['Globals']['Function']['Runtime'][6:]}-${{ARCH}}"]
    assert told("ARG")[0] == f"ARCH={READ['Parameters']['Architecture']['Default']}"
    (command,) = told("CMD")
    assert json.loads(command)[0] in HANDLERS.values()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("image") / "template.yaml"
    path.write_text(json.dumps(with_images(READ)))
    return path


def told_of(resource: dict[str, Any]) -> dict[str, Any]:
    """A resource without the place of its zip, which is numbered anew in each template."""
    properties = resource.get("Properties") or {}
    is_zip = "S3Key" in properties.get("Code", {})
    return resource | {"Properties": {k: v for k, v in properties.items() if k != "Code" or not is_zip}}


def test_should_deploy_silver_and_gold_from_the_image_and_all_else_as_it_was(file):
    ours, theirs = expand(TEMPLATE, {}).resources, expand(file, GIVEN).resources
    assert {name for name in ours | theirs if told_of(ours[name]) != told_of(theirs[name])} == set(HANDLERS)
    for name, handler in HANDLERS.items():
        before, after = ours[name]["Properties"], theirs[name]["Properties"]
        assert after["PackageType"] == "Image"
        assert after["ImageConfig"] == {"Command": [handler]}
        assert after["Code"] == {"ImageUri": {"Ref": "LakeImage"}}
        zips = {"Code", "Handler", "Runtime"}
        kept = {key: value for key, value in after.items() if key not in {"Code", "ImageConfig", "PackageType"}}
        assert kept == {key: value for key, value in before.items() if key not in zips}


@pytest.mark.parametrize(
    ("address", "fits"),
    [
        (GIVEN["LakeImage"], True),
        (f"{GIVEN['LakeImage'][:-2]}@sha256:{'a' * 64}", True),
        ("flowforge-lake:1", False),
        ("public.ecr.aws/x/flowforge-lake:1", False),
    ],
)
def test_should_take_an_image_of_a_private_registry_only(address, fits):
    assert bool(re.fullmatch(IMAGE["AllowedPattern"], address)) is fits
