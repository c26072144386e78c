"""Which Python the commands of the Makefile take, and what they say of one that is too old or newer than those that are tried."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.helpers.servers import ROOT

NEEDED = ("Makefile", "pyproject.toml", "constraints.txt", "infra/tried_python.py")
TOOLS = ("make", "sh", "rm", "touch")

Make = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """A function that calls make in a project without an environment, on a machine that has these Pythons alone."""
    project, programs = tmp_path / "project", tmp_path / "bin"
    programs.mkdir()
    for name in NEEDED:
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, project / name)
    for name in TOOLS:
        (programs / name).symlink_to(shutil.which(name) or name)

    def call(*arguments: str, pythons: Mapping[str, tuple[int, int, int]]) -> subprocess.CompletedProcess[str]:
        for name, version in pythons.items():
            (programs / name).write_text(
                f"#!{programs}/sh\nexec '{sys.executable}' -c "
                f'"import sys, runpy; sys.version_info = {version}; runpy.run_path(sys.argv[1])" "$@"\n'
            )
            (programs / name).chmod(0o755)
        environment = {"PATH": str(programs), "HOME": os.environ.get("HOME", "/")}
        command = ["make", *arguments]
        return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)

    return call


@pytest.mark.parametrize("python3", [(3, 10, 13), (3, 15, 0)])
def test_should_take_a_python_that_is_tried_where_python3_is_none(make, python3):
    told = make("--dry-run", "demo", pythons={"python3": python3, "python3.12": (3, 12, 1)})
    assert "python3.12 -m venv" in told.stdout


def test_should_take_python3_where_it_is_tried(make):
    told = make("--dry-run", "demo", pythons={"python3": (3, 11, 2), "python3.13": (3, 13, 0)})
    assert "python3 -m venv" in told.stdout


def test_should_say_that_a_python_is_too_old_and_what_to_do_before_anything_is_made(make, tmp_path):
    told = make("demo", pythons={"python3": (3, 10, 13)})
    assert told.returncode == 2
    assert "needs Python 3.11 to 3.13, and this is 3.10.13" in told.stderr and "make demo PYTHON=" in told.stderr
    assert not (tmp_path / "project" / ".venv").exists()


def test_should_go_on_with_a_newer_python_and_say_so(make):
    told = make("demo", pythons={"python3": (3, 15, 0)})
    assert "is tried with Python 3.11 to 3.13, and this is 3.15.0" in told.stderr
    assert "python3 -m venv --clear .venv" in told.stdout
