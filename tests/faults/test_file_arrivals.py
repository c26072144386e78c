"""Files that come in every way, while workers die: each content is in silver and gold once, and none is missing.

Random schedules of files, notices, requests, sweeps and loads; a naive reader beside, which takes what it is told of, loses and
doubles on the same ones. And kill -9 at every write of what hears a notice, of the sweep, and of what looks for files after a
batch.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

import pytest

from flowforge.runtime.settings import settings
from flowforge.state import file_jobs
from tests.faults.arrivals import Folder, Step, make_steps
from tests.faults.deliveries import Delivery
from tests.faults.tally import Tally
from tests.faults.world import World
from tests.helpers.aws_proxy import Call, Fault, is_write

pytestmark = pytest.mark.timeout(1200)

SCHEDULES, QUICK_SCHEDULES = 4, 1  # each of so many folders side by side:
FOLDERS = 3
KILLED, LOST = 0.02, 0.02  # of all calls of first deliveries
PARTS = {"notice": "SubmitJob", "sweep": "Watermark", "follow-up": "Watermark"}
OFTEN = 0.15  # of all calls that are about a folder: a file comes meanwhile


@pytest.fixture(scope="module", autouse=True)
def by_hand(world: World) -> Iterator[None]:
    """S3 tells of nothing by itself, and the workers that start runs get one message at a time."""
    before, sources = world.s3.get_bucket_notification_configuration(Bucket=world.bucket), world.chain.sources
    before.pop("ResponseMetadata")
    world.s3.put_bucket_notification_configuration(Bucket=world.bucket, NotificationConfiguration={})
    world.chain.sources = [
        replace(source, batch_size=1) if source.function in PARTS.values() else source for source in sources
    ]
    yield
    world.s3.put_bucket_notification_configuration(Bucket=world.bucket, NotificationConfiguration=before)
    world.chain.sources = sources


def open_folders(world: World, name: str) -> list[Folder]:
    """Folders whose jobs are known, and have had no file yet."""
    folders = [Folder(world, f"{name}_{n}") for n in range(FOLDERS)]
    world.chain.finish(*(folder.submit() for folder in folders))
    world.chain.run_idle()
    return folders


def sweep(world: World, folders: list[Folder]) -> int | None:
    """The sweep, when these jobs' time has come; returns how it ended."""
    for folder in folders:
        folder.fall_due()
    return world.chain.invoke("Watermark", {"sweep": True}).exit


def check(folders: list[Folder], tally: Tally, what: str) -> None:
    """Nothing that lies there is waiting, and silver and gold hold what they must."""
    told = []
    for folder in folders:
        checked, lost, doubled = folder.compare()
        tally.add(what, rows_checked=checked, lost=lost, doubled=doubled)
        told.append((folder.name, lost, doubled))
    assert {(lost, doubled) for _, lost, doubled in told} == {(0, 0)}, (told, folders[0].world.chain.trail())


@dataclass
class Amid:
    """A rule: files come at some of the calls that are about a folder, and some workers die there or hear no reply; each only in
    a message's first delivery, and few of those that load one folder's batches, so that none is given up."""

    world: World
    rng: random.Random
    waiting: dict[str, list[Step]] = field(default_factory=dict)
    folders: dict[str, Folder] = field(default_factory=dict)
    struck: Counter[str] = field(default_factory=Counter)  # loads of a folder, since the chain had nothing to do
    kills: int = 0
    faults: int = 0

    def __call__(self, call: Call) -> Fault | None:
        delivery = self.world.chain.deliveries.get(call.worker)
        if delivery is None or delivery.attempt > 1:
            return None
        text = call.path + call.body.decode(errors="replace")
        for name, steps in self.waiting.items():
            if steps and name in text and self.rng.random() < OFTEN:
                self.folders[name].step(*steps.pop(0))
        drawn = self.rng.random()
        if drawn > KILLED + LOST or not self._may_strike(delivery):
            return None
        if drawn > KILLED:
            self.faults += 1
            return Fault("after")
        self.kills += 1
        return Fault(self.rng.choice(("before", "after")), delivery.work.kill)

    def _may_strike(self, delivery: Delivery) -> bool:
        """A message that waits is sent anew, and so may come for the first time again; but a batch that has cost as many workers
        as a message may is given up."""
        if delivery.function != "IngestTable":
            return True
        self.struck[delivery.table] += 1
        return self.struck[delivery.table] < settings().max_attempts


def play(world: World, played: list[tuple[Folder, list[Step]]], amid: Amid) -> None:
    """Plays the schedules side by side: each up to its next load, then the chain for all."""
    folders = [folder for folder, _ in played]
    amid.folders = {folder.name: folder for folder in folders}
    left = [(folder, list(steps)) for folder, steps in played]
    while any(steps for _, steps in left):
        swept, calm = False, False
        amid.waiting = {}
        for folder, steps in left:
            while steps and (step := steps.pop(0))[0] not in ("load", "calm"):
                swept |= step[0] == "sweep"
                folder.step(*step) if step[0] != "sweep" else None
            calm |= step[0] == "calm"
            amid.waiting[folder.name] = list(step[1]) if step[0] == "load" else []
        amid.struck.clear()
        with world.aws.ruled_by(amid):
            if swept:
                sweep(world, folders)
            world.chain.run_idle()
        for folder in folders:
            for step in amid.waiting[folder.name]:
                folder.step(*step)
        if calm:
            assert sweep(world, folders) == 0
            world.chain.run_idle()
            for folder in folders:
                assert folder.not_loaded() == set(), (file_jobs.find(folder.name, "daily"), world.chain.trail())
                folder.sure = set(folder.there)


