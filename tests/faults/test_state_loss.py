"""The watermark table is emptied, or restored to an earlier copy, between loads: nothing is lost and nothing doubled."""

import random
from collections import Counter
from typing import Any

import pytest

from flowforge.aws.clients import client
from flowforge.runtime.settings import settings
from flowforge.state import table
from tests.faults.lanes import COLUMNS, Lane, create_lanes
from tests.faults.tally import Tally
from tests.faults.world import World

pytestmark = pytest.mark.timeout(900)
WHAT = "state emptied, or an earlier one, between loads"


def state_of(lanes: list[Lane]) -> list[dict[str, Any]]:
    """All that the watermark table holds of some tables."""
    pages = client("dynamodb").get_paginator("scan").paginate(TableName=settings().watermarks_table)
    items = [item for page in pages for item in page["Items"]]
    return [item for item in items if any(lane.name in item["pk"]["S"] + item["sk"]["S"] for lane in lanes)]


def lose_state(lanes: list[Lane], earlier: list[dict[str, Any]]) -> None:
    for item in state_of(lanes):
        client("dynamodb").delete_item(TableName=settings().watermarks_table, Key={k: item[k] for k in ("pk", "sk")})
    for item in earlier:
        client("dynamodb").put_item(TableName=settings().watermarks_table, Item=item)


def load(world: World, lanes: list[Lane], tally: Tally) -> None:
    """A load of each, to their ends; the layers hold the source's rows, once each."""
    world.settle()
    ended = world.chain.finish(*(lane.submit() for lane in lanes))
    world.chain.run_idle()
    for lane, run in zip(lanes, ended, strict=True):
        assert run["status"] == "succeeded", (run["tables"], world.chain.trail())
        checked, lost, doubled = world.compare(lane.name, lane.name, COLUMNS)
        tally.add(WHAT, rows_checked=checked, lost=lost, doubled=doubled)
        assert (lost, doubled) == (0, 0), f"{lane.kind} {lane.name}"


def test_should_lose_and_double_nothing_when_the_state_is_lost_or_an_earlier_one(
    world: World, rng: random.Random, tally: Tally, name: str, quick: bool
) -> None:
    lanes, copies = create_lanes(world, name, rng), [[]]
    done: Counter[str] = Counter()
    load(world, lanes, tally)
    for step in range(2 if quick else 8):
        copies.append(state_of(lanes))
        for lane in lanes:
            lane.write()
        if rng.random() < 0.5:  # so that a restored state lacks a load that the lake has
            load(world, lanes, tally)
            for lane in lanes:
                lane.write()
        earlier = copies[0] if step == 0 else rng.choice(copies)
        lose_state(lanes, earlier)
        if earlier is copies[0]:  # a new state begins: to it, copies of the one before are another deployment's
            copies = copies[:1]
        done["emptied" if earlier is copies[0] else "restored"] += 1
        load(world, lanes, tally)
        tally.add(WHAT, schedules=1, faults=1)
    generations = [table.resolve(lane.bronze).generation for lane in lanes]
    assert min(generations) >= 2, (done, generations)
