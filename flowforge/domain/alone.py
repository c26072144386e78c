"""Work on many things of which each is judged alone: one that fails is told, and never stands in the way of those behind it.

The caller says what is done with failures; an error that is none of ours is told by its kind, and its trace is for the log.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

from flowforge.domain.errors import FlowForgeError

Thing = TypeVar("Thing")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Failure(Generic[Thing]):
    """One thing and the error that it ended in."""

    thing: Thing
    error: Exception

    @property
    def cause(self) -> str:
        """The error in words that may be shown."""
        ours = isinstance(self.error, FlowForgeError)
        return str(self.error) if ours else f"unexpected {type(self.error).__name__}; the log has its trace"

    @property
    def text(self) -> str:
        """The error in its own words, for whoever asked and has no log to look into."""
        return (
            str(self.error) if isinstance(self.error, FlowForgeError) else f"{type(self.error).__name__}: {self.error}"
        )

    @property
    def remedy(self) -> str:
        """What to do, where the error knows."""
        return getattr(self.error, "remedy", "")


def each_alone(
    things: Iterable[Thing], act: Callable[[Thing], Result]
) -> tuple[list[tuple[Thing, Result]], list[Failure[Thing]]]:
    """Acts on each thing; returns (thing, result) of those that went well, and the others with their errors, in their order."""
    done: list[tuple[Thing, Result]] = []
    failed: list[Failure[Thing]] = []
    for thing in things:
        try:
            done.append((thing, act(thing)))
        except Exception as error:
            failed.append(Failure(thing, error))
    return done, failed


def each_alone_at_once(
    things: Iterable[Thing], act: Callable[[Thing], Result], threads: int
) -> tuple[list[tuple[Thing, Result]], list[Failure[Thing]]]:
    """The same by so many threads, for what waits for a store most of its time."""
    done: list[tuple[Thing, Result]] = []
    failed: list[Failure[Thing]] = []

    def alone(thing: Thing) -> tuple[list[tuple[Thing, Result]], list[Failure[Thing]]]:
        return each_alone([thing], act)

    with ThreadPoolExecutor(threads) as workers:
        for good, bad in workers.map(alone, things):
            done += good
            failed += bad
    return done, failed
