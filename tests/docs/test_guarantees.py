"""Every promise in docs/guarantees.md names a test that exists; so do the places in CONTRIBUTING.md."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers import promises

ROOT = Path(__file__).resolve().parents[2]
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / "docs" / "guarantees.md").read_text())


SECURITY = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / "docs" / "security.md").read_text())
CONTRIBUTING = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / "CONTRIBUTING.md").read_text())


def test_should_name_tests_that_exist():
    assert len(NAMED) > 40
    missing = [
        f"{file}::{name}"
        for file, name in [*NAMED, *CONTRIBUTING, *SECURITY]
        if not (ROOT / file).exists()
        or not re.search(rf"^(async )?def {name}\(", (ROOT / file).read_text(), re.MULTILINE)
    ]
    assert missing == []


def test_should_name_a_test_in_every_row_of_the_threat_model():
    rows = [line for line in (ROOT / "docs" / "security.md").read_text().splitlines() if line.startswith("|")]
    assert len(rows) > 5
    assert [row for row in rows[2:] if "`tests/" not in row] == []


def test_should_name_a_test_in_every_row_of_promises():
    rows = [
        line
        for line in (ROOT / "docs" / "guarantees.md").read_text().splitlines()
        if line.startswith("|") and not re.match(r"\|\s*(-|cursor|level|promise|what happened|READ UNCOMMITTED)", line)
    ]
    assert [row for row in rows if "tests/" not in row] == []


REPORT = """<testsuites><testsuite>
<testcase classname="tests.some.test_it" name="test_should_hold[a]"><skipped message="not here"/></testcase>
<testcase classname="tests.some.test_it" name="test_should_hold[b]"/>
<testcase classname="tests.some.test_it" name="test_should_rest"><skipped message="no server"/></testcase>
<testcase classname="tests.some.test_it" name="test_should_break"><failure message="broken"/></testcase>
</testsuite></testsuites>"""


@pytest.mark.parametrize(
    ("promise", "code", "told"),
    [
        ("`tests/some/test_it.py::test_should_hold`", 0, ""),
        ("`tests/some/test_it.py::test_should_break`", 0, ""),  # its own run has failed
        (
            "`tests/some/test_it.py::test_should_rest`",
            1,
            "promised, but not run: tests/some/test_it.py::test_should_rest",
        ),
        ("`tests/some/test_it.py::test_should_be`", 1, "promised, but not run: tests/some/test_it.py::test_should_be"),
        (
            "`tests/some/test_it.py::test_should_rest`\n(needs a container engine)",
            0,
            "not run here, needs a container engine: tests/some/test_it.py::test_should_rest",
        ),
    ],
)
def test_should_name_each_promise_whose_test_did_not_run(tmp_path, capsys, promise, code, told):
    (tmp_path / "report.xml").write_text(REPORT)
    (tmp_path / "guarantees.md").write_text(f"A promise ({promise}).")
    assert promises.main([tmp_path / "report.xml"], tmp_path / "guarantees.md") == code
    assert capsys.readouterr().out.splitlines() == [*([told] if told else []), "1 passed, 1 failed, 2 skipped"]


def test_should_read_reports_as_pytest_writes_them(tmp_path):
    code = "import pytest\n\n@pytest.mark.parametrize('n', [1])\ndef test_should_hold(n): pass\n"
    (tmp_path / "tests" / "some").mkdir(parents=True)
    (tmp_path / "tests" / "some" / "test_it.py").write_text(code)
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --import-mode=importlib\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--junitxml", "report.xml", "tests"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    assert list(promises.cases(tmp_path / "report.xml")) == [("tests/some/test_it.py::test_should_hold[1]", "passed")]


def test_should_count_a_test_as_its_last_run_had_it_and_name_what_had_failed(tmp_path, capsys):
    (tmp_path / "guarantees.md").write_text("")
    case = '<testsuite><testcase classname="tests.test_it" name="test_slow">{}</testcase></testsuite>'
    for name, content in (("first.xml", "<failure/>"), ("second.xml", "")):
        (tmp_path / name).write_text(case.format(content))
    assert promises.main([tmp_path / "first.xml", tmp_path / "second.xml"], tmp_path / "guarantees.md") == 0
    assert capsys.readouterr().out.splitlines() == [
        "failed at first, passed when run again: tests/test_it.py::test_slow",
        "1 passed, 0 failed, 0 skipped",
    ]
