"""Keys that are spelt anew, deleted and inserted in another spelling between loads; workers are killed and messages come twice.

At every step silver shows each key of the source once, in the spelling that the source has; what was deleted goes with a refresh.
"""

import itertools
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Literal

import pytest

from tests.faults.aim import Aim, Point
from tests.faults.kills import WRITES_OF_A_WORKER, strike
from tests.faults.spellings import KINDS, SpellingLane
from tests.faults.tally import Tally
from tests.faults.world import World

pytestmark = pytest.mark.timeout(900)
WHAT = "keys spelt anew"
ROUNDS, QUICK_ROUNDS = 4, 1
CALLS = 12  # of a worker, as far as one is killed


@pytest.fixture
def lanes(world: World, rng: random.Random, name: str, quick: bool) -> list[SpellingLane]:
    """A table of each kind of key, merged and with a history; a few of them in the quick run."""
    cases = list(itertools.product(KINDS.values(), ("merge", "scd2")))
    if quick:
        cases = [rng.choice(cases[::2]), rng.choice(cases[1::2])]
    lanes = [SpellingLane(world, kind, strategy, f"{name}_{n}", rng) for n, (kind, strategy) in enumerate(cases)]
    for lane in lanes:
        lane.create()
    return lanes


def load(world: World, lanes: list[SpellingLane], tally: Tally, refresh: bool = False) -> None:
    ended = world.chain.finish(*(lane.submit(refresh) for lane in lanes), seconds=400)
    world.chain.run_idle()
    for lane, run in zip(lanes, ended, strict=True):
        lane.check(tally, WHAT, run, refresh)


def kill_each(aim: Aim, lanes: list[SpellingLane], rng: random.Random) -> None:
    """Each function's worker dies once on the way of each table's next load, at a boundary of its own."""
    for lane in lanes:
        what: Literal["call", "write"] = rng.choice(("call", "write"))
        point = Point(what, rng.randint(1, CALLS if what == "call" else WRITES_OF_A_WORKER))
        aim.at(lane.bronze, point, strike(point))


@contextmanager
def twice(world: World, tally: Tally) -> Iterator[None]:
    """Every first message goes to two workers at once."""
    before = len(world.chain.history)
    world.chain.copies, world.chain.at_once = 2, 4
    try:
        yield
    finally:
        world.chain.copies, world.chain.at_once = 1, 3
    again = Counter(message["MessageId"] for d in world.chain.history[before:] for message in d.messages)
    tally.add(WHAT, redeliveries=sum(count - 1 for count in again.values()))


def test_should_show_every_key_once_in_its_newest_spelling(world, aim, lanes, rng, tally, quick):
    load(world, lanes, tally)
    for step in range(1, 1 + (QUICK_ROUNDS if quick else ROUNDS)):
        for lane in lanes:
            lane.write()
        kills = rng.random() < 0.7
        if kills:
            kill_each(aim, lanes, rng)
        with nullcontext() if kills else twice(world, tally):
            load(world, lanes, tally, refresh=step == 2)
    for lane in lanes:
        lane.write()
    load(world, lanes, tally, refresh=True)
    assert not any(lane.unseen for lane in lanes)
    tally.add(WHAT, schedules=len(lanes), kills=aim.struck.total())
