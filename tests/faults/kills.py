"""Workers that are killed before or after a call, and a table that takes long enough to be killed amid it."""

import random

from tests.faults.aim import Point
from tests.faults.deliveries import Delivery
from tests.faults.lanes import Lane
from tests.faults.world import World
from tests.helpers.aws_proxy import Call, Fault

WRITES_OF_A_WORKER = 8  # no function makes more in a load of a small table


LARGE_ROWS = 2_500


LARGE = {"bronzeConfig": {"compression": "none"}}


def die_before(call: Call, delivery: Delivery) -> Fault:
    return Fault("before", delivery.work.kill)


def die_after(call: Call, delivery: Delivery) -> Fault:
    return Fault("after", delivery.work.kill)


def strike(point: Point):
    return die_after if point.what == "write" else die_before


def large_lane(world: World, rng: random.Random, name: str) -> Lane:
    """A table whose object takes two parts: 12 MB of text that is stored as it is."""
    lane = Lane(world, "full load", name, rng)
    lane.create(LARGE_ROWS)
    world.execute(
        f"ALTER TABLE {name} ADD filling varchar(8000)",
        f"UPDATE {name} SET filling = CONCAT(id, REPLICATE('x', 4900))",
    )
    return lane
