"""Kills what the local stack has started when the stack itself can no longer do it.

Runs as a process of its own (`python -I reaper.py MARK`) with nothing but the standard library. The stack
keeps the other end of its stdin open and writes `+PID` for each process group it starts and `-PID` for each
that has ended. When stdin ends (the stack stopped, or was killed with SIGKILL) the reaper guarantees that no
group still registered survives, nor, on Linux, any process that carries MARK in the environment it was started
with: that also finds grandchildren that moved to a session of their own.
"""

import contextlib
import os
import signal
import sys
from pathlib import Path


def kill_group(group: int) -> None:
    """Kill every process of a group; a group that is gone is fine."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def carriers(mark: bytes) -> list[int]:
    """Return the processes, other than this one, whose environment holds the mark. Linux only, else none."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark in (entry / "environ").read_bytes().split(b"\0") and int(entry.name) != os.getpid():
                found.append(int(entry.name))
    return found


def main() -> None:
    """Keep the list of groups until stdin ends, then kill them and whatever carries the mark."""
    for interrupt in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(interrupt, signal.SIG_IGN)
    mark, groups = sys.argv[1].encode(), set()
    for line in sys.stdin:
        if line.endswith("\n"):  # half a number would be another process
            (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
    for group in groups:
        kill_group(group)
    for process in carriers(mark):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(process, signal.SIGKILL)


if __name__ == "__main__":
    main()
