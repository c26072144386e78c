"""What importing each function's handler costs: CPU seconds and memory of a fresh interpreter, medians.

An import is what a cold start pays before the first event, on top of the interpreter itself. Libraries that a handler loads
later, when it has work for them, are not in it.
"""

import json
import statistics
import subprocess
import sys
from typing import NamedTuple

from benchmarks.contenders import ROOT

HEAVY = ("pyarrow", "aioboto3", "pymssql", "mssql_python", "duckdb", "deltalake", "sqlglot")
_CODE = """
import importlib, json, resource, sys, time
import infra.local.packaged
began = time.process_time()
importlib.import_module(sys.argv[1])
seconds = time.process_time() - began
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps([seconds, peak, sorted(set(sys.argv[2:]) & set(sys.modules))]))
"""


class ColdStart(NamedTuple):
    """One function: CPU seconds of its import, peak memory after it, and which heavy libraries it brought."""

    function: str
    cpu_seconds: float
    peak_rss_mb: float
    libraries: list[str]


def functions() -> list[str]:
    """The names of all functions."""
    return sorted(path.parent.name for path in ROOT.glob("functions/*/handler.py"))


def measure(function: str, repeat: int) -> ColdStart:
    """Imports a function's handler `repeat` times, each time in a new process, after one that warms the disk cache."""
    found = [_import(function) for _ in range(repeat + 1)][1:]
    seconds, peak = statistics.median(run[0] for run in found), statistics.median(run[1] for run in found)
    return ColdStart(function, seconds, peak, found[0][2])


def _import(function: str) -> tuple[float, float, list[str]]:
    command = [sys.executable, "-c", _CODE, f"functions.{function}.handler", *HEAVY]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return tuple(json.loads(done.stdout))