def test_should_land_each_content_once_however_files_come(world, rng, tally, quick, name):
    what, lost, doubled = "files that come in any way", 0, 0
    for number in range(QUICK_SCHEDULES if quick else SCHEDULES):
        folders = open_folders(world, f"{name}_{number}")
        played = [(folder, make_steps(rng, 1 if quick else 2)) for folder in folders]
        print(*(f"{folder.name}: {steps}" for folder, steps in played), sep="\n")
        amid = Amid(world, rng)
        play(world, played, amid)
        lost += (by_naive := sum((f.wanted - f.naive.rows).total() for f in folders))
        doubled += sum(f.beyond(f.naive.rows).total() for f in folders)
        tally.add(what, schedules=len(folders), kills=amid.kills, faults=amid.faults, control_lost=by_naive)
        check(folders, tally, what)
    assert lost > 0 and (doubled > 0 or quick), "the schedules are too tame to prove anything"


@dataclass(frozen=True)
class Death:
    """Where a worker dies: before or after the n-th write, from 1 on, that it makes in this part of the work."""

    part: str  # of PARTS
    number: int
    when: Literal["before", "after"]


@dataclass
class Deaths:
    """A rule: each folder has one death, or none, and may have a file come while its batch is read. `writes` are the most that a
    worker has made in each part."""

    world: World
    waiting: dict[str, Death] = field(default_factory=dict)
    amid: dict[str, Callable[[], None]] = field(default_factory=dict)
    writes: dict[str, int] = field(default_factory=dict)
    made: dict[tuple[str, str], int] = field(default_factory=dict)
    struck: int = 0

    def __call__(self, call: Call) -> Fault | None:
        delivery = self.world.chain.deliveries.get(call.worker)
        if delivery is None or not is_write(call):
            return None
        text = call.path + call.body.decode(errors="replace")
        for name in [name for name in self.amid if f"bronze/bronze_{name}/" in text and call.operation == "S3.PUT"]:
            self.amid.pop(name)()
        found = part_of(delivery)
        about = next(
            (n for n in self.waiting if n in (text if found == "sweep" else delivery.messages[0]["Body"])), None
        )
        return self._judge(call, delivery, found, about) if found and about else None

    def _judge(self, call: Call, delivery: Delivery, part: str, name: str) -> Fault | None:
        number = self.made[call.worker, name] = self.made.get((call.worker, name), 0) + 1
        self.writes[part] = max(self.writes.get(part, 0), number)
        death = self.waiting[name]
        if (death.part, death.number) != (part, number):
            return None
        self.waiting[name] = replace(death, number=0)
        self.struck += 1
        return Fault(death.when, delivery.work.kill)


def part_of(delivery: Delivery) -> str:
    """Which part of the work a worker does; '' for another."""
    if not delivery.messages:
        return "sweep"
    told = delivery.messages[0]["Body"]
    if delivery.function == "SubmitJob":
        return "notice" if "Object Created" in told else ""
    return "follow-up" if delivery.function == "Watermark" and '"BronzeLanded"' in told else ""


def arrive(world: World, folders: list[Folder], deaths: dict[str, Death], rule: Deaths) -> None:
    """A file comes into each folder, whose death is met; then all is loaded that lies there, without another sweep."""
    rule.waiting = dict(deaths)
    for folder in folders:
        folder.put(folder.new_name(), folder.new_rows())
        if deaths[folder.name].part != "sweep":
            folder.tell(folder.notices[-1])
        if deaths[folder.name].part == "follow-up":
            rule.amid[folder.name] = lambda folder=folder: folder.put(folder.new_name(), folder.new_rows())
    to_sweep = [folder for folder in folders if deaths[folder.name].part == "sweep"]
    ends = (sweep(world, to_sweep) for _ in range(len(to_sweep) + 1))  # it dies once for each of them at most
    assert not to_sweep or 0 in ends, world.chain.trail()
    world.chain.run_idle()
    assert {
        folder.name: (deaths[folder.name], folder.not_loaded()) for folder in folders if folder.not_loaded()
    } == {}, world.chain.trail()


def test_should_land_each_content_once_wherever_what_starts_a_run_is_killed(world, rng, tally, quick, name):
    what, folders = "kill -9 at every write, of what starts runs of files", open_folders(world, name)
    with world.aws.ruled_by(Deaths(world)) as rule:
        alive = {folder.name: Death(part, 0, "before") for folder, part in zip(folders, PARTS, strict=True)}
        arrive(world, folders, alive, rule)  # nobody is killed: what each part writes is seen
        assert set(rule.writes) == set(PARTS)
        deaths = [
            Death(part, n + 1, when)
            for part, most in sorted(rule.writes.items())
            for n in range(most)
            for when in ("before", "after")
        ]
        rng.shuffle(deaths)
        for first in range(0, FOLDERS if quick else len(deaths), FOLDERS):
            some = deaths[first : first + FOLDERS]
            arrive(world, folders, alive | dict(zip(alive, some, strict=False)), rule)
        assert rule.struck or quick
    check(folders, tally, what)
    tally.add(what, kills=rule.struck)
