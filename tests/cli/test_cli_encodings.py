"""Every command prints on any terminal: signs fall back, names are escaped, JSON stays the same document."""

import json
import os
import subprocess
import sys

import pytest

from tests.helpers.command_line import SECONDS
from tests.helpers.servers import ROOT

ENCODINGS = ["ascii", "cp1252", "cp437", "utf-8", "utf-16"]
NAME = "bronze_Ж\ud83d_é→x"  # half of a surrogate pair is what a cut text ends with


def ended(*command: str, encoding: str, **options) -> subprocess.CompletedProcess:
    environment = options.pop("env", dict(os.environ)) | {"PYTHONIOENCODING": encoding}
    return subprocess.run(command, env=environment, capture_output=True, timeout=SECONDS, check=False, **options)


@pytest.fixture
def printed(flowforge, api, told):
    """Runs a command under an encoding; returns its exit code and what it printed, decoded."""
    failed = told.table(
        NAME, "failed", error={"step": "ingest", "error": "X", "cause": "Żółć \x1b", "remedy": "→ mend"}
    )
    run = told.run(told.table(NAME), failed, status="failed")
    api.answer("GET /api/runs", {"runs": [run]})
    api.answer("GET /api/runs/run-1", run)
    api.answer("GET /api/watermarks", {"watermarks": []})
    api.answer("GET /api/dead-letters", {"messages": [], "more": False})
    columns = [{"name": NAME, "type": "REAL", "decided": "VARCHAR"}]
    schema = {"table": NAME, "source_key": NAME, "version": 1, "identity": "id", "dropped": [NAME], "columns": columns}
    api.answer("GET /api/silver/x/schema", schema | {"keeps_key": False})

    def run_command(*arguments: str, encoding: str) -> tuple[int, str, str]:
        done = ended(*flowforge.command(*arguments), encoding=encoding, cwd=flowforge.folder, env=flowforge.environment)
        return done.returncode, done.stdout.decode(encoding), done.stderr.decode(encoding)

    return run_command


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("status",), 0),
        (("status", "run-1"), 1),
        (("schema", "x"), 0),
        (("watermark", "list"), 0),
        (("replay",), 0),
        (("--help",), 0),
        (("submit", "no…such.json"), 2),
        (("schema", "x", "--type", "Ж"), 2),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_should_end_as_it_would_on_any_terminal(printed, arguments, code):
    ended_with, out, err = printed(*arguments, encoding="ascii")  # whose letters are the fewest
    assert ended_with == code, err
    assert "Traceback" not in err
    assert out or err


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_should_print_json_that_is_the_same_document(printed, encoding):
    code, out, err = printed("status", "run-1", "--json", encoding=encoding)
    assert (code, err) == (1, "")
    assert json.loads(out)["tables"][0]["table"] == NAME


def test_should_fall_back_to_letters_that_look_alike(printed):
    _, out, _ = printed("status", "run-1", encoding="ascii")
    assert "+ published" in out
    assert "x failed" in out
    assert "-> mend" in out
    assert "\\u0416\\ud83d_\\xe9->x" in out
    _, out, _ = printed("status", "run-1", encoding="cp1252")
    assert "é" in out
    assert "\\u0416" in out
    _, out, _ = printed("status", "run-1", encoding="utf-8")
    assert "✔ published" in out


def test_should_refuse_a_name_that_is_no_text(flowforge):
    name = os.fsdecode(b"caf\xe9")
    told = ended(*flowforge.command("schema", name), encoding="ascii", cwd=flowforge.folder, env=flowforge.environment)
    assert told.returncode == 2
    assert b"no character of any text" in told.stderr
    assert b"Traceback" not in told.stderr


@pytest.mark.parametrize("redirection", [">&-", ">&- 2>&-", "| head -0", "2>&1 | head -0"])
def test_should_end_quietly_where_nobody_reads(flowforge, api, redirection):
    api.answer("GET /api/runs", {"runs": []})
    line = f"{sys.executable} -m flowforge.cli status {redirection}"
    options = {"cwd": flowforge.folder, "env": flowforge.environment, "capture_output": True, "text": True}
    done = subprocess.run(["sh", "-c", line], timeout=SECONDS, check=False, **options)
    assert "Traceback" not in done.stdout + done.stderr


def test_should_report_what_faults_did_in_any_encoding():
    script = (
        "from flowforge.cli.streams import open_streams; open_streams(); "
        "from tests.faults.tally import Tally; print(*Tally().table(), 'a — b → ✔', sep='\\n')"
    )
    done = ended(sys.executable, "-c", script, encoding="ascii", cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"a - b -> +" in done.stdout


@pytest.mark.parametrize(
    "module", ["infra.local", "demo", "tests.faults", "tests.faults.soak", "benchmarks", "benchmarks.lake"]
)
def test_should_open_the_streams_of_everything_that_people_start(module):
    """Each of them prints names and signs; its first line makes the streams take them."""
    path = ROOT / module.replace(".", "/")
    main = path / "__main__.py" if path.is_dir() else path.with_suffix(".py")
    assert "    open_streams()\n" in main.read_text(encoding="utf-8")
