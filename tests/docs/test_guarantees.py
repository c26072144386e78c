"""Every promise in docs/guarantees.md names a test that exists; so do the places in CONTRIBUTING.md."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / "docs" / "guarantees.md").read_text())


CONTRIBUTING = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / "CONTRIBUTING.md").read_text())


def test_should_name_tests_that_exist():
    assert len(NAMED) > 40
    missing = [
        f"{file}::{name}"
        for file, name in [*NAMED, *CONTRIBUTING]
        if not (ROOT / file).exists()
        or not re.search(rf"^(async )?def {name}\(", (ROOT / file).read_text(), re.MULTILINE)
    ]
    assert missing == []


def test_should_name_a_test_in_every_row_of_promises():
    rows = [
        line
        for line in (ROOT / "docs" / "guarantees.md").read_text().splitlines()
        if line.startswith("|") and not re.match(r"\|\s*(-|cursor|level|promise|what happened|READ UNCOMMITTED)", line)
    ]
    assert [row for row in rows if "tests/" not in row] == []
