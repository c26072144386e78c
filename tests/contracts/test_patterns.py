"""Patterns mean the same under every Python that we name, the oldest too.

Up to CPython 3.11.4, which Debian 12 has, a repeated group that gives nothing back, as in `(?:ab?c)*+`, matches half of a turn
(github.com/python/cpython/issues/106052). `(?>(?:ab?c)*)` says the same and is right everywhere.
"""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("benchmarks", "demo", "events", "flowforge", "functions", "infra", "tests")
FAULTY = re.compile(r"\)(?:[*+?]|\{\d*,?\d*\})\+")


def texts_of(path: Path) -> list[str]:
    found = (node.value for node in ast.walk(ast.parse(path.read_bytes())) if isinstance(node, ast.Constant))
    return [
        text if isinstance(text, str) else text.decode("latin-1") for text in found if isinstance(text, str | bytes)
    ]


@pytest.mark.parametrize("room", ROOMS)
def test_should_repeat_no_group_as_older_pythons_do_wrongly(room):
    own = Path(__file__).resolve()
    paths = [path for path in (ROOT / room).rglob("*.py") if path != own]
    assert paths
    assert [str(path) for path in paths if any(map(FAULTY.search, texts_of(path)))] == []


def test_should_find_such_a_group():
    assert all(map(FAULTY.search, ["(?:ab?c)*+", "(?:a)++b", "(a)?+", "(a){2,}+", ')*+"']))
    assert not any(map(FAULTY.search, ["(?>(?:ab?c)*)", "[^a]*+", r"\s++", "(a)+b", "(a){2}"]))
