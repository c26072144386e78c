"""When the work in hand must be done, as the function's own time limit says: what waits for others asks here.

A function that is killed at its limit leaves a claim that nobody renews and tells nobody why; one that stops a little earlier
releases it, and its message comes back with the cause.
"""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

FINISH_SECONDS = 20.0  # what giving up in good order takes; at most a tenth of what is left

_deadline: ContextVar[float | None] = ContextVar("deadline", default=None)


@contextmanager
def time_limit(context: Any) -> Iterator[None]:
    """For the block, `deadline` is a little before Lambda ends the invocation of `context`; none where that is not known."""
    ask = getattr(context, "get_remaining_time_in_millis", None)
    left = ask() / 1000 if ask else None
    token = _deadline.set(None if left is None else time.monotonic() + max(left - FINISH_SECONDS, 0.9 * left))
    try:
        yield
    finally:
        _deadline.reset(token)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """For the block, `deadline` is no later than in so many seconds; math.inf sets none."""
    ends, limit = time.monotonic() + seconds, _deadline.get()
    if limit is not None:
        ends = min(ends, limit)
    token = _deadline.set(None if ends == math.inf else ends)
    try:
        yield
    finally:
        _deadline.reset(token)


def deadline() -> float | None:
    """The instant of time.monotonic() by which to be done; None when there is no limit."""
    return _deadline.get()


def seconds_left() -> float:
    """The seconds until the deadline, below 0 behind it; math.inf where there is none."""
    limit = deadline()
    return math.inf if limit is None else limit - time.monotonic()
