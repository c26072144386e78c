"""kill -9 at every boundary: each function's worker is killed at each of its calls to AWS, and in the middle of its reading.

It dies when its n-th call is about to be made, or when the m-th of its writes has been made and the answer is on its way.
"""

import random

import pytest

from tests.faults.aim import Point
from tests.faults.kills import LARGE, WRITES_OF_A_WORKER, large_lane, strike
from tests.faults.lanes import Lane, create_lanes, load_all
from tests.faults.tds_proxy import owner_of

pytestmark = pytest.mark.timeout(600)

FUNCTIONS = {"SubmitJob", "IngestTable", "Watermark", "RefineSilver", "PublishGold", "TrackRun"}


def test_should_lose_nothing_wherever_a_worker_is_killed(world, aim, rng: random.Random, tally, quick, name):
    what, lanes = "kill -9 at every call", create_lanes(world, name, rng)
    load_all(world, lanes, tally, what)  # nobody is killed: how many calls a load makes is seen
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
        load_all(world, lanes, tally, what)
    tally.add(what, kills=aim.struck.total())
    assert world.chain.ends["killed"] >= aim.struck.total()
    assert set(aim.struck) >= FUNCTIONS or quick


def test_should_lose_nothing_when_a_worker_is_killed_in_the_middle_of_an_upload(world, aim, rng, tally, quick, name):
    what, lane = "kill -9 in an upload", large_lane(world, rng, name)
    lane.load(tally, what, **LARGE)
    uploads = [c.operation for calls in world.aws.calls.values() for c in calls if lane.bronze in c.path]
    assert uploads.count("S3.POST") == 2 and uploads.count("S3.PUT") > 1, "an upload in parts"
    aim.calls.clear()  # the first load also proves what later ones know of the bucket
    aim.writes.clear()
    lane.load(tally, what, **LARGE)
    points = [Point("call", n + 1) for n in range(5, aim.calls["IngestTable"])]
    points += [Point("write", n + 1) for n in range(2, aim.writes["IngestTable"])]
    for point in rng.sample(points, 2 if quick else 8):
        only = strike(point)
        aim.at(lane.bronze, point, lambda call, d, only=only: only(call, d) if d.function == "IngestTable" else None)
        lane.load(tally, what, **LARGE)
    tally.add(what, kills=aim.struck.total())
    assert aim.struck["IngestTable"]


def test_should_lose_nothing_when_a_worker_is_killed_while_it_reads(world, rng, tally, quick, name):
    what, lane = "kill -9 while rows stream", large_lane(world, rng, name)
    killed = []
    for driver in ("mssql-python", "pymssql"):
        for _ in range(1 if quick else 3):
            after = rng.randrange(20_000, 11_000_000)
            aimed = []

            def kill(port: int, sent: int, more: int, after: int = after, aimed: list = aimed) -> None:
                if not aimed and sent <= after < sent + more:
                    pid = owner_of(port, [d.work.pid for d in world.chain.running if d.work.pid])
                    aimed.extend(d for d in world.chain.running if pid and d.work.pid == pid)
                    for delivery in aimed:
                        delivery.work.kill()

            with world.tds.ruled_by(kill), world.chain.with_variables(FLOWFORGE_DRIVER=driver):
                lane.load(tally, what)
            killed += aimed
    tally.add(what, kills=len(killed))
    assert {d.work.exit for d in killed} == {-9}


def test_should_land_a_batch_of_slices_once_wherever_their_workers_are_killed(world, aim, rng, tally, quick, name):
    what, lane = "kill -9 of slices", Lane(world, "full load", name, rng)
    lane.create(300)
    with world.chain.with_variables(FLOWFORGE_SLICE_ROWS="120"):
        lane.load(tally, what)
        points = [Point("call", n + 1) for n in range(max(aim.calls["IngestSlice"], aim.calls["IngestTable"]))]
        points += [Point("write", n + 1) for n in range(5)]
        for point in rng.sample(points, 2 if quick else 12):
            lane.write()
            only = strike(point)
            aim.at(lane.bronze, point, lambda call, d, only=only: only(call, d) if "Ingest" in d.function else None)
            lane.load(tally, what)
    tally.add(what, kills=aim.struck.total())
    assert "part-00000-of-" in world.bronze_keys(lane.bronze)[0]
    assert aim.struck["IngestSlice"] + aim.struck["IngestTable"]
