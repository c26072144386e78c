"""Narrow windows, other systems, other folders: what a command needs of the terminal and the machine that it runs on."""

import subprocess
import sys
import textwrap

import pytest

from tests.helpers.command_line import SECONDS

RUN = "run_20261123T064106_0123456789abcdef"
TABLE = "bronze_sales_order_headers_of_the_whole_world_and_of_every_other_planet_with_all_their_moons"
POSIX_ONLY = textwrap.dedent("""
    import os, signal, sys
    lacking = {"fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "syslog", "readline"}
    class Windows:
        def find_spec(self, name, path=None, target=None):
            if name in lacking:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    for name in lacking:
        sys.modules.pop(name, None)
    sys.meta_path.insert(0, Windows())
    for module, names in ((signal, ("SIGHUP", "SIGKILL", "SIGALRM", "SIGUSR1", "SIGQUIT")),
                          (os, ("fork", "killpg", "getuid", "geteuid", "setsid", "getpgid", "getloadavg"))):
        for name in names:
            delattr(module, name)
    from flowforge.cli.app import run
    code = run(sys.argv[1:])
    assert not [name for name in sys.modules if name == "infra" or name.startswith("infra.")]
    sys.exit(code)
""")


@pytest.fixture
def narrow(flowforge, api, told):
    """Commands in 80 columns, about names that are longer than most."""
    failed = told.table(
        TABLE, "failed", error={"step": "ingest", "error": "X", "cause": f"of {TABLE}", "remedy": "mend"}
    )
    run = told.run(failed, told.table(TABLE + "_2"), run_id=RUN, status="failed")
    api.answer("GET /api/runs", {"runs": [run]})
    api.answer(f"GET /api/runs/{RUN}", run)
    mark = {
        "value": "2026-11-23 06:41:06.1234567",
        "committed_at": "2026-11-23T06:41:06Z",
        "seq": 1,
        "sql_type": "datetime2(7)",
    }
    shown = {
        "id": "0123456789ab",
        "source_key": f"host:1433/db/dbo.{TABLE}>{TABLE}",
        "bronze_table": TABLE,
        "generation": 1,
    }
    shown |= {
        "source_table": f"dbo.{TABLE}",
        "silver_table": TABLE,
        "seq": 1,
        "watermarks": {"at": mark},
        "active_batch": None,
    }
    api.answer("GET /api/watermarks", {"watermarks": [shown]})
    letter = {"queue": "ingest", "table": TABLE, "run_id": RUN, "reason": "a " * 90, "age_seconds": 5}
    letter |= {"id": "5fea7756-0ea4-451a-a703-a558b933e274", "at": 0}
    api.answer("GET /api/dead-letters", {"messages": [letter], "more": False})

    def run_command(*arguments: str) -> str:
        return flowforge(*arguments, env={"COLUMNS": "80"}).out

    return run_command


@pytest.mark.parametrize(
    ("arguments", "whole"),
    [
        (("status",), [RUN]),
        (("status", RUN), [RUN, TABLE, f"bronze/{TABLE}_2/b1.parquet"]),
        (("watermark", "list"), [TABLE, f"dbo.{TABLE}", "2026-11-23 06:41:06.1234567"]),
        (("replay",), [RUN, TABLE, "5fea7756-0ea4-451a-a703-a558b933e274"]),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, tuple) else None,
)
def test_should_break_no_id_name_or_key(narrow, arguments, whole):
    lines = narrow(*arguments)
    for word in whole:
        assert word in lines, lines


def test_should_say_what_signs_mean(narrow):
    assert "✘ failed" in narrow("status").splitlines()[-1]
    assert "✔ done   ✘ failed   +n rows inserted" in narrow("status", RUN).splitlines()[-1]


def test_should_tell_of_a_worker_that_stopped_while_its_claim_lasts(flowforge, api, told):
    api.answer("GET /api/runs/run-1", told.run(told.table(status="running")))
    claim = {"state": "claimed", "silent_seconds": 19.0, "free_in_seconds": 11.0, "heartbeat_seconds": 7.5}
    api.answer("GET /api/watermarks/bronze_customers", {"active_batch": claim})
    watching = flowforge.start("status", "run-1", "--watch")
    with watching:
        lines = iter(watching.stdout.readline, "")
        assert any("the worker stopped 19 s ago; its claim is free in 11 s" in line for line in lines)
        api.answer("GET /api/runs/run-1", told.run(told.table(), status="succeeded"))
        assert "published" in watching.stdout.read()
    assert watching.returncode == 0


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["status"], 0),
        (["--help"], 0),
        (["submit", "request.json"], 0),
        (["sql", "SELECT 1"], 2),
        (["reconcile", "x", "--bucket", "b"], 1),
        (["rebuild", "silver", "x"], 2),
        (["up"], 2),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else None,
)
def test_should_work_where_no_posix_module_is(flowforge, api, arguments, code):
    api.answer("GET /api/runs", {"runs": []})
    api.answer("POST /api/workflows/w/run", {"run_id": "r", "tables": ["t"]}, 202)
    (flowforge.folder / "request.json").write_text('{"workflow_id": "w"}')
    command = [sys.executable, "-c", POSIX_ONLY, *arguments]
    ended = subprocess.run(
        command,
        cwd=flowforge.folder,
        env=flowforge.environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert ended.returncode == code, ended.stderr
    assert "Traceback" not in ended.stderr
    if arguments == ["up"]:
        assert "WSL" in ended.stderr


def test_should_name_a_state_folder_that_cannot_be_written(alone):
    (alone.folder / "file").write_text("no folder")
    for place in ("file", "file/below"):
        ended = alone("up", "--state-dir", place)
        assert ended.code == 2
        assert f"the state folder {place} cannot be written" in ended.err.splitlines()[0]


def test_should_find_a_stack_of_another_state_folder(alone, api, stack_file):
    stack_file()
    api.answer("GET /api/runs", {"runs": []})
    elsewhere = alone.folder / "elsewhere"
    (alone.folder / ".flowforge").rename(elsewhere)
    assert alone("status").code == 3
    assert alone("status", env={"FLOWFORGE_STATE_DIR": str(elsewhere)}).code == 0
    script = (
        "import subprocess, sys; from pathlib import Path; from flowforge.cli.stack import pointed_to\n"
        "with pointed_to(Path('elsewhere')):\n"
        "    code = subprocess.run([sys.executable, '-m', 'flowforge.cli', 'status'], cwd=Path('below')).returncode\n"
        "sys.exit(code)"
    )
    (alone.folder / "below").mkdir()
    found = subprocess.run(
        [sys.executable, "-c", script], cwd=alone.folder, env=alone.environment, timeout=SECONDS, check=False
    )
    assert found.returncode == 0
    assert not (alone.folder / ".flowforge").exists()
