"""Many small tables through the whole chain: the local stack as a user starts it, one request, one run.

What is counted: seconds from the request to the end of the run; CPU seconds and peak memory of each function's processes, from
the kernel; invocations; calls that the functions made, from the embedded AWS. The two servers and the dispatcher run on the
same processor and are not in the functions' figures.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pymssql

from benchmarks.contenders import ROOT
from benchmarks.fanout import calls_at
from benchmarks.request import request_of
from flowforge.cli.api import Api
from flowforge.cli.progress import follow

ROWS, SCHEMA = 10, "many"
START_SECONDS, RUN_SECONDS = 60, 1_800
_TICKS = os.sysconf("SC_CLK_TCK")


class Function(NamedTuple):
    """What a function's processes took during the run; `invocations` are batches of messages."""

    name: str
    invocations: int
    cpu_seconds: float
    peak_rss_mb: float


class Chain(NamedTuple):
    """One run over many tables."""

    tables: int
    wall_seconds: float
    functions: list[Function]
    calls: Counter[str]


class ChainFailed(Exception):
    """A run that did not load every table; its figures say nothing."""


def load_tables(tables: int) -> Chain:
    """Creates so many tables of ten rows, loads them all by one request and returns what that took. Raises ChainFailed."""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name, _stack(Path(name)) as facts:
        _create_tables(facts["sqlserver"], tables)
        with Api(facts["api"]) as api, httpx.Client(base_url=facts["api"], timeout=60) as http:
            before, calls = _processes(http), calls_at(facts["s3"])
            began = time.monotonic()
            run = _run(api, facts["sqlserver"])
            seconds = time.monotonic() - began
            functions, calls = _used(before, _processes(http)), calls_at(facts["s3"]) - calls
    states = Counter(table["status"] for table in run["tables"])
    if states != {"published": tables}:
        raise ChainFailed(f"{tables} tables were to be published, but there are {dict(states)}")
    return Chain(tables, seconds, functions, calls)


@contextmanager
def _stack(state: Path) -> Iterator[dict[str, Any]]:
    command = [sys.executable, "-m", "infra.local", "--state-dir", str(state), "--quiet"]
    command += ["--port", "0", "--aws-port", "0", "--sqlserver-port", "0"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + START_SECONDS
        while not (state / "stack.json").exists():
            if process.poll() is not None or time.monotonic() > deadline:
                raise ChainFailed("the local stack did not start")
            time.sleep(0.1)
        yield json.loads((state / "stack.json").read_text())
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def _create_tables(where: dict[str, Any], tables: int) -> None:
    values = ", ".join(f"({n}, {n}.25, N'row {n}', '2024-01-{n + 1:02d}')" for n in range(ROWS))
    names = {"server": where["host"], "port": str(where["port"]), "database": where["database"]}
    login = {"user": where["username"], "password": where["password"]}
    with pymssql.connect(**names, **login, autocommit=True) as source, source.cursor() as cursor:
        cursor.execute(f"CREATE SCHEMA {SCHEMA}")
        for n in range(tables):
            table = f"{SCHEMA}.t{n:05d}"
            columns = "id int PRIMARY KEY, amount decimal(15,2), text nvarchar(50), day date"
            cursor.execute(f"CREATE TABLE {table} ({columns})")
            cursor.execute(f"INSERT INTO {table} VALUES {values}")


def _run(api: Api, connection: dict[str, Any]) -> dict[str, Any]:
    accepted = api.post("workflows", "many", "run", body=request_of(connection, [f"{SCHEMA}.*"]))
    for run in follow(api, accepted["run_id"], RUN_SECONDS):
        last = run
    return last


class _Process(NamedTuple):
    function: str
    cpu_seconds: float
    peak_rss_mb: float
    invocations: int  # of its function


def _processes(http: httpx.Client) -> dict[int, _Process]:
    """The functions' live processes, as the kernel accounts for them."""
    found = {}
    for name, state in http.get("/_local/state").json()["functions"].items():
        for pid in state["workers"]:
            after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            peak = next(v for v in Path(f"/proc/{pid}/status").read_text().splitlines() if v.startswith("VmHWM"))
            seconds = (int(after_name[11]) + int(after_name[12])) / _TICKS
            found[pid] = _Process(name, seconds, int(peak.split()[1]) / 1024, state["ok"] + state["failed"])
    return found


def _used(before: dict[int, _Process], after: dict[int, _Process]) -> list[Function]:
    """What each function took in between; a process that ended in between took its figures with it."""
    used = []
    for name in sorted({process.function for process in after.values()}):
        of = {pid: process for pid, process in after.items() if process.function == name}
        earlier = [process for process in before.values() if process.function == name]
        invocations = next(iter(of.values())).invocations - (earlier[0].invocations if earlier else 0)
        cpu = sum(p.cpu_seconds for p in of.values()) - sum(p.cpu_seconds for pid, p in before.items() if pid in of)
        if invocations:
            used.append(
                Function(name.removesuffix("Function"), invocations, cpu, max(p.peak_rss_mb for p in of.values()))
            )
    return used
