"""Many small tables through the whole chain: the local stack as a user starts it, one request for each load, one run.

The tables are loaded three times by a timestamp: for the first time, with nothing new, and with one changed row in each. A few
tables of another schema go first, all three times, so that what starts is not counted.

What is counted: seconds from the request to the end of the run; CPU seconds and peak memory of each function's processes, from
the kernel; invocations; calls that each function made, from the embedded AWS, until the queues are empty. The two servers and
the dispatcher run on the same processor and are not in the functions' figures.
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

import boto3
import httpx
import pymssql

from benchmarks.contenders import ROOT
from benchmarks.fanout import calls_by_caller
from benchmarks.request import request_of
from flowforge.cli.api import Api
from flowforge.cli.keys import bearer
from flowforge.cli.progress import follow

ROWS, SCHEMA = 10, "many"
WARM_SCHEMA, WARM_TABLES = "warm", 6
LOADS = {"first load": "published", "nothing new": "empty", "one changed row": "published"}  # and how each table ends
START_SECONDS, RUN_SECONDS, GUARD_SECONDS = 60, 1_800, 1.5
QUIET_LOOKS, LOOK_SECONDS = 4, 0.25  # the queues are empty and no function runs, so many times in a row
POLLERS = ("SQS ReceiveMessage", "SQS DeleteMessageBatch")  # on AWS Lambda's own pollers make them
CLOCK = "SchedulesFunction"  # looks once a minute what is due, load or not
_TICKS = os.sysconf("SC_CLK_TCK")


class Function(NamedTuple):
    """What a function's processes took during the run; `invocations` are batches of messages."""

    name: str
    invocations: int
    cpu_seconds: float
    peak_rss_mb: float


class Chain(NamedTuple):
    """One load of many tables; `calls` are of the functions, by (function, operation), `polls` of Lambda's pollers."""

    load: str
    tables: int
    wall_seconds: float
    functions: list[Function]
    calls: Counter[tuple[str, str]]
    polls: int = 0


class ChainFailed(Exception):
    """A run that did not load every table; its figures say nothing."""


def load_tables(tables: int, warm_tables: int = WARM_TABLES) -> list[Chain]:
    """Creates so many tables of ten rows, makes each of LOADS by one request, and returns what each took. Raises ChainFailed."""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name, _stack(Path(name)) as facts:
        if warm_tables:
            list(_loads(facts, WARM_SCHEMA, warm_tables))
        return list(_loads(facts, SCHEMA, tables))


def _loads(facts: dict[str, Any], schema: str, tables: int) -> Iterator[Chain]:
    with _source(facts["sqlserver"]) as source:
        _create_tables(source, schema, tables)
        client = httpx.Client(base_url=facts["api"], timeout=60, headers=bearer(facts["token"]))
        aws = facts["aws"], facts["aws_access_key_id"], facts["aws_secret_access_key"]
        with Api(facts["api"], token=facts["token"]) as api, client as http:
            for load, end in LOADS.items():
                if load == "one changed row":
                    _change_rows(source, schema, tables)
                before, calls = _processes(http), calls_by_caller(*aws)
                began = time.monotonic()
                run = _run(api, facts["sqlserver"], schema, tables)
                seconds = time.monotonic() - began
                _wait_until_quiet(http, facts)
                functions, calls = _used(before, _processes(http)), calls_by_caller(*aws) - calls
                states = Counter(table["status"] for table in run["tables"])
                if states != {end: tables}:
                    raise ChainFailed(f"{load}: {tables} tables were to be {end}, but there are {dict(states)}")
                yield Chain(load, tables, seconds, functions, *_told_apart(calls))


def _told_apart(calls: Counter[tuple[str, str]]) -> tuple[Counter[tuple[str, str]], int]:
    """The functions' calls, and how many are Lambda's pollers'; what a look at the stack asks for is neither."""
    own = Counter({(name.removesuffix("Function"), of): n for (name, of), n in calls.items() if name and name != CLOCK})
    return own, sum(n for (name, of), n in calls.items() if not name and of in POLLERS)


def _wait_until_quiet(http: httpx.Client, facts: dict[str, Any]) -> None:
    """Lineage and the run's last events come behind its end."""
    keys = {"aws_access_key_id": facts["aws_access_key_id"], "aws_secret_access_key": facts["aws_secret_access_key"]}
    sqs = boto3.client("sqs", endpoint_url=facts["aws"], region_name=facts["region"], **keys)
    queues = [url for url in sqs.list_queues()["QueueUrls"] if "dead" not in url.lower()]
    kinds = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    quiet, deadline = 0, time.monotonic() + RUN_SECONDS
    while quiet < QUIET_LOOKS:
        if time.monotonic() > deadline:
            raise ChainFailed("the queues did not become empty")
        found = [sqs.get_queue_attributes(QueueUrl=url, AttributeNames=kinds)["Attributes"] for url in queues]
        running = [state["running"] for state in http.get("/_local/state").json()["functions"].values()]
        waits = sum(running) + sum(int(one[kind]) for one in found for kind in kinds)
        quiet = 0 if waits else quiet + 1
        time.sleep(LOOK_SECONDS)


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


@contextmanager
def _source(where: dict[str, Any]) -> Iterator[pymssql.Cursor]:
    names = {"server": where["host"], "port": str(where["port"]), "database": where["database"]}
    login = {"user": where["username"], "password": where["password"]}
    with pymssql.connect(**names, **login, autocommit=True) as source, source.cursor() as cursor:
        yield cursor


def _create_tables(source: pymssql.Cursor, schema: str, tables: int) -> None:
    values = ", ".join(f"({n}, {n}.25, N'row {n}', '2024-01-{n + 1:02d}', '2024-01-{n + 1:02d}')" for n in range(ROWS))
    columns = "id int PRIMARY KEY, amount decimal(15,2), text nvarchar(50), day date, modified datetime2(3)"
    source.execute(f"CREATE SCHEMA {schema}")
    for n in range(tables):
        source.execute(f"CREATE TABLE {schema}.t{n:05d} ({columns})")
        source.execute(f"INSERT INTO {schema}.t{n:05d} VALUES {values}")


def _change_rows(source: pymssql.Cursor, schema: str, tables: int) -> None:
    """One row of each table; then the second for which a load leaves out what is new goes by."""
    for n in range(tables):
        source.execute(f"UPDATE {schema}.t{n:05d} SET amount = amount + 1, modified = SYSDATETIME() WHERE id = 5")
    time.sleep(GUARD_SECONDS)


def _run(api: Api, connection: dict[str, Any], schema: str, tables: int) -> dict[str, Any]:
    names = [f"{schema}.t{n:05d}" for n in range(tables)]
    accepted = api.post("workflows", "many", "run", body=request_of(connection, names, "modified"))
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
        if invocations and name != CLOCK:
            used.append(
                Function(name.removesuffix("Function"), invocations, cpu, max(p.peak_rss_mb for p in of.values()))
            )
    return used
