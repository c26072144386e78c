"""Waiting for what another process does: as long as it takes, up to a limit that only a failure reaches.

LIMIT_SECONDS is for all that a test waits for: on a busy machine a start of seconds takes minutes. It stays below pytest's own
limit (pyproject.toml), so that the test says what it waited for.
"""

import time
from collections.abc import Callable
from typing import Any

import pytest

LIMIT_SECONDS = 240


def wait_for(condition: Callable[[], Any], what: str, seconds: float = LIMIT_SECONDS, pause: float = 0.05) -> Any:
    """The condition's value once it is true, looked at again after `pause` seconds; fails when that takes too long."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(pause)
    pytest.fail(f"waited {seconds} s for {what}")
