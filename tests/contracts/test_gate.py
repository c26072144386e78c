"""What `.ci/run` draws at random is the same in every run, unless it is told otherwise; elsewhere it is not. A test that fails
beside others is run once more, and named."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parents[2]
GATE = (ROOT / ".ci" / "run").read_text()
ONCE = """
import pathlib

def test_once():
    marker = pathlib.Path("failed")
    if not marker.exists():
        marker.touch()
        raise AssertionError("once")
"""


def drawn(profile: str) -> list[int]:
    found = []

    @settings(settings.get_profile(profile), max_examples=20, database=None)
    @given(st.integers())
    def look(number):
        found.append(number)

    look()
    return found


def test_should_draw_the_same_in_the_gate_and_something_new_elsewhere():
    assert drawn("ci") == drawn("ci")
    assert drawn("explore") != drawn("explore")


def test_should_run_the_gate_with_what_repeats():
    before, _, _ = GATE.partition("make test")
    assert "export FLOWFORGE_TEST_PROFILE=ci\n" in before
    assert "export FAULTS_SEED=${FAULTS_SEED:-" in before


@pytest.mark.parametrize(
    ("source", "code", "told", "not_told"),
    [
        ("def test_good(): pass", 0, "1 passed", "once more"),
        (ONCE, 0, "failed beside others, passed alone:\n  test_it.py::test_once", "never"),
        ("def test_bad(): assert 0", 1, "once more, alone: test_it.py::test_bad", "passed alone"),
        ("\n".join(f"def test_{n}(): assert 0" for n in range(4)), 1, "4 failed", "once more"),
        ("import nothing_of_this_name", 2, "1 error", "once more"),
    ],
)
def test_should_run_again_a_few_tests_that_failed(tmp_path, source, code, told, not_told):
    (tmp_path / "test_it.py").write_text(source)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}

    done = subprocess.run(
        [sys.executable, "-m", "tests", "-n0", "-p", "no:cacheprovider", "test_it.py"],
        cwd=tmp_path, env=environment | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == code, done.stdout + done.stderr
    assert told in done.stdout
    assert not_told not in done.stdout
