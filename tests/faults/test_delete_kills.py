"""kill -9 while keys are compared with silver, beside a load of the same table: what is gone leaves, and nothing else does."""

import random

import pytest

from events.commands import CompareKeys
from flowforge.domain.given import given
from flowforge.domain.run_ids import run_id_of_delivery
from flowforge.state import batch_records, table
from tests.faults.aim import Point
from tests.faults.kills import strike
from tests.faults.lanes import COLUMNS, Lane
from tests.faults.tally import Tally

pytestmark = pytest.mark.timeout(600)

WHAT = "kill -9 of a comparison of keys"


def compare_beside_a_load(lane: Lane, tally: Tally) -> None:
    """Rows change and go; then a comparison, ordered twice, and a load of the table, both to their ends and checked."""
    world = lane.world
    lane.write()
    world.execute(f"DELETE FROM {lane.name} WHERE id % 17 = {lane.rng.randrange(17)}")
    source_key = table.resolve(lane.bronze).source_key
    load = given(batch_records.newest(source_key, lambda batch: batch.has_rows)).command
    order = CompareKeys(new_run_id=run_id_of_delivery("faults", lane.name, str(lane.loads)), load=load)
    for _ in range(2):
        world.send("SubmitQueue", order.model_dump(mode="json"))
    ended = world.chain.finish(order.new_run_id, lane.submit())
    world.chain.run_idle()
    assert [run["status"] for run in ended] == ["succeeded", "succeeded"], world.chain.trail()
    past = batch_records.history(source_key, 10)
    assert {batch.state for batch in past} <= {"committed", "empty"}
    assert len([batch for batch in past if batch.command.run_id == order.new_run_id]) == 1, (
        "ordered twice, claimed once"
    )
    checked, lost, doubled = world.compare(lane.name, lane.name, COLUMNS)
    tally.add(WHAT, rows_checked=checked, lost=lost, doubled=doubled)
    assert (lost, doubled) == (0, 0)


@pytest.mark.sampled(1)
@pytest.mark.parametrize("slice_rows", ["2000000", "120"], ids=["at once", "in slices"])
def test_should_take_out_what_is_gone_and_nothing_else_wherever_a_worker_is_killed(
    world, aim, rng: random.Random, tally, quick, name, slice_rows
):
    lane = Lane(world, "rowversion", name, rng)
    lane.create(300)
    with world.chain.with_variables(FLOWFORGE_SLICE_ROWS=slice_rows):
        lane.load(tally, WHAT)
        compare_beside_a_load(lane, tally)  # nobody is killed: how many calls it takes is seen
        points = [Point("call", n + 1) for n in range(max(aim.calls.values()))]
        points += [Point("write", n + 1) for n in range(max(aim.writes.values()))]
        for point in rng.sample(points, 2 if quick else 10):
            aim.at(lane.bronze, point, strike(point))
            compare_beside_a_load(lane, tally)
    tally.add(WHAT, kills=aim.struck.total())
    assert aim.struck.total()
