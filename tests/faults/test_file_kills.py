"""kill -9 at every boundary of a load of files: new files, other content under an old name, and a file beside a bad record.

Files are put while nothing runs, and between a worker's death and its successor's turn; each content is in silver and gold once.
"""

import json
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

import pytest

from flowforge.operations.query import query
from flowforge.state import batch_records, file_ledger, table
from tests.faults.aim import Point
from tests.faults.deliveries import Delivery
from tests.faults.kills import WRITES_OF_A_WORKER, strike
from tests.faults.tally import Tally
from tests.faults.world import MANY, World
from tests.helpers.aws_proxy import Call, Fault

pytestmark = pytest.mark.timeout(600)
SLICE_BYTES = {"csv": 200, "ndjson": 600}  # about a third of a file
COLUMNS = [{"name": "id", "type": "bigint"}, {"name": "amount", "type": "decimal(12,2)"}, {"name": "note"}]


@dataclass
class FileLane:
    """A job's folder. `wanted` are the rows of all contents that were put into it, but of those which were replaced while a load
    was under way: those, `perhaps`, are there as a whole or not at all."""

    world: World
    name: str
    rng: random.Random
    wanted: Counter[tuple[int, str, str]] = field(default_factory=Counter)
    files: list[str] = field(default_factory=list)
    perhaps: list[Counter[tuple[int, str, str]]] = field(default_factory=list)
    content: dict[str, Counter[tuple[int, str, str]]] = field(default_factory=dict)
    put_last: int = 0
    form: Literal["csv", "ndjson"] = "csv"

    @property
    def bronze(self) -> str:
        return f"bronze_{self.name}"

    def write(self) -> None:
        """One or two new files, and now and then other content under the name of one that was loaded."""
        for _ in range(self.rng.randint(1, 2)):
            self.write_one()
        if len(self.files) > 2 and self.rng.random() < 0.5:
            self._put(self.files[0])

    def write_one(self) -> None:
        """A new file."""
        self.files.append(f"{len(self.files):04d}.{self.form}")
        self._put(self.files[-1])

    def replace(self) -> None:
        """Other content in place of the newest, which a load may have read by now."""
        file = self.files[-1]
        self.wanted -= self.content[file]
        self.perhaps.append(self.content[file])
        self._put(file)

    def _put(self, file: str) -> None:
        rows = [(self.put_last + n, f"{self.rng.randint(0, 99_999) / 100:.2f}", f"é {n}") for n in range(1, 40)]
        self.put_last += len(rows)
        self.content[file] = Counter(rows)
        self.wanted += self.content[file]
        if self.form == "csv":
            lines = ["id,amount,note", *(",".join(map(str, row)) for row in rows), "bad,1,"]
        else:
            lines = [json.dumps({"id": n, "amount": amount, "note": note}) for n, amount, note in rows] + ["[]"]
        key = f"landing/{self.name}/daily/{file}"
        self.world.s3.put_object(Bucket=self.world.bucket, Key=key, Body="\n".join(lines).encode())

    def submit(self) -> str:
        config = {"columns": COLUMNS, "badRows": "quarantine", "mostBadShare": 0.1, "changedFile": "append"}
        return self.world.submit_files(self.name, self.bronze, config, self.form)

    def run(self) -> None:
        """One load, to its end."""
        (run,) = self.world.chain.finish(self.submit())
        self.world.chain.run_idle()
        (found,) = run["tables"]
        assert (run["status"], found["error"]) == ("succeeded", None), self.world.chain.trail()

    def load(self, tally: Tally, what: str) -> None:
        """One load, to its end and checked."""
        self.run()
        objects, landed = self.world.bronze_keys(self.bronze), self.world.landed_keys(self.bronze)
        assert objects == landed or (self.perhaps and set(objects) >= set(landed))
        state = table.resolve(self.bronze)
        past = batch_records.history(state.source_key, MANY)
        assert {batch.state for batch in past} <= {"committed"} | ({"voided"} if self.perhaps else set())
        assert {(one.rows, one.rejected) for one in file_ledger.entries(state.source_key)} == {(39, 1)}
        lost = doubled = 0
        for layer in ("silver", "gold"):
            asked = f"SELECT id, CAST(amount AS VARCHAR), note FROM {layer}.{self.name}"
            there = Counter(tuple(row) for row in query(asked, self.world.bucket).rows)
            for content in self.perhaps:
                there -= content if content <= there else Counter()
            lost += (self.wanted - there).total()
            doubled += (there - self.wanted).total()
        tally.add(what, rows_checked=2 * self.wanted.total(), lost=lost, doubled=doubled)
        assert (lost, doubled) == (0, 0)


def test_should_land_each_content_once_wherever_a_worker_is_killed(world, aim, rng: random.Random, tally, quick, name):
    what, lane = "kill -9 at every call, files", FileLane(world, name, rng)
    lane.write()
    lane.load(tally, what)  # nobody is killed: how many calls a load makes is seen
    points = [Point("write", n + 1) for n in range(WRITES_OF_A_WORKER)]
    points += [Point("call", n + 1) for n in range(max(aim.calls.values()))]
    rng.shuffle(points)
    for point in points[:4] if quick else points:
        lane.write()
        aim.at(lane.bronze, point, strike(point))
        lane.load(tally, what)
    tally.add(what, kills=aim.struck.total())
    assert aim.struck["IngestTable"] or quick


def test_should_read_no_mixture_where_a_file_is_replaced_when_its_reader_dies(world, aim, rng, tally, quick, name):
    what, lane = "files replaced under a dying worker", FileLane(world, name, rng)
    lane.write()
    lane.load(tally, what)
    calls = range(2, aim.calls["IngestTable"])
    for number in rng.sample(calls, min(3 if quick else 10, len(calls))):

        def replaced(call: Call, delivery: Delivery) -> Fault | None:
            def act() -> None:
                delivery.work.kill()
                lane.replace()

            return Fault("before", act) if delivery.function == "IngestTable" else None

        lane.write()
        aim.at(lane.bronze, Point("call", number), replaced)
        lane.run()
        lane.load(tally, what)  # what was put too late for the one before
    tally.add(what, kills=aim.struck.total())
    assert aim.struck["IngestTable"] or quick


@pytest.mark.sampled(1)
@pytest.mark.parametrize("form", ["csv", "ndjson"])
def test_should_land_a_file_in_slices_once_wherever_their_workers_are_killed(
    world, aim, rng: random.Random, tally, quick, name, form
):
    what, lane = "kill -9 of slices of a file", FileLane(world, name, rng, form=form)
    with world.chain.with_variables(FLOWFORGE_SLICE_BYTES=str(SLICE_BYTES[form])):
        lane.write_one()
        lane.load(tally, what)
        assert "part-00000-of-" in world.bronze_keys(lane.bronze)[0]
        points = [Point("call", n + 1) for n in range(max(aim.calls["IngestSlice"], aim.calls["IngestTable"]))]
        points += [Point("write", n + 1) for n in range(5)]
        for point in rng.sample(points, 1 if quick else 8):
            lane.write_one()
            only = strike(point)
            aim.at(lane.bronze, point, lambda call, d, only=only: only(call, d) if "Ingest" in d.function else None)
            lane.load(tally, what)
    tally.add(what, kills=aim.struck.total())
    assert aim.struck["IngestSlice"] or quick
