"""Messages that come twice, ten times, at once and in any order; runs of one table at once."""

import json
import random
from collections import Counter

import pytest

from flowforge.state import batch_records, table
from tests.faults.deliveries import table_in
from tests.faults.lanes import Lane, create_lanes, load_all
from tests.faults.tally import Tally
from tests.faults.world import World

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def lanes(world: World, rng: random.Random, name: str) -> list[Lane]:
    """A table of each kind."""
    return create_lanes(world, name, rng)


def write_and_load(world: World, lanes: list[Lane], tally: Tally, what: str) -> list[dict]:
    for lane in lanes:
        lane.write()
    return load_all(world, lanes, tally, what)


def watermarks(lane: Lane) -> list:
    state = table.resolve(lane.bronze)
    return [state.generation, state.seq, {column: mark.value for column, mark in state.watermarks.items()}]


@pytest.mark.parametrize("copies", [2, pytest.param(10, marks=pytest.mark.long)])
def test_should_load_once_when_every_message_goes_to_several_workers_at_once(world, lanes, tally, copies):
    what = f"messages to {copies} workers at once"
    some = lanes if copies == 2 else [lanes[1]]
    world.chain.copies, world.chain.at_once, before = copies, max(4, copies), len(world.chain.history)
    try:
        write_and_load(world, some, tally, what)
    finally:
        world.chain.copies, world.chain.at_once = 1, 3
    again = Counter(message["MessageId"] for d in world.chain.history[before:] for message in d.messages)
    tally.add(what, redeliveries=sum(count - 1 for count in again.values()))
    assert max(again.values()) >= copies


def test_should_change_nothing_when_old_messages_come_again_in_any_order(world, lanes, rng, tally, quick):
    what = "old messages again, shuffled, up to ten times"
    before = len(world.chain.history)
    for _ in range(2):
        ended = write_and_load(world, lanes, tally, what)
    old = [(d.source.url, message["Body"]) for d in world.chain.history[before:] for message in d.messages]
    again = rng.sample(old, 12) if quick else [*old, *rng.choices(old, k=10), *rng.choices(old, k=1) * 9]
    rng.shuffle(again)
    stood = [watermarks(lane) for lane in lanes]
    for url, body in again:
        world.sqs.send_message(QueueUrl=url, MessageBody=body)
    world.chain.run_idle(240)
    for lane, run, mark in zip(lanes, ended, stood, strict=True):
        lane.check(tally, what, world.chain.ended_run(run["run_id"]))
        assert watermarks(lane) == mark
    tally.add(what, redeliveries=len(again))


def test_should_end_with_the_newest_rows_when_batches_reach_silver_in_another_order(world, lanes, rng, tally):
    what = "batches reach silver out of order"
    world.chain.held = frozenset({"RefineSilver"})
    runs = []
    try:
        for _ in range(3):
            for lane in lanes:
                lane.write()
            world.settle()
            runs.append([lane.submit() for lane in lanes])
            world.chain.run_until(lambda: landed_all(lanes, len(runs)), looks_after="Watermark")
    finally:
        world.chain.held = frozenset()
    letters = world.letters("RefineQueue")
    rng.shuffle(letters)
    for together in ([of_table(letters, lane)[n] for lane in lanes] for n in range(3)):
        for letter in together:
            world.send("RefineQueue", json.loads(letter["Body"]))
        world.chain.run_idle()
    for lane, run_id in zip(lanes, runs[-1], strict=True):
        lane.check(tally, what, world.chain.ended_run(run_id))
    tally.add(what, schedules=1, redeliveries=len(letters))
    assert len(letters) == 3 * len(lanes)


def of_table(letters: list[dict], lane: Lane) -> list[dict]:
    """The messages about a lane's table."""
    return [letter for letter in letters if table_in(letter["Body"]) == lane.bronze]


def landed_all(lanes: list[Lane], count: int) -> bool:
    """Whether each table has so many committed batches."""
    try:
        pasts = [batch_records.history(table.resolve(lane.bronze).source_key) for lane in lanes]
    except table.NotFound:
        return False
    return all(sum(batch.state == "committed" for batch in past) == count for past in pasts)


@pytest.mark.parametrize("count", [2, pytest.param(8, marks=pytest.mark.long)])
def test_should_give_runs_of_one_table_at_once_a_turn_each(world, lanes, tally, count):
    what = f"{count} runs of one table at once"
    world.chain.at_once = 4
    for lane in lanes:
        lane.write()
    world.settle()
    run_ids = [lane.submit() for lane in lanes for _ in range(count)]
    ended = world.chain.finish(*run_ids, seconds=400)
    world.chain.run_idle()
    world.chain.at_once = 3
    for lane in lanes:
        for run in ended:
            if run["tables"][0]["table"] == lane.bronze:
                lane.check(tally, what, run, in_step=False)
        lane.check(tally, what, ended[run_ids.index(lane.run_ids[-1])])
    tally.add(what, schedules=1)
