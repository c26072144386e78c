"""Bounds for integer cursors: a number says nothing of when its row commits, so samples remember who was still at work.

A sample is MAX of the cursor and, asked after it, the ids of the transactions open then: {"max": literal or None,
"open": [ids], "at": server time in UTC, "writers": which kinds of transactions are listed}. A row below a sample's MAX belongs
to a transaction that had its number before the sample was taken, so once none of the sample's transactions is open, no row
below `max + 1` can still appear. That needs numbers that are drawn inside the transaction and only grow, as IDENTITY's are; the
promise says so.

Guarantees: pure functions on literals; arithmetic on whole numbers of any size. At most MAX_SAMPLES are kept, oldest
first.
"""

from collections.abc import Collection, Sequence
from typing import Any

MAX_SAMPLES = 10

Sample = dict[str, Any]


def remember(samples: list[Sample], newest: Sample) -> list[Sample]:
    """The samples with a new one behind them; the oldest go when there are too many."""
    return [*samples, newest][-MAX_SAMPLES:]


def listing(samples: list[Sample], writers: Sequence[bool]) -> list[Sample]:
    """The samples whose ids are those of at least these kinds of transactions (`writers.Writers`). One of a version before does
    not say: it has those that had logged something."""
    wanted = {n for n, counts in enumerate(writers) if counts}
    return [s for s in samples if wanted <= {n for n, counts in enumerate(s.get("writers", ())) if counts}]


def newest_settled(samples: list[Sample], still_open: Collection[int]) -> Sample | None:
    """The newest sample none of whose transactions is open any more, or None."""
    return next((s for s in reversed(samples) if not set(s["open"]) & set(still_open)), None)


def taken_before(samples: list[Sample], server_time: str) -> list[Sample]:
    """The samples taken at `server_time` or earlier (both style 121, UTC)."""
    return [s for s in samples if s["at"] <= server_time]


def bound_above(sample: Sample, lowest: str) -> str:
    """The exclusive bound that the sample proves: its MAX plus one; `lowest` where the table had no number."""
    return lowest if sample["max"] is None else str(int(sample["max"]) + 1)
