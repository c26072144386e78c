"""A run that is ended leaves no process behind: servers, workers and their forks go with it, whatever ends it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from flowforge.domain.given import given
from tests.helpers.servers import ROOT
from tests.helpers.waiting import LIMIT_SECONDS, wait_for

OPEN_A_WORLD = """
import signal, sys, time
from contextlib import ExitStack
from pathlib import Path
from tests.faults.servers import open_world
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
with ExitStack() as stack:
    world = open_world(stack, Path(sys.argv[1]))
    print("open", flush=True)
    time.sleep(600)
"""


def children_of(pid: int) -> set[int]:
    """A process' children and theirs."""
    found = set()
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        found |= {int(child)} | children_of(int(child))
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.sampled(1)
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_should_leave_no_process_behind_however_it_is_ended(tmp_path, how):
    command = [sys.executable, "-c", OPEN_A_WORLD, str(tmp_path)]
    run = subprocess.Popen(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE,
                           stderr=subprocess.DEVNULL, text=True)  # fmt: skip
    with run, given(run.stdout):
        assert given(run.stdout).readline() == "open\n"
        theirs = children_of(run.pid)
        assert len(theirs) == 3, "the embedded AWS, the stand-in, the workers' parent"
        run.send_signal(how)
        run.wait(LIMIT_SECONDS)
    wait_for(lambda: not any(map(alive, theirs)), "its processes to end")
