"""Builds the packages of all functions, and a template that names them: what `sam build` does, for both architectures.

    python -m infra.aws.build TARGET [--arch x86_64|arm64] [--python VERSION]

TARGET/<arch>/<LogicalId> is a function's folder, TARGET/<arch>/template.yaml the template with them, and
TARGET/<arch>/bills/<LogicalId>.cdx.json its bill of materials. Each library group is installed once and linked into its
functions.
Prints each function's size and what Lambda's limit leaves free. Exit code 1 where a package could not run on Lambda, has a
library that is not pinned, or a group leaves less room than our own code may need before anybody looks again.
"""

import argparse
import json
import os
import platform
import shutil
import sys
import tomllib
from pathlib import Path
from typing import Any

from infra.aws.bill import unpinned, write_bill
from infra.aws.bytecode import not_compiled, precompile
from infra.aws.package import LIMIT_BYTES, PYTHON, ROOT, check, copy_code, install, prune, size_of
from infra.local.template_text import read_yaml

ROOM_BYTES = 12_000_000  # three times our own code, compiled
ARCHES = ("x86_64", "arm64")
OWN = f"{sys.version_info.major}.{sys.version_info.minor}"
OWN_ARCH = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("target", type=Path)
    parser.add_argument(
        "--arch", choices=(*ARCHES, "own"), action="append", help="all, unless named; own is this machine's"
    )
    parser.add_argument(
        "--python", default=PYTHON, help="version of CPython, or own: for runs of the packages on this machine"
    )
    arguments = parser.parse_args()
    problems: list[str] = []
    for arch in arguments.arch or ARCHES:
        named = OWN_ARCH if arch == "own" else arch
        problems += build(arguments.target / named, named, OWN if arguments.python == "own" else arguments.python)
    for problem in problems:
        sys.stderr.write(f"{problem}\n")
    return 1 if problems else 0


def build(target: Path, arch: str, python: str) -> list[str]:
    """Builds one architecture's folders; returns what would keep them from running, or from growing."""
    template = read_yaml((ROOT / "template.yaml").read_text())
    shutil.rmtree(target, ignore_errors=True)
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    problems: list[str] = []
    sys.stdout.write(f"{'package':<30} {'group':<11} {'bytes':>13} {'free':>13}   {arch}, CPython {python}\n")
    groups = _installed(template, target / ".groups", arch, python)
    own = _own_code(template, target / ".groups" / ".own", python)
    for name, function in _functions(template):
        group, folder = function["Metadata"]["LibraryGroup"], target / name
        shutil.copytree(groups[group], folder, copy_function=_link)
        others = shutil.ignore_patterns(*(one for one in _handlers(template) if one != _handler(function)))
        shutil.copytree(own / "functions", folder / "functions", copy_function=_link, ignore=others)
        shutil.copytree(
            own, folder, copy_function=_link, ignore=shutil.ignore_patterns("functions"), dirs_exist_ok=True
        )
        function["Properties"]["CodeUri"] = name
        function["Metadata"].pop("BuildMethod")  # it is built
        size = size_of(folder)
        sys.stdout.write(f"{name:<30} {group:<11} {size:>13,} {LIMIT_BYTES - size:>13,}\n")
        write_bill(name, version, folder, target / "bills" / f"{name}.cdx.json")
        problems += [f"{name}, {arch}: {problem}" for problem in check(folder)]
        loose = unpinned(folder, ROOT / "constraints.txt")
        problems += [f"{name}, {arch}: {library} is not in constraints.txt" for library in loose]
        if size > LIMIT_BYTES - ROOM_BYTES:
            problems.append(f"{name}, {arch}: {size:,} bytes leave less than {ROOM_BYTES:,} free")
    shutil.rmtree(target / ".groups")
    template["Parameters"]["Architecture"]["Default"] = arch
    (target / "template.yaml").write_text(json.dumps(template, indent=1))  # JSON is YAML
    return problems


def _functions(template: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    found = template["Resources"].items()
    return [(name, one) for name, one in found if one["Type"] == "AWS::Serverless::Function"]


def _handler(function: dict[str, Any]) -> str:
    return function["Properties"]["Handler"].split(".")[1]


def _handlers(template: dict[str, Any]) -> list[str]:
    return [_handler(function) for _, function in _functions(template)]


def _own_code(template: dict[str, Any], folder: Path, python: str) -> Path:
    """What functions share and the code of all of them, compiled once."""
    for handler in _handlers(template):
        copy_code(handler, folder)
    if not precompile(folder, python):
        sys.stdout.write(not_compiled(python))
    return folder


def _installed(template: dict[str, Any], folder: Path, arch: str, python: str) -> dict[str, Path]:
    groups = {function["Metadata"]["LibraryGroup"] for _, function in _functions(template)}
    for group in sorted(groups):
        install(group, folder / group, arch, python)
        prune(folder / group)
        precompile(folder / group, python)
    return {group: folder / group for group in groups}


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


if __name__ == "__main__":
    sys.exit(main())
