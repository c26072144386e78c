"""A batch's rules within bounds of time and memory, since their SQL is somebody else's.

Guarantees: a rule that is not done in time, or asks for more memory than the function has, ends in an error that names it; the
batch stays in bronze, and its message can be replayed. Rules of rows are evaluated together: which of them is slow is tried
afterwards, each alone with some rows.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TypeVar

from events.quality import Rule
from flowforge.domain.errors import TransformRejected
from flowforge.engines.base import OutOfMemory, TimedOut
from flowforge.runtime.bounded_work import bounded_memory, function_memory, within
from flowforge.runtime.settings import settings
from flowforge.runtime.time_limit import deadline

STOP_SECONDS = 5.0  # in which rules that were asked to stop mostly do
LOOK_SECONDS, LOOK_ROWS = 30.0, 20_000  # at most, to find out which of several rules is slow

Found = TypeVar("Found")
Begins = Callable[[Sequence[Rule]], None]
Judge = Callable[[Sequence[Rule], float, Begins, int | None], Found]  # see `judge_within_bounds`


def judge_within_bounds(place: str, rules: Sequence[Rule], remedy: str, judge: Judge[Found]) -> Found:
    """What `judge` returns or raises for the rules, a number of seconds, whom to tell which of the rules come next, and None: in
    place of which it gets a number of rows that are enough. It is to stop when its time is over; else it is left behind.

    `place` names the table and `remedy` says how a batch is taken up again, for messages. Raises TransformRejected when time or
    memory is not enough.
    """
    seconds, turn = _left(settings().rule_seconds), _Turn(rules)
    try:
        return _bounded(judge, rules, seconds, turn, None)
    except (TimedOut, TimeoutError):
        which = _slowest(judge, rules)
        raise TransformRejected(
            f"{place}: {_names(rules)} not done with the batch within {seconds:.3g} s, and stopped{which}",
            f"write a condition that takes less for each row, or raise RuleSeconds (below WorkTimeoutSeconds); {remedy}",
        ) from None
    except (OutOfMemory, MemoryError):
        raise TransformRejected(
            f"{place}: {_names(turn.rules)} stopped, for want of memory that the function does not have",
            f"write a condition that makes no long list or text, or raise the function's MemorySize; {remedy}",
        ) from None


class _Turn:
    """Which rules are evaluated at the moment, and since when any is: what goes before is no rule's."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules, self._began = rules, 0.0

    def begins(self, rules: Sequence[Rule]) -> None:
        self.rules, self._began = rules, self._began or time.monotonic()

    def seconds(self) -> float:
        return time.monotonic() - self._began if self._began else 0.0


def _bounded(judge: Judge[Found], rules: Sequence[Rule], seconds: float, turn: _Turn, rows: int | None) -> Found:
    def work() -> Found:
        with bounded_memory(function_memory()):
            return judge(rules, seconds, turn.begins, rows)

    return within(seconds + STOP_SECONDS, work)


def _slowest(judge: Judge[Found], rules: Sequence[Rule]) -> str:
    """Which of several rules takes the longest for some rows, in words."""
    if len(rules) == 1:
        return ""
    share = _left(LOOK_SECONDS) / len(rules)
    took = {rule.title: _seconds_of(judge, rule, share) for rule in rules}
    return f"; {max(took, key=took.__getitem__)} takes the longest"


def _seconds_of(judge: Judge[Found], rule: Rule, most: float) -> float:
    turn = _Turn([rule])
    with suppress(TimedOut, TimeoutError, OutOfMemory, MemoryError):
        _bounded(judge, [rule], most, turn, LOOK_ROWS)
    return turn.seconds()


def _left(seconds: float) -> float:
    until = deadline()
    return seconds if until is None else min(seconds, max(until - time.monotonic(), 0))


def _names(rules: Sequence[Rule]) -> str:
    titles = ", ".join(rule.title for rule in rules)
    return f"rule {titles} was" if len(rules) == 1 else f"the rules {titles} were"
