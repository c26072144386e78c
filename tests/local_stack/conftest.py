"""A local stack of its own for these tests, run from `project/` as a user would run it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.helpers.embedded import aws  # noqa: F401 - a fixture of this folder
from tests.helpers.local_stack import RunningStack


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """One stack for all tests that leave it as they found it."""
    running = RunningStack(tmp_path_factory.mktemp("stack"), "--env", "EXTRA=given")
    try:
        yield running.wait_until_ready()
    finally:
        running.stop()


@pytest.fixture
def start_stack(tmp_path: Path) -> Iterator[Callable[..., RunningStack]]:
    """Start stacks for one test; they are stopped with it."""
    started: list[RunningStack] = []

    def start(*options: str, state: Path = tmp_path / "state", warm: bool = False, loud: bool = False) -> RunningStack:
        started.append(RunningStack(state, *options, warm=warm, loud=loud))
        return started[-1]

    yield start
    for running in started:
        running.stop()
