"""The console in a real browser, before a local stack with the stand-in. `make test-console` makes the environment it needs."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.helpers.browser import PACKAGES, chromium, let_in
from tests.helpers.stack import BRIEF, Stack

collect_ignore_glob = [] if PACKAGES else ["test_*.py"]


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    running = Stack(tmp_path_factory.mktemp("console") / ".flowforge", "--parameter", "MaxAttempts=2", BRIEF)
    try:
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    with chromium() as running:
        yield running


@pytest.fixture
def page(browser: Any, stack: Stack) -> Iterator[Any]:
    with let_in(browser, stack, viewport={"width": 1280, "height": 800}) as opened:
        yield opened
