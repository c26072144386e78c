"""The load itself: all tables for the first time, loads one after the other while changes arrive, and one with nothing new."""

import json
import queue
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.contenders import ROOT
from benchmarks.fanout import calls_by_caller
from benchmarks.load import tables as sources
from benchmarks.load.latency import latencies
from benchmarks.load.tables import Table, put_file
from benchmarks.load.writer import Change, Orders
from flowforge.domain.given import given
from flowforge.state.run_list import newest_of
from flowforge.state.runs import read_run
from tests.faults.deliveries import Delivery, name_of
from tests.faults.servers import open_world
from tests.faults.soak import Trouble
from tests.faults.tally import Figures
from tests.faults.world import World
from tests.helpers.servers import AWS_KEYS

AT_ONCE = 4  # workers side by side
LEASE_SECONDS = 5
RUN_SECONDS = 3_600
KILLED, LOST = 0.001, 0.001  # of the calls of first deliveries
CUT, CUT_AFTER_BYTES, MOST_CUTS = 0.0005, 200_000, 2  # of chunks; a table that is cut three times is given up
MOST_RUNS = 1_000  # of a job of files
FIRST, CHANGING, IDLE = "first load", "while changes arrive", "nothing new"


@dataclass
class Phase:
    """What a part of the load took; `runs` as the API shows them, `calls` by (function, operation)."""

    name: str
    seconds: float = 0.0
    runs: list[dict[str, Any]] = field(default_factory=list)
    calls: Counter[tuple[str, str]] = field(default_factory=Counter)
    deliveries: list[Delivery] = field(default_factory=list)

    def ended(self, *states: str) -> int:
        """How many loads of tables ended so."""
        return sum(table["status"] in states for run in self.runs for table in run["tables"])

    @property
    def rows(self) -> int:
        return sum(table.get("records") or 0 for run in self.runs for table in run["tables"])


class Deployment(NamedTuple):
    """What template.yaml says: megabytes of each function, and how many of it its queue starts at once."""

    memory_mb: Mapping[str, int]
    at_once: Mapping[str, int]


@dataclass
class Load:
    """Everything that was measured. `latencies` in seconds; `unseen` changes are in no version of gold."""

    tables: list[Table]
    phases: list[Phase]
    changes: list[Change]
    latencies: list[float]
    unseen: int
    tally: Figures
    deployment: Deployment

    @property
    def deliveries(self) -> list[Delivery]:
        return [delivery for phase in self.phases for delivery in phase.deliveries]


class Cuts:
    """A rule for the proxy before the source: ends a few connections amid their rows."""

    def __init__(self, chance: random.Random):
        self.chance, self.made = chance, 0

    def __call__(self, client: int, sent: int, more: int) -> None:
        if self.made < MOST_CUTS and sent > CUT_AFTER_BYTES and self.chance.random() < CUT:
            self.made += 1
            raise ConnectionAbortedError


class LoadFailed(Exception):
    """A run that did not load every table; its figures say nothing."""


def run(tables: Sequence[Table], seconds: float, changes_a_second: float, seed: int, slice_rows: int) -> Load:
    """Loads them for so long as a writer changes them, with kills and lost replies. Raises LoadFailed."""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder, ExitStack() as stack:
        world = open_world(stack, Path(folder), warm=True)
        world.chain.at_once = AT_ONCE
        sources.create(world, tables)
        variables = {"FLOWFORGE_SLICE_ROWS": str(slice_rows), "FLOWFORGE_LEASE_SECONDS": str(LEASE_SECONDS)}
        with world.chain.with_variables(**variables):
            return _run(world, tables, seconds, changes_a_second, seed)


