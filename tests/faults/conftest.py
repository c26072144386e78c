"""Faults on purpose: what is tried is drawn from a seed, and what was tried and lost is counted.

`make faults` runs all of it, `make faults-quick` a selection. The seed is new each time and printed; FAULTS_SEED repeats one.
A test draws from a generator of its own, made of the seed and its name: so one test alone repeats what it did among others.
"""

import os
import random
import uuid
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.faults.servers import open_world
from tests.faults.tally import Tally
from tests.faults.world import World

TALLY = pytest.StashKey[Tally]()
SEED = pytest.StashKey[int]()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "long: only in the full run (make faults)")
    config.stash[SEED] = int(os.environ.get("FAULTS_SEED") or random.SystemRandom().randrange(10**9))
    config.stash[TALLY] = Tally()


def pytest_report_header(config: pytest.Config) -> str:
    return f"seed: {config.stash[SEED]} (FAULTS_SEED={config.stash[SEED]} repeats this run)"


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
    """The chain that most tests share; each has tables of its own."""
    with ExitStack() as stack:
        yield open_world(stack, tmp_path_factory.mktemp("world"))


@pytest.fixture
def name() -> str:
    """A table name of the test's own."""
    return f"t_{uuid.uuid4().hex[:8]}"
