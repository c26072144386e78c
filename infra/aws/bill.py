"""What a function's package is made of: a CycloneDX bill of materials, of the libraries that are in its folder.

It lists what was installed, by the metadata that pip has left, not what was asked for. `unpinned` names what constraints.txt does
not fix: two builds of one commit could differ there.
"""

import re
import uuid
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

# The library's decorators for its formats hide from a type checker what its classes are made of.
_Bom: Any = Bom
_Component: Any = Component
MOST_LICENSE_LENGTH = 100  # some put their license's whole text there


def write_bill(name: str, version: str, folder: Path, target: Path) -> None:
    """Writes the bill of the package in `folder`, a JSON document of CycloneDX 1.6."""
    bill = _Bom(components=[_component(library) for library in libraries(folder)])
    bill.metadata.component = _Component(name=name, version=version, type=ComponentType.APPLICATION, bom_ref=name)
    bill.register_dependency(bill.metadata.component, bill.components)
    # The same libraries have the same number, however often they are built.
    bill.serial_number = uuid.uuid5(
        uuid.NAMESPACE_URL, " ".join([name, *sorted(str(one.purl) for one in bill.components)])
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(JsonV1Dot6(bill).output_as_string(indent=1), encoding="utf-8")


def libraries(folder: Path) -> Iterator[Distribution]:
    """The libraries that are installed in a folder, by name."""
    yield from sorted(distributions(path=[str(folder)]), key=lambda one: normal(one.name))


def unpinned(folder: Path, constraints: Path) -> list[str]:
    """The libraries of a folder that constraints.txt does not fix in this version, as name==version."""
    pinned = pins(constraints)
    return [f"{one.name}=={one.version}" for one in libraries(folder) if pinned.get(normal(one.name)) != one.version]


def pins(constraints: Path) -> dict[str, str]:
    """Version by normal name of what constraints.txt fixes."""
    lines = constraints.read_text(encoding="utf-8").splitlines()
    found = (re.fullmatch(r"([\w.-]+)(?:\[.*\])?==([^\s;]+).*", line) for line in lines)
    return {normal(line[1]): line[2] for line in found if line}


def normal(name: str) -> str:
    """A distribution's name as PyPI compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _component(library: Distribution) -> Any:
    name = normal(library.name)
    package = PackageURL("pypi", None, name, library.version)
    metadata: Any = library.metadata
    told = metadata.get("License-Expression") or metadata.get("License") or ""
    licenses = [LicenseFactory().make_from_string(told)] if 0 < len(told) <= MOST_LICENSE_LENGTH else []
    return _Component(
        name=name,
        version=library.version,
        type=ComponentType.LIBRARY,
        purl=package,
        bom_ref=str(package),
        licenses=licenses,
    )
