"""One run of one contender as a process, measured by the kernel; and what several runs come to.

Wall time is from start to exit, imports and connecting included. CPU time is user and system time of the process
and all that it waited for. Peak memory is the largest resident set of any one process of it.
"""

import os
import resource
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import NamedTuple

from benchmarks.contenders import Unavailable, last_line

RUN_SECONDS = 1_800


class Run(NamedTuple):
    """What one process took."""

    wall_seconds: float
    cpu_seconds: float
    peak_rss_mb: float
    landed_mb: float = 0.0


@dataclass(frozen=True)
class Result:
    """A contender's runs over a table of `rows` rows, or the reason why there are none."""

    contender: str
    rows: int
    runs: tuple[Run, ...] = ()
    reason: str | None = None

    @property
    def wall_seconds(self) -> float:
        return median(run.wall_seconds for run in self.runs)

    @property
    def cpu_seconds(self) -> float:
        return median(run.cpu_seconds for run in self.runs)

    @property
    def peak_rss_mb(self) -> float:
        return median(run.peak_rss_mb for run in self.runs)

    @property
    def landed_mb(self) -> float:
        return median(run.landed_mb for run in self.runs)

    @property
    def rows_per_second(self) -> float:
        return self.rows / self.wall_seconds


def run(command: Sequence[str], variables: dict[str, str], folder: Path, seconds: float = RUN_SECONDS) -> Run:
    """Runs the command to its end. Raises Unavailable when it fails or takes too long."""
    output = folder / "output"
    with output.open("w+") as written:
        started = time.perf_counter()
        process = subprocess.Popen(command, env=variables, stdout=written, stderr=written, stdin=subprocess.DEVNULL)
        status, usage = _reap(process, started + seconds)
        wall = time.perf_counter() - started
    if status is None:
        raise Unavailable(f"did not finish within {seconds} s")
    if status:
        raise Unavailable(f"exit status {status}: {last_line(output.read_text(errors='replace'))}")
    return Run(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def _reap(process: subprocess.Popen, deadline: float) -> tuple[int | None, resource.struct_rusage]:
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return process.returncode, usage
        if time.perf_counter() > deadline:
            process.kill()
            _, _, usage = os.wait4(process.pid, 0)
            process.returncode = -9
            return None, usage
        time.sleep(0.005)