def _run(world: World, tables: Sequence[Table], seconds: float, changes_a_second: float, seed: int) -> Load:
    chance = random.Random(seed)  # noqa: S311 - a run can be repeated
    trouble, cuts = Trouble(world, chance, KILLED, LOST), Cuts(chance)
    with world.aws.ruled_by(trouble), world.tds.ruled_by(cuts):
        with _phase(world, FIRST) as first:
            first.runs += _finish(world, sources.submit_tables(world, tables))
            jobs = [table for table in tables if table.files]
            for table in jobs:
                put_file(world.s3, world.bucket, table.name, 0)
            first.runs += _finish(world, *[sources.submit_files(world, table) for table in jobs])
        with _phase(world, CHANGING) as changing:
            orders = _orders(world, tables, seconds, changes_a_second, seed)
            with _writing(orders) as (changes, is_over):
                while not is_over.is_set():
                    changing.runs += _finish(world, sources.submit_tables(world, tables))
            world.settle()
            changing.runs += _finish(world, sources.submit_tables(world, tables))
            world.chain.run_idle(RUN_SECONDS)
            changing.runs += _runs_of_files(world, tables, {run["run_id"] for run in first.runs})
        with _phase(world, IDLE) as idle:
            idle.runs += _finish(world, sources.submit_tables(world, tables))
            world.chain.run_idle(RUN_SECONDS)
    written: dict[str, list[int]] = {table.name: [0] for table in tables if table.files}
    for change in changes:
        written.setdefault(change.table, []).append(change.n)
    tally = sources.compare(world, tables, written)
    tally.add(kills=trouble.kills, faults=trouble.faults + cuts.made)
    return Load(
        list(tables), [first, changing, idle], changes, *latencies(world, tables, changes), tally, _deployment(world)
    )


def _deployment(world: World) -> Deployment:
    memory = {name_of(f): int(f.env["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]) for f in world.chain.functions}
    names = {key: name_of(f) for f in world.chain.functions for key in (f.name, f.arn)}
    mappings = world.resources.of_kind("AWS::Lambda::EventSourceMapping").values()
    return Deployment(
        memory, {names[one["FunctionName"]]: int(one["ScalingConfig"]["MaximumConcurrency"]) for one in mappings}
    )


@contextmanager
def _phase(world: World, name: str) -> Iterator[Phase]:
    found, before, done = Phase(name), _calls(world), len(world.chain.history)
    began = time.monotonic()
    yield found
    found.seconds = time.monotonic() - began
    found.calls, found.deliveries = _calls(world) - before, world.chain.history[done:]
    world.aws.calls.clear()  # with their bodies


def _calls(world: World) -> Counter[tuple[str, str]]:
    """Of the functions: whoever names none looks on."""
    found = calls_by_caller(world.aws.url, *AWS_KEYS.values())
    return Counter({(name.removesuffix("Function"), of): n for (name, of), n in found.items() if name})


def _finish(world: World, *run_ids: str) -> list[dict[str, Any]]:
    return _succeeded(world, world.chain.finish(*run_ids, seconds=RUN_SECONDS))


def _succeeded(world: World, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    for one in found:
        if one["status"] != "succeeded":
            failed = [table for table in one["tables"] if table["error"]] or one["mistakes"]
            raise LoadFailed(f"{one['run_id']} {one['status']}: {failed[:3]}\n{world.chain.trail()}")
    return found


def _runs_of_files(world: World, tables: Sequence[Table], known: set[str]) -> list[dict[str, Any]]:
    """The runs that files have started since."""
    started = (run_id for table in tables if table.files for run_id in newest_of(table.name, MOST_RUNS))
    return _succeeded(world, [read_run(run_id) for run_id in started if run_id not in known])


def _orders(world: World, tables: Sequence[Table], seconds: float, changes_a_second: float, seed: int) -> Orders:
    source = {"port": world.tds.target[1], "database": world.login["database"]}
    queue_url = world.resources.make("SubmitQueue")[0]
    return Orders(source, tables, world.bucket, queue_url, seconds, changes_a_second, seed)


@contextmanager
def _writing(orders: Orders) -> Iterator[tuple[list[Change], threading.Event]]:
    """The writer's process: its changes as it tells them, and whether it has made its last one."""
    found, is_over, broken = [], threading.Event(), queue.SimpleQueue[str]()
    command = [sys.executable, "-m", "benchmarks.load.writer"]
    with subprocess.Popen(command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:

        def listen() -> None:
            last: Any = "nothing"
            for line in given(process.stdout):
                last = json.loads(line)
                if last:
                    found.append(Change(*last))
            if last is not None:
                broken.put(f"the writer ended early, after {last}")
            is_over.set()

        given(process.stdin).write(orders.text())
        given(process.stdin).close()
        listener = threading.Thread(target=listen, daemon=True)
        listener.start()
        try:
            yield found, is_over
        finally:
            process.terminate()
            listener.join()
    if not broken.empty():
        raise LoadFailed(broken.get())
