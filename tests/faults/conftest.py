"""Faults on purpose: what is tried is drawn from a seed, and what was tried and lost is counted.

`make faults` runs all of it, `make faults-quick` a selection, each in several processes with a world of its own. The seed is new
each time and printed, with every failure too; FAULTS_SEED repeats one. A test draws from a generator of its own, made of the
seed and its name: so one test alone repeats what it did among others.
"""

import os
import random
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from flowforge.domain.given import given
from infra.local.processes import die_with_parent
from tests.faults.aim import Aim
from tests.faults.servers import open_world
from tests.faults.tally import Tally
from tests.faults.world import World

TALLY = pytest.StashKey[Tally]()
SEED = pytest.StashKey[int]()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "long: takes half a minute or more, only in the full run (make faults)")
    config.addinivalue_line(
        "markers", "sampled(count): the quick run takes so many of the test's cases, drawn from its seed"
    )
    config.stash[SEED] = int(os.environ.setdefault("FAULTS_SEED", str(random.SystemRandom().randrange(10**9))))
    config.stash[TALLY] = Tally()
    if hasattr(config, "workerinput"):
        die_with_parent()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out of a quick run what is not drawn."""
    if not os.environ.get("FAULTS_QUICK"):
        return
    cases: dict[str, list[pytest.Item]] = {}
    for item in items:
        if item.get_closest_marker("sampled"):
            cases.setdefault(item.name.partition("[")[0], []).append(item)
    left_out = []
    for name, found in cases.items():
        count = max(0, len(found) - given(found[0].get_closest_marker("sampled")).args[0])
        left_out += random.Random(f"{config.stash[SEED]} {name}").sample(found, count)
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


def pytest_report_header(config: pytest.Config) -> str:
    return f"seed: {config.stash[SEED]} (FAULTS_SEED={config.stash[SEED]} repeats this run)"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    if report.failed:
        quick = "FAULTS_QUICK=1 " if os.environ.get("FAULTS_QUICK") else ""
        again = f"{quick}FAULTS_SEED={item.config.stash[SEED]} python -m pytest '{item.nodeid}'"
        report.sections.append(("to repeat it", again))
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    output = getattr(session.config, "workeroutput", None)  # a worker of xdist has it
    if output is not None:
        output["tally"] = session.config.stash[TALLY].figures()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Adds what one of several processes has tried."""
    for what, figures in getattr(node, "workeroutput", {}).get("tally", {}).items():
        node.config.stash[TALLY].add(what, **figures)


@pytest.fixture(scope="session")
def seed(pytestconfig: pytest.Config) -> int:
    """The seed of this run."""
    return pytestconfig.stash[SEED]


@pytest.fixture
def rng(seed: int, request: pytest.FixtureRequest) -> random.Random:
    """The test's own generator."""
    return random.Random(f"{seed} {request.node.name}")


@pytest.fixture(scope="session")
def tally(pytestconfig: pytest.Config) -> Tally:
    """Where tests count what they tried: `tally.add("late committers, rowversion", schedules=1, rows_checked=n, lost=0)`."""
    return pytestconfig.stash[TALLY]


@pytest.fixture(scope="session")
def quick() -> bool:
    """Whether this is the selection: tests then try a random part of what they enumerate."""
    return bool(os.environ.get("FAULTS_QUICK"))


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The chain that most tests of a process share; each has tables of its own."""
    with ExitStack() as stack:
        yield open_world(stack, tmp_path_factory.mktemp("world"))


@pytest.fixture
def aim(world: World) -> Iterator[Aim]:
    """Aims faults at workers' calls until the test ends."""
    with world.aws.ruled_by(Aim(world)) as aim:
        yield aim


@pytest.fixture
def name() -> str:
    """A table name of the test's own."""
    return f"t_{uuid.uuid4().hex[:8]}"
