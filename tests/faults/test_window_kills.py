"""kill -9 of a window's backfill, while rows change amid it and the table's own load runs beside it."""

import random

import pytest

from flowforge.domain.given import given
from flowforge.state import batch_records, table
from tests.faults.aim import Aim, Point
from tests.faults.deliveries import Delivery
from tests.faults.kills import strike
from tests.faults.lanes import KINDS, Lane
from tests.faults.tally import Tally
from tests.faults.world import MANY
from tests.helpers.aws_proxy import Call, Fault

pytestmark = pytest.mark.timeout(600)

WHAT = "kill -9 of a window's backfill"
WINDOW = {"from": "2024-01-01 00:30", "to": "2024-01-01 04:30"}
INSIDE = f"changed >= '{WINDOW['from']}' AND changed < '{WINDOW['to']}'"


def watermark(lane: Lane) -> str:
    """The table's, which is the upper bound of the newest load that had rows and was no window."""
    state = table.resolve(lane.bronze)
    newest = given(batch_records.newest(state.source_key, lambda batch: batch.moves_watermark and batch.has_rows))
    (mark,) = state.watermarks.values()
    assert mark.value == newest.interval.high
    return mark.value


def backfill(lane: Lane, tally: Tally, beside: bool) -> None:
    """Rows of the window are mended without a new stamp, which a window brings and no other load; to its end and checked."""
    world, before = lane.world, watermark(lane)
    world.execute(f"UPDATE {lane.name} SET amount = amount + 1 WHERE {INSIDE}")
    window = {"tableName": lane.name, **KINDS[lane.kind], "window": WINDOW}
    ended = world.chain.finish(world.submit(window), *([lane.submit()] if beside else []))
    world.chain.run_idle()
    for run in ended:
        lane.check(tally, WHAT, run, in_step=False)  # what has changed amid the window is brought by a later load
    assert beside or watermark(lane) == before


@pytest.mark.sampled(1)
@pytest.mark.parametrize("slice_rows", ["2000000", "120"], ids=["at once", "in slices"])
def test_should_bring_a_window_and_overwrite_nothing_newer_wherever_a_worker_is_killed(
    world, aim: Aim, rng: random.Random, tally, quick, name, slice_rows
):
    lane = Lane(world, "timestamp", name, rng)
    lane.create(300)
    world.execute(f"UPDATE {name} SET changed = DATEADD(minute, id, CAST('2024-01-01' AS datetime2(3)))")
    lane.load(tally, WHAT)
    with world.chain.with_variables(FLOWFORGE_SLICE_ROWS=slice_rows):
        backfill(lane, tally, beside=False)  # nobody is killed: how many calls it takes is seen
        points = [Point("call", n + 1) for n in range(max(aim.calls["IngestTable"], aim.calls["IngestSlice"]))]
        points += [Point("write", n + 1) for n in range(max(aim.writes.values()))]
        for n, point in enumerate(rng.sample(points, 1 if quick else 10)):
            only, amid = strike(point), [lane]  # a few of its rows get new stamps as its first reader dies

            def die(call: Call, delivery: Delivery, only=only, amid=amid) -> Fault:
                while amid and "Ingest" in delivery.function:
                    amid.pop().write()
                return only(call, delivery)

            aim.at(lane.bronze, point, die)
            backfill(lane, tally, beside=n % 2 == 0)
        lane.load(tally, WHAT)
    tally.add(WHAT, kills=aim.struck.total())
    assert aim.struck["IngestTable"] + aim.struck["IngestSlice"]
    windows = [
        batch for batch in batch_records.history(table.resolve(lane.bronze).source_key, MANY) if batch.interval.window
    ]
    assert len(windows) == (2 if quick else 11) and {batch.state for batch in windows} == {"committed"}
