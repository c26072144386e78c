"""`flowforge up`: the stack in the foreground. The stack here is a small program in the place of the real one."""

import json
import os
import select
import signal
import textwrap

import pytest

from tests.helpers.waiting import LIMIT_SECONDS

PROGRAM = """
import json, os, pathlib, signal, sys
folder = pathlib.Path(sys.argv[sys.argv.index("--state-dir") + 1])
folder.mkdir(parents=True, exist_ok=True)
file = folder / "stack.json"
def stop(number, frame):
    file.unlink()
    (folder / "stopped").write_text(signal.Signals(number).name)
    sys.exit(7)
signal.signal(signal.SIGINT, stop)
signal.signal(signal.SIGTERM, stop)
draft = folder / "draft"
secret = {"token": "Pa55-1", "aws_access_key_id": "Pa55-2", "aws_secret_access_key": "Pa55-3"}
source = {"host": "localhost", "password": "Pa55-4"}
known = {"api": "http://127.0.0.1:1", "pid": os.getpid(), "arguments": sys.argv[1:], "sqlserver": source}
draft.write_text(json.dumps(known | secret))
draft.replace(file)
print("stack is ready", flush=True)
while True:
    signal.pause()
"""


@pytest.fixture
def checkout(alone):
    """A folder that looks like a checkout, with a stack of its own."""
    local = alone.folder / "infra" / "local"
    local.mkdir(parents=True)
    (local / "__main__.py").write_text(textwrap.dedent(PROGRAM))
    return alone


@pytest.fixture
def running(checkout):
    """A stack that `flowforge up --json` started, once it is ready; ended with the test."""
    process = checkout.start(
        "up", "--port", "0", "--bank-scale", "2.5", "--parameter", "A=b", "--data-dir", "kept", "--json"
    )
    lines = [process.stdout.readline()]
    while not lines[-1].startswith("}") and lines[-1]:
        lines.append(process.stdout.readline())
    process.facts = json.loads("".join(lines))
    yield process
    process.kill()
    process.communicate()


def test_should_tell_where_the_stack_is_and_pass_the_options_on(running, checkout):
    passed = running.facts["arguments"]

    wanted = [
        "--port",
        "0",
        "--bank-scale",
        "2.5",
        "--parameter",
        "A=b",
        "--data-dir",
        str(checkout.folder / "kept"),
        "--quiet",
    ]
    assert passed[passed.index("--port") :] == wanted
    kept = json.loads((checkout.folder / ".flowforge" / "stack.json").read_text())
    assert running.facts == {name: kept[name] for name in ("api", "pid", "arguments")} | {
        "sqlserver": {"host": "localhost"}
    }
    assert {"token", "aws_access_key_id", "aws_secret_access_key"} < set(kept)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_should_pass_a_signal_on_and_end_with_the_stacks_code(running, checkout, number):
    running.send_signal(number)

    assert running.wait(LIMIT_SECONDS) == 7
    assert (checkout.folder / ".flowforge" / "stopped").read_text() == number.name


def test_should_take_the_stack_along_when_it_is_killed(running, checkout):
    stack = os.pidfd_open(running.facts["pid"])
    running.kill()
    running.wait(LIMIT_SECONDS)

    assert select.select([stack], [], [], LIMIT_SECONDS)[0]
    os.close(stack)


def test_should_refuse_a_second_stack_on_the_same_folder(running, checkout):
    second = checkout("up", "--json")

    assert (second.code, second.document["error"]) == (1, "StackRuns")


def test_should_say_so_when_the_stack_does_not_start(checkout):
    (checkout.folder / "infra" / "local" / "__main__.py").write_text("raise SystemExit(3)")

    assert checkout("up").code == 3
    ended = checkout("up", "--json")
    assert (ended.code, ended.document["error"]) == (1, "StackFailed")


def test_should_start_where_the_other_commands_look(checkout):
    (checkout.folder / "taken").write_text("a file")

    ended = checkout("up", "--json", env={"FLOWFORGE_STATE_DIR": str(checkout.folder / "taken" / "state")})

    assert ended.code == 2 and str(checkout.folder / "taken" / "state") in ended.document["message"]
    assert not (checkout.folder / ".flowforge").exists()
