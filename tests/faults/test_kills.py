"""kill -9 at every boundary: each function's worker is killed at each of its calls to AWS, and in the middle of its reading.

It dies when its n-th call is about to be made, or when the m-th of its writes has been made and the answer is on its way.
"""

import random
from collections.abc import Iterator

import pytest

from tests.faults.aim import Aim, Point
from tests.faults.aws_proxy import Call, Fault
from tests.faults.lanes import KINDS, Lane
from tests.faults.tds_proxy import owner_of
from tests.faults.world import Delivery, World

pytestmark = pytest.mark.timeout(600)

FUNCTIONS = {"SubmitJob", "IngestTable", "Watermark", "RefineSilver", "PublishGold", "TrackRun"}
WRITES_OF_A_WORKER = 8  # no function makes more in a load of a small table
LARGE_ROWS = 2_500
LARGE = {"bronzeConfig": {"compression": "none"}}


@pytest.fixture
def aim(world: World) -> Iterator[Aim]:
    world.aws.rule = aim = Aim(world)
    yield aim
    world.aws.rule = lambda call: None


def die_before(call: Call, delivery: Delivery) -> Fault:
    return Fault("before", delivery.work.kill)


def die_after(call: Call, delivery: Delivery) -> Fault:
    return Fault("after", delivery.work.kill)


def strike(point: Point):
    return die_after if point.what == "write" else die_before


def test_should_lose_nothing_wherever_a_worker_is_killed(world, aim, rng: random.Random, tally, quick, name):
    lanes = [Lane(world, kind, f"{name}_{n}", rng) for n, kind in enumerate(KINDS)]
    for lane in lanes:
        lane.create()
    world.finish(*(lane.submit() for lane in lanes))  # nobody is killed: how many calls a load makes is seen
    points = [Point("write", n + 1) for n in range(WRITES_OF_A_WORKER)]
    points += [Point("call", n + 1) for n in range(max(aim.calls.values()))]
    rng.shuffle(points)
    waiting = points[:12] if quick else points
    while waiting:
        for lane in lanes:
            lane.write()
            if waiting:
                point = waiting.pop()
                aim.at(lane.bronze, point, strike(point))
        world.settle()
        ended = world.finish(*(lane.submit() for lane in lanes))
        world.run_idle()
        for lane, run in zip(lanes, ended, strict=True):
            lane.check(tally, "kill -9 at every call", run)
    tally.add("kill -9 at every call", kills=aim.struck.total())
    assert world.ends["killed"] >= aim.struck.total()
    assert set(aim.struck) == FUNCTIONS or quick


def large_lane(world: World, rng: random.Random, name: str) -> Lane:
    """A table whose object takes two parts: 12 MB of text that is stored as it is."""
    lane = Lane(world, "full load", name, rng)
    lane.create(LARGE_ROWS)
    world.execute(
        f"ALTER TABLE {name} ADD filling varchar(8000)",
        f"UPDATE {name} SET filling = CONCAT(id, REPLICATE('x', 4900))",
    )
    return lane


def test_should_lose_nothing_when_a_worker_is_killed_in_the_middle_of_an_upload(world, aim, rng, tally, quick, name):
    lane = large_lane(world, rng, name)
    world.finish(lane.submit(**LARGE))
    uploads = [c.operation for calls in world.aws.calls.values() for c in calls if lane.bronze in c.path]
    assert uploads.count("S3.POST") == 2 and uploads.count("S3.PUT") > 1, "an upload in parts"
    points = [Point("call", n + 1) for n in range(5, aim.calls["IngestTable"])]
    points += [Point("write", n + 1) for n in range(2, aim.calls["IngestTable"] - 3)]
    for point in rng.sample(points, 2 if quick else 8):
        only = strike(point)
        aim.at(lane.bronze, point, lambda call, d, only=only: only(call, d) if d.function == "IngestTable" else None)
        (run,) = world.finish(lane.submit(**LARGE))
        world.run_idle()
        lane.check(tally, "kill -9 in an upload", run)
    tally.add("kill -9 in an upload", kills=aim.struck.total())
    assert aim.struck["IngestTable"]


def test_should_lose_nothing_when_a_worker_is_killed_while_it_reads(world, rng, tally, quick, name):
    lane = large_lane(world, rng, name)
    killed = []
    for driver in ("mssql-python", "pymssql"):
        for _ in range(1 if quick else 3):
            after = rng.randrange(20_000, 11_000_000)
            aimed = []

            def kill(port: int, sent: int, more: int, after: int = after, aimed: list = aimed) -> None:
                if not aimed and sent <= after < sent + more:
                    pid = owner_of(port, [d.work.pid for d in world.running.values() if d.work.pid])
                    aimed.extend(d for d in world.running.values() if pid and d.work.pid == pid)
                    for delivery in aimed:
                        delivery.work.kill()

            world.tds.rule = kill
            world.extra = {"FLOWFORGE_DRIVER": driver}
            (run,) = world.finish(lane.submit())
            world.run_idle()
            lane.check(tally, "kill -9 while rows stream", run)
            killed += aimed
    world.tds.rule, world.extra = (lambda client, sent, more: None), {}
    tally.add("kill -9 while rows stream", kills=len(killed))
    assert {d.work.exit for d in killed} == {-9}
