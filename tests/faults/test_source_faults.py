"""A source that fails while it is read, with both drivers: the load starts again, and a short batch never counts as whole."""

import pytest

from tests.faults.lanes import Lane

pytestmark = pytest.mark.timeout(600)

DRIVERS = ("mssql-python", "pymssql")


@pytest.fixture(params=DRIVERS)
def driver(request, world):
    """The extraction driver that the workers use."""
    world.extra = {"FLOWFORGE_DRIVER": request.param}
    yield request.param
    world.extra = {}
    world.execute("EXEC flowforge_fault 'none'")


@pytest.mark.parametrize("kind", ["reset", "deadlock"])
def test_should_read_again_when_the_source_fails_in_mid_stream(world, driver, rng, tally, name, kind):
    what = f"source: {kind} in mid-stream"
    lane = Lane(world, "rowversion", name, rng)
    lane.create(1_000)
    for most in (1_000, 20):
        lane.write()
        world.settle()
        world.execute(f"EXEC flowforge_fault '{kind}', {rng.randrange(most)}, 1, 'FROM [dbo].[{name}]'")
        (run,) = world.finish(lane.submit())
        world.run_idle()
        lane.check(tally, what, run)
        tally.add(what, faults=1)
    failed = [d for d in world.history if d.table == lane.bronze and d.work.answer != {"batchItemFailures": []}]
    assert len(failed) >= 2 and {d.function for d in failed} == {"IngestTable"}


def test_should_connect_again_when_the_source_refuses(world, driver, rng, tally, name):
    lane = Lane(world, "full load", name, rng)
    lane.create()
    world.execute("EXEC flowforge_fault 'refuse', 0, 2")
    (run,) = world.finish(lane.submit())
    world.run_idle()
    lane.check(tally, "source: connections refused", run)
    tally.add("source: connections refused", faults=2)
