"""Messages that come twice, up to ten times, at once and in any order."""

import random
from collections import Counter

import pytest

from flowforge.state import table
from tests.faults.lanes import KINDS, Lane
from tests.faults.world import World

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def lanes(world: World, rng: random.Random, name: str) -> list[Lane]:
    """A table of each kind."""
    created = [Lane(world, kind, f"{name}_{n}", rng) for n, kind in enumerate(KINDS)]
    for lane in created:
        lane.create()
    return created


def load(world: World, lanes: list[Lane]) -> list[dict]:
    for lane in lanes:
        lane.write()
    world.settle()
    ended = world.finish(*(lane.submit() for lane in lanes))
    world.run_idle()
    return ended


def watermarks(lane: Lane) -> list:
    state = table.resolve(lane.bronze)
    return [state.generation, state.seq, {column: mark.value for column, mark in state.watermarks.items()}]


@pytest.mark.parametrize("copies", [2])
def test_should_load_once_when_every_message_goes_to_several_workers_at_once(world, lanes, tally, copies):
    what = f"messages to {copies} workers at once"
    some = lanes if copies == 2 else [lanes[1]]
    world.copies, world.at_once, before = copies, max(4, copies), len(world.history)
    try:
        ended = load(world, some)
    finally:
        world.copies, world.at_once = 1, 3
    for lane, run in zip(some, ended, strict=True):
        lane.check(tally, what, run)
    again = Counter(message["MessageId"] for d in world.history[before:] for message in d.messages)
    tally.add(what, redeliveries=sum(count - 1 for count in again.values()))
    assert max(again.values()) >= copies


def test_should_change_nothing_when_old_messages_come_again_in_any_order(world, lanes, rng, tally, quick):
    what = "old messages again, shuffled, up to ten times"
    before = len(world.history)
    for _ in range(2):
        ended = load(world, lanes)
    old = [(d.source.url, message["Body"]) for d in world.history[before:] for message in d.messages]
    again = rng.sample(old, 12) if quick else [*old, *rng.choices(old, k=10), *rng.choices(old, k=1) * 9]
    rng.shuffle(again)
    stood = [watermarks(lane) for lane in lanes]
    for url, body in again:
        world.sqs.send_message(QueueUrl=url, MessageBody=body)
    world.run_idle(240)
    for lane, run, mark in zip(lanes, ended, stood, strict=True):
        lane.check(tally, what, world.ended_run(run["run_id"]))
        assert watermarks(lane) == mark
    tally.add(what, redeliveries=len(again))
