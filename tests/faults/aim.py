"""Aims faults at boundaries: the n-th call that a worker makes, or the m-th of its writes.

In one load of a table every function on the way meets the fault once, in the first of its workers that comes so far; the next
load is aimed at the next boundary.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from tests.faults.deliveries import Delivery
from tests.faults.world import World
from tests.helpers.aws_proxy import Call, Fault, is_write


@dataclass(frozen=True)
class Point:
    """A boundary, counted from 1."""

    what: Literal["call", "write"]
    number: int


Strike = Callable[[Call, Delivery], Fault | None]


class Aim:
    """A rule for the proxy. `struck` counts by function; `calls` and `writes` are the most that one of
    its workers has made."""

    def __init__(self, world: World):
        self.world, self._aims = world, {}
        self.struck: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self.writes: Counter[str] = Counter()
        self._done: set[tuple[str, str]] = set()
        self._writes: Counter[str] = Counter()

    def at(self, table: str, point: Point, strike: Strike) -> None:
        """From here on the table's workers meet `strike` at the point."""
        self._aims[table] = point, strike
        self._done = {done for done in self._done if done[0] != table}

    def __call__(self, call: Call) -> Fault | None:
        delivery = self.world.chain.deliveries.get(call.worker)
        if delivery is None:
            return None
        self.calls[delivery.function] = max(self.calls[delivery.function], call.number)
        self._writes[call.worker] += is_write(call)
        self.writes[delivery.function] = max(self.writes[delivery.function], self._writes[call.worker])
        point, strike = self._aims.get(delivery.table, (None, None))
        if point is None or (delivery.table, delivery.function) in self._done or not self._hits(point, call):
            return None
        fault = strike(call, delivery)
        if fault:
            self._done.add((delivery.table, delivery.function))
            self.struck[delivery.function] += 1
        return fault

    def _hits(self, point: Point, call: Call) -> bool:
        if point.what == "call":
            return call.number == point.number
        return is_write(call) and self._writes[call.worker] == point.number
