"""kill -9 of loads by Change Tracking, at once and in slices, and of the question which of many tables have changed."""

import random

import pytest

from tests.faults.aim import Point
from tests.faults.kills import strike
from tests.faults.lanes import ALONE, COLUMNS, Lane
from tests.faults.tally import Tally
from tests.faults.world import World
from tests.helpers.tracked import ON

pytestmark = pytest.mark.timeout(600)

WHAT, ASKED = "kill -9 of loads by Change Tracking", "kill -9 while it is asked which tables have changed"
TABLES = 4  # as many as the source is asked of at once


def track(world: World, *tables: str) -> None:
    world.execute(ON, *(f"ALTER TABLE {table} ENABLE CHANGE_TRACKING" for table in tables))


def change(lane: Lane) -> None:
    """Rows come, change and go: some three hundred of them."""
    lane.write()
    lane.world.execute(
        f"UPDATE {lane.name} SET amount = amount + 1",
        f"DELETE FROM {lane.name} WHERE id % 17 = {lane.rng.randrange(17)}",
    )


@pytest.mark.sampled(1)
@pytest.mark.parametrize("slice_rows", ["2000000", "120"], ids=["at once", "in slices"])
def test_should_bring_every_change_wherever_a_worker_is_killed(
    world, aim, rng: random.Random, tally: Tally, quick, name, slice_rows
):
    lane = Lane(world, "changes", name, rng)
    lane.create(300)
    track(world, name)
    with world.chain.with_variables(FLOWFORGE_SLICE_ROWS=slice_rows):
        lane.load(tally, WHAT)
        change(lane)
        lane.load(tally, WHAT)  # nobody is killed: how many calls it takes is seen
        readers = [aim.calls["IngestTable"], aim.calls["IngestSlice"]]
        points = [Point("call", n + 1) for n in range(max(readers))]
        points += [Point("write", n + 1) for n in range(max(aim.writes.values()))]
        for point in rng.sample(points, 2 if quick else 10):
            change(lane)
            only = strike(point)
            aim.at(lane.bronze, point, lambda call, d, only=only: only(call, d) if d.function != "TrackRun" else None)
            lane.load(tally, WHAT)
    tally.add(WHAT, kills=aim.struck.total())
    assert aim.struck.total()


def test_should_load_what_has_changed_and_end_the_run_wherever_the_question_is_killed(
    world, aim, rng, tally, quick, name
):
    tables = [f"{name}_{n}" for n in range(TABLES)]
    lanes = [Lane(world, "changes", table, rng) for table in tables]
    for lane in lanes:
        lane.create(20)
    track(world, *tables)
    request = {"tables": [{"tableName": table, **ALONE["changes"]} for table in tables]}

    def load(changed: int | None) -> None:
        (run,) = world.chain.finish(world.submit_again(name, request))
        world.chain.run_idle()
        expected = ["published" if changed in (n, None) else "empty" for n in range(TABLES)]
        assert [one["status"] for one in run["tables"]] == expected, world.chain.trail()
        for table in tables:
            checked, lost, doubled = world.compare(table, table, COLUMNS)
            tally.add(ASKED, rows_checked=checked, lost=lost, doubled=doubled)
            assert (lost, doubled) == (0, 0)

    load(None)
    lanes[0].write()
    load(0)
    points = [Point("call", n + 1) for n in range(aim.calls["SubmitJob"])]
    for point in rng.sample(points, 1 if quick else len(points)):
        only, lane = strike(point), rng.randrange(TABLES)
        aim.at("", point, lambda call, d, only=only: only(call, d) if d.function == "SubmitJob" else None)
        lanes[lane].write()
        load(lane)
    tally.add(ASKED, kills=aim.struck.total())
    assert aim.struck["SubmitJob"]
