"""The whole product as a user starts it: the local stack in processes of its own, SQL Server over TDS, S3 over HTTP."""

import uuid
from collections.abc import Iterator

import pytest

from tests.helpers.stack import BRIEF, Stack, in_lake_of


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    running = Stack(tmp_path_factory.mktemp("stack"), "--parameter", "MaxAttempts=2")
    with in_lake_of(running):
        try:
            yield running
        finally:
            running.stop()


@pytest.fixture
def name() -> str:
    """A table name of its own for each test."""
    return f"t_{uuid.uuid4().hex[:8]}"


@pytest.fixture(scope="module")
def compared(tmp_path_factory) -> Iterator[Stack]:
    """A stack of its own, in a folder where the command line finds it."""
    running = Stack(tmp_path_factory.mktemp("compared") / ".flowforge", BRIEF)
    with in_lake_of(running):
        try:
            yield running
        finally:
            running.stop()
