"""Tables that are loaded again and again while things go wrong, each of its own kind; and the look at what came of it."""

import random
from dataclasses import dataclass, field
from typing import Any

from flowforge.state import batch_records, table
from tests.faults.tally import Tally
from tests.faults.world import MANY, World

COLUMNS = "id, amount, note"
KINDS: dict[str, dict[str, Any]] = {
    "full load": {},
    "rowversion": {"isIncremental": True, "deltaColumn": "rv"},
    "timestamp": {"isIncremental": True, "deltaColumn": "changed"},
}
ALONE = {"changes": {"isIncremental": True, "changeTracking": True}}  # what tests of their own load


@dataclass
class Lane:
    """One table of the source and its loads. Rows are inserted, changed and (where a full load will see it) left alone."""

    world: World
    kind: str
    name: str
    rng: random.Random
    rows: int = 0
    loads: int = 0
    run_ids: list[str] = field(default_factory=list)

    @property
    def bronze(self) -> str:
        return f"bronze_{self.name}"

    def create(self, rows: int = 200) -> None:
        self.world.execute(
            f"CREATE TABLE {self.name} (id int PRIMARY KEY, amount decimal(15,2), note nvarchar(100), rv rowversion, "
            f"changed datetime2(3) DEFAULT SYSUTCDATETIME())"
        )
        self._insert(rows)

    def write(self) -> None:
        """A few random changes: new rows, and old ones that change."""
        self._insert(self.rng.randint(1, 30))
        low = self.rng.randint(1, self.rows)
        self.world.execute(
            f"UPDATE {self.name} SET amount = amount + {self.rng.randint(1, 99)}, note = N'Änderung {self.loads}', "
            f"changed = SYSUTCDATETIME() WHERE id BETWEEN {low} AND {low + self.rng.randint(0, 40)}"
        )

    def _insert(self, count: int) -> None:
        self.world.execute(
            f"INSERT INTO {self.name} (id, amount, note) SELECT transaction_id - 10000 + {self.rows}, amount, merchant "
            f"FROM transactions WHERE transaction_id <= {10_000 + count}"
        )
        self.rows += count

    def submit(self, **destination: Any) -> str:
        self.loads += 1
        self.run_ids.append(self.world.submit({"tableName": self.name, **(KINDS | ALONE)[self.kind]}, **destination))
        return self.run_ids[-1]

    def load(self, tally: Tally, what: str, **destination: Any) -> dict[str, Any]:
        """One load, to its end and checked; returns its run."""
        (run,) = load_all(self.world, [self], tally, what, **destination)
        return run

    def check(self, tally: Tally, what: str, run: dict[str, Any], in_step: bool = True) -> None:
        """The run is green, bronze holds the batches' objects and no other, and the layers hold the source's rows, once each."""
        (found,) = run["tables"]
        assert (run["status"], found["status"], found["error"]) == ("succeeded", found["status"], None), (
            self.world.chain.trail()
        )
        assert found["status"] in ("published", "empty")
        assert self.world.bronze_keys(self.bronze) == self.world.landed_keys(self.bronze)
        past = batch_records.history(table.resolve(self.bronze).source_key, MANY)
        assert {batch.state for batch in past} <= {"committed", "empty"}
        assert len({batch.command.run_id for batch in past}) == len(past), "a run has one batch"
        if in_step:
            checked, lost, doubled = self.world.compare(self.name, self.name, COLUMNS)
            tally.add(what, rows_checked=checked, lost=lost, doubled=doubled)
            assert (lost, doubled) == (0, 0), f"{self.kind} {self.name}"


def create_lanes(world: World, name: str, rng: random.Random) -> list[Lane]:
    """A table of each kind."""
    lanes = [Lane(world, kind, f"{name}_{n}", rng) for n, kind in enumerate(KINDS)]
    for lane in lanes:
        lane.create()
    return lanes


def load_all(world: World, lanes: list[Lane], tally: Tally, what: str, **destination: Any) -> list[dict[str, Any]]:
    """A load of each at the same time, to their ends and checked; returns their runs."""
    if any(lane.kind == "timestamp" for lane in lanes):
        world.settle()
    ended = world.chain.finish(*(lane.submit(**destination) for lane in lanes))
    world.chain.run_idle()
    for lane, run in zip(lanes, ended, strict=True):
        lane.check(tally, what, run)
    return ended
