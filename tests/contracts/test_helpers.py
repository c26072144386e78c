"""What tests share lives in tests/helpers: no test file and no conftest.py is imported by another file."""

import ast
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]


def imported(path: Path) -> Iterator[str]:
    """The modules of tests that a file imports, wherever in it; relative ones begin with a dot."""
    for node in ast.walk(ast.parse(path.read_text())):
        named = [one.name for one in node.names] if isinstance(node, ast.Import) else []
        named += ["." * node.level + (node.module or "")] if isinstance(node, ast.ImportFrom) else []
        yield from (name for name in named if name.startswith(("tests", ".")))


def test_should_import_helpers_and_what_stands_beside_only():
    wrong = [
        f"{path.relative_to(TESTS)} imports {name}"
        for path in sorted(TESTS.rglob("*.py"))
        for name in imported(path)
        if not f"{name}.".startswith(("tests.helpers.", ".".join(["tests", *path.relative_to(TESTS).parts[:-1], ""])))
        or name.rpartition(".")[2].startswith(("test_", "conftest"))
    ]
    assert wrong == []


def test_should_keep_helpers_out_of_the_folders_of_tests():
    """`python -m tests` runs all tests; those of faults are a program of its own, `python -m tests.faults`; a
    suite that several run stands beside them."""
    own = [
        str(path.relative_to(TESTS))
        for path in sorted(TESTS.rglob("*.py"))
        if path.relative_to(TESTS).parts[0] not in ("helpers", "faults")
        and not path.name.startswith(("test_", "conftest", "conformance", "__main__"))
        and "project" not in path.parts
    ]
    assert own == []
