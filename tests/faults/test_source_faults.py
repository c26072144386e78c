"""A source that fails while it is read, with both drivers: the load starts again, and a short batch never counts as whole."""

import pytest

from tests.faults.lanes import Lane
from tests.helpers.standin import connect, stand_in

pytestmark = pytest.mark.timeout(600)

DRIVERS = ("mssql-python", "pymssql")


@pytest.fixture(params=DRIVERS)
def driver(request, world):
    """The extraction driver that the workers use."""
    with world.chain.with_variables(FLOWFORGE_DRIVER=request.param):
        yield request.param
    world.execute("EXEC flowforge_fault 'none'")


@pytest.mark.sampled(2)
@pytest.mark.parametrize("kind", ["reset", "deadlock"])
def test_should_read_again_when_the_source_fails_in_mid_stream(world, driver, rng, tally, name, kind):
    what = f"source: {kind} in mid-stream"
    lane = Lane(world, "rowversion", name, rng)
    lane.create(1_000)
    for most in (1_000, 10):  # the second load has ten rows at least: one for each write
        for _ in range(10):
            lane.write()
        # Behind the rows of questions for planning alone, six at most: one that fails is asked again, and fails no load.
        world.execute(f"EXEC flowforge_fault '{kind}', {rng.randrange(6, most)}, 1, 'FROM [dbo].[{name}]'")
        lane.load(tally, what)
        tally.add(what, faults=1)
    failed = [d for d in world.chain.history if d.table == lane.bronze and d.work.answer != {"batchItemFailures": []}]
    assert len(failed) >= 2 and {d.function for d in failed} == {"IngestTable"}


@pytest.mark.sampled(1)
def test_should_connect_again_when_the_source_refuses(world, driver, rng, tally, name):
    lane = Lane(world, "full load", name, rng)
    lane.create()
    world.execute("EXEC flowforge_fault 'refuse', 0, 2")
    lane.load(tally, "source: connections refused")
    tally.add("source: connections refused", faults=2)


@pytest.mark.sampled(1)
def test_should_say_so_and_leave_nothing_when_the_source_dies_in_mid_stream(world, driver, rng, tally, name, tmp_path):
    with stand_in(tmp_path, "--bank") as source:
        login = {**world.login, "port": source["port"]}
        with connect(source) as connection, connection.cursor() as cursor:
            cursor.execute("EXEC flowforge_fault 'die', 2000, 1, 'FROM [dbo].[transactions]'")
        places = {"bronzeConfig": {"tableName": f"bronze_{name}"}, "silverConfig": {"tableName": name}}
        variables = {"FLOWFORGE_SOURCE_CA_FILE": source["ca_file"], "FLOWFORGE_LOGIN_TIMEOUT_SECONDS": "2"}
        with world.chain.with_variables(**variables):
            (run,) = world.chain.finish(world.submit({"tableName": "transactions"}, login, **places))
    tally.add("source: dies in mid-stream", faults=1)
    (table,) = run["tables"]
    assert (run["status"], table["status"], table["error"]["step"]) == ("failed", "failed", "ingest")
    assert table["error"]["error"] == "SourceUnavailable" and table["error"]["remedy"]
    assert world.bronze_keys(table["table"]) == []
    (letter,) = world.letters("IngestDeadLetters")
    assert "SourceUnavailable" in letter["MessageAttributes"]["reason"]["StringValue"]
