"""`python -m tests.faults.soak [--minutes 10] [--seed N]`: loads without a pause, under random writes, kill -9 and lost replies.

Every round writers change the source while loads run; then they pause, the last rows are loaded, and source, silver and gold
are compared row by row. A line of progress for each comparison; the last line is one JSON object. It fails at the first drift.
"""

import argparse
import json
import random
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path

from flowforge.cli.streams import open_streams
from flowforge.cli.surroundings import leave_account_out, reach_directly
from tests.faults.lanes import Lane, create_lanes, load_all
from tests.faults.servers import open_world
from tests.faults.tally import Tally
from tests.faults.world import World
from tests.helpers.aws_proxy import Call, Fault

WHAT = "soak: random writes, kills and lost replies"
KILLED, LOST = 0.01, 0.01  # of all calls
LOADS_BETWEEN_LOOKS = 4


class Trouble:
    """A rule for the proxy: kills a worker before or after a call, or loses a reply, each in such a share of calls; only in a
    message's first delivery, so that none is given up."""

    def __init__(self, world: World, rng: random.Random, killed: float = KILLED, lost: float = LOST):
        self.world, self.rng, self.kills, self.faults = world, rng, 0, 0
        self.killed, self.lost = killed, lost

    def __call__(self, call: Call) -> Fault | None:
        delivery = self.world.chain.deliveries.get(call.worker)
        drawn = self.rng.random()
        if delivery is None or delivery.attempt > 1 or drawn > self.killed + self.lost:
            return None
        if drawn > self.killed:
            self.faults += 1
            return Fault("after")
        self.kills += 1
        return Fault(self.rng.choice(("before", "after")), delivery.work.kill)


@contextmanager
def writing(lanes: list[Lane]) -> Iterator[None]:
    """Changes the tables for as long as the block runs; raises what a writer has met."""
    stop = threading.Event()

    def write(lane: Lane) -> None:
        while not stop.wait(lane.rng.uniform(0.1, 1.0)):
            lane.write()

    with ThreadPoolExecutor(len(lanes)) as pool:
        writers = [pool.submit(write, lane) for lane in lanes]
        try:
            yield
        finally:
            stop.set()
    for writer in writers:
        writer.result()


def soak(world: World, minutes: float, rng: random.Random, tally: Tally) -> None:
    """Loads until the time is over. Raises AssertionError at a drift."""
    lanes = create_lanes(world, "soak", rng)
    for lane in lanes:
        lane.rng = random.Random(rng.random())
    started, trouble = time.monotonic(), Trouble(world, random.Random(rng.random()))
    with world.aws.ruled_by(trouble):
        while time.monotonic() - started < 60 * minutes:
            before = trouble.kills, trouble.faults
            with writing(lanes):
                for _ in range(LOADS_BETWEEN_LOOKS):
                    world.chain.finish(*(lane.submit() for lane in lanes))
            try:
                load_all(world, lanes, tally, WHAT)
            finally:
                tally.add(WHAT, schedules=1, kills=trouble.kills - before[0], faults=trouble.faults - before[1])
            print(progress(time.monotonic() - started, lanes, trouble), flush=True)


def progress(seconds: float, lanes: list[Lane], trouble: Trouble) -> str:
    loads, rows = sum(lane.loads for lane in lanes), sum(lane.rows for lane in lanes)
    return (
        f"{seconds:5.0f} s  {loads:,} loads, {trouble.kills:,} kills, {trouble.faults:,} replies lost; "
        f"{rows:,} rows at the source: no drift"
    )


def main() -> int:
    open_streams()
    reach_directly()
    leave_account_out()
    parser = argparse.ArgumentParser(prog="python -m tests.faults.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**9))
    chosen = parser.parse_args()
    again = f"seed {chosen.seed}: --seed {chosen.seed} repeats this run"
    print(again, flush=True)
    tally, failed = Tally(), False
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        try:
            soak(open_world(stack, Path(folder)), chosen.minutes, random.Random(chosen.seed), tally)
        except AssertionError:
            traceback.print_exc()
            failed = True
    print(
        "",
        *tally.table(),
        *(["", again] if failed else []),
        "",
        json.dumps(asdict(tally.total())),
        sep="\n",
        flush=True,
    )
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
