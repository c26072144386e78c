"""What is public says what it does: functions and classes of the product, and each method of its seams."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.servers import ROOT

SEAMS = ("sources/base.py", "tables/base.py", "engines/base.py")
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def public(body: list[ast.stmt]) -> Iterator[Definition]:
    return (one for one in body if isinstance(one, Definition) and not one.name.startswith("_"))


def silent(path: Path) -> list[str]:
    return [one.name for one in public(ast.parse(path.read_text()).body) if not ast.get_docstring(one)]


@pytest.mark.parametrize("room", ["events", "flowforge", "functions"])
def test_should_say_of_all_that_is_public_what_it_does(room):
    found = {str(path): silent(path) for path in sorted((ROOT / room).rglob("*.py"))}
    assert {path: names for path, names in found.items() if names} == {}


@pytest.mark.parametrize("seam", SEAMS)
def test_should_say_of_each_method_of_a_seam_what_it_promises(seam):
    classes = [
        one for one in public(ast.parse((ROOT / "flowforge" / seam).read_text()).body) if isinstance(one, ast.ClassDef)
    ]
    found = [
        f"{one.name}.{method.name}" for one in classes for method in public(one.body) if not ast.get_docstring(method)
    ]
    assert found == []
