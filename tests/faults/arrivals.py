"""Files that arrive in jobs' folders in every way that files do, and what must be in silver and gold of them.

A schedule is a list of steps made from a seed. Steps, of which `which` picks a file or a notice that is there by then:

    ("new",)            a file with content              ("empty",)         one of zero bytes
    ("change", which)   other content, or a first one    ("again", which)   the same content once more
    ("copy", which)     it under another name            ("delete", which)  it is gone, read or not
    ("notice", which, times)  what tells of a file comes so often, in any order; 0: it is lost
    ("request",)        the job is asked for by hand     ("sweep",)         what no event told of is looked for
    ("load", puts)      the chain runs until it has nothing to do; the steps `puts` happen amid its calls
    ("calm",)           the same, undisturbed, and swept: all that lies there is loaded by then

Guarantees: the model knows files and contents, no ledger, run or batch.
"""

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from events.envelopes import s3_object_created
from flowforge.domain.given import given
from flowforge.operations.query import query
from flowforge.state import file_jobs, file_ledger, table
from tests.faults.world import World

Step = tuple[Any, ...]
Rows = Counter[tuple[int, str]]
COLUMNS = [{"name": "id", "type": "bigint"}, {"name": "note"}]
ROWS_OF_A_FILE = 5
PUTS = ("new", "empty", "change", "change", "again", "copy", "delete")


@dataclass
class Naive:
    """A reader that loads a file whenever something tells of it, and nothing else."""

    rows: Rows = field(default_factory=Counter)

    def hear(self, content: Rows) -> None:
        self.rows += content


@dataclass
class Folder:
    """A job's folder. `wanted` are the rows that must have landed; of contents that were gone before anything was sure to have
    read them, `perhaps`, each is there as a whole or not at all."""

    world: World
    name: str
    there: dict[str, Rows] = field(default_factory=dict)
    sure: set[str] = field(default_factory=set)
    wanted: Rows = field(default_factory=Counter)
    perhaps: list[Rows] = field(default_factory=list)
    notices: list[dict[str, Any]] = field(default_factory=list)
    naive: Naive = field(default_factory=Naive)
    made: int = 0
    told: int = 0

    @property
    def bronze(self) -> str:
        return f"bronze_{self.name}"

    @property
    def key(self) -> str:
        return f"landing/{self.name}/daily/"

    # ---------------------------------------------------------------- what happens to files
    def put(self, file: str, rows: Rows) -> None:
        """A content in place of the one before, if any. Its notice waits to be sent."""
        if self.there.get(file) != rows:
            self._leave(file)
            self.there[file] = rows
            self.wanted += rows
        text = "".join(f"{id},{note}\n" for id, note in rows)
        body = f"id,note\n{text}".encode() if rows else b""
        answer = self.world.s3.put_object(Bucket=self.world.bucket, Key=self.key + file, Body=body)
        notice = s3_object_created(self.world.bucket, self.key + file, len(body))
        self.told += 1
        notice["detail"]["object"] |= {"etag": answer["ETag"].strip('"'), "sequencer": f"{self.told:018X}"}
        self.notices.append(notice)

    def delete(self, file: str) -> None:
        self._leave(file)
        self.world.s3.delete_object(Bucket=self.world.bucket, Key=self.key + file)

    def _leave(self, file: str) -> None:
        gone = self.there.pop(file, Counter())
        if gone and file not in self.sure:
            self.wanted -= gone
            self.perhaps.append(gone)
        self.sure.discard(file)

    def new_name(self) -> str:
        self.made += 1
        return f"{self.made:04d}.csv"

    def new_rows(self) -> Rows:
        self.made += 1
        return Counter((self.made * 1000 + n, f"é {n}") for n in range(ROWS_OF_A_FILE))

    def step(self, what: str, which: int = 0, times: int = 1) -> None:
        """A step of a schedule that needs no chain; one for which there is no file, or no notice, does nothing."""
        names = sorted(self.there)
        name = names[which % len(names)] if names else ""
        if what in ("new", "empty"):
            self.put(self.new_name(), self.new_rows() if what == "new" else Counter())
        elif what == "notice" and self.notices:
            self.tell(self.notices.pop(which % len(self.notices)), times)
        elif what == "request":
            self.submit()
        elif name and what == "change":
            self.put(name, self.new_rows())
        elif name and what == "again":
            self.put(name, self.there[name])
        elif name and what == "copy":
            self.put(self.new_name(), self.there[name])
        elif name and what == "delete":
            self.delete(name)

    def tell(self, notice: dict[str, Any], times: int = 1) -> None:
        """Sends a notice so often. The naive reader hears it as often."""
        for _ in range(times):
            self.world.send("SubmitQueue", notice)
            file = notice["detail"]["object"]["key"].removeprefix(self.key)
            self.naive.hear(self.there.get(file, Counter()))

    def submit(self) -> str:
        """Asks for the job; returns its run."""
        config = {"filePattern": f"{self.key}*.csv", "columns": COLUMNS, "changedFile": "append"}
        return self.world.submit_files(self.name, self.bronze, config)

    def fall_due(self) -> None:
        """As if the time until the sweep's next look at the job were over."""
        file_jobs.make_due(given(file_jobs.find(self.name, "daily")))

    # ---------------------------------------------------------------- what came of them
    def not_loaded(self) -> set[str]:
        """The files that lie there with content and that no batch has taken as they are."""
        state = table.resolve(self.bronze)
        taken = {(entry.file.key, entry.file.etag) for entry in file_ledger.taken_files(state)}
        pages = self.world.s3.get_paginator("list_objects_v2").paginate(Bucket=self.world.bucket, Prefix=self.key)
        found = [entry for page in pages for entry in page.get("Contents", []) if entry["Size"]]
        return {entry["Key"] for entry in found if (entry["Key"], entry["ETag"].strip('"')) not in taken}

    def compare(self) -> tuple[int, int, int]:
        """Rows compared, missing, and too many, in silver and gold."""
        lost = doubled = 0
        for layer in ("silver", "gold"):
            asked = query(f"SELECT id, note FROM {layer}.{self.name}", self.world.bucket)
            there = Counter((int(id), str(note)) for id, note in asked.rows)
            lost += (self.wanted - there).total()
            doubled += self.beyond(there).total()
        return 2 * self.wanted.total(), lost, doubled

    def beyond(self, there: Rows) -> Rows:
        """What of `there` nobody can have wanted."""
        extra = there - self.wanted
        for content in self.perhaps:
            extra -= content if content <= extra else Counter()
        return extra


def make_steps(chance: random.Random, loads: int = 2) -> list[Step]:
    """The steps of a schedule: files that come, what tells of them, so many loads with more files amid them, and a calm moment;
    and all of it once more."""
    steps: list[Step] = []
    for _ in range(2):
        steps.append(("new",))
        for _ in range(loads):
            steps += [_put(chance) for _ in range(chance.randint(1, 3))]
            steps += [
                ("notice", chance.randrange(1000), chance.choice((0, 1, 1, 2))) for _ in range(chance.randint(1, 4))
            ]
            steps += [(chance.choice(("request", "sweep", "sweep")),)] * (chance.random() < 0.6)
            steps.append(("load", tuple(_put(chance) for _ in range(chance.randint(1, 3)))))
        steps += [("new",), ("calm",)]  # something is there, whatever was deleted
    return steps


def _put(chance: random.Random) -> Step:
    what = chance.choice(PUTS)
    return (what,) if what in ("new", "empty") else (what, chance.randrange(1000))
