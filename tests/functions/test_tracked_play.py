"""Whatever happens to a table and its log, silver has what the source has, or the load says why not; a reader that asks for
changes and checks nothing beside it loses rows in the same play."""

import random

from events.facts import BronzeLanded
from flowforge.bronze.ingest import ingest
from flowforge.domain.errors import Retriable, Wait
from tests.helpers.aws_proxy import Fault
from tests.helpers.tracked import Tracked

STEPS = 9
SEED = 8  # draws every write and accident, and three loads whose first try fails
WRITES = (
    "INSERT INTO {{t}} SELECT {new}, '2024-01-0{digit}'",
    "UPDATE {{t}} SET at = '2025-02-0{digit}' WHERE id % 3 = {digit} % 3",
    "DELETE FROM {{t}} WHERE id % 4 = {digit} % 4",
    "UPDATE {{t}} SET id = {new} WHERE id = (SELECT MAX(id) FROM {{t}})",
    "DELETE FROM {{t}} WHERE id = (SELECT MIN(id) FROM {{t}})",
)
ACCIDENTS = (
    ["EXEC flowforge_tracking 'clean', 'dbo.{{t}}', {version}"],
    ["TRUNCATE TABLE {{t}}", "INSERT INTO {{t}} VALUES ({new}, '2024-01-01')"],
    [
        "ALTER TABLE {{t}} DISABLE CHANGE_TRACKING",
        "DELETE FROM {{t}} WHERE id > 20",
        "ALTER TABLE {{t}} ENABLE CHANGE_TRACKING",
    ],
)


class Naive:
    """What most people write: the last version is kept, and what CHANGETABLE gives since then is applied."""

    def __init__(self, source: Tracked):
        self._source = source
        self.version, self.rows = source.version(), dict(source.source_rows())

    def load(self) -> None:
        version = self._source.version()
        asked = f"SELECT c.id, c.SYS_CHANGE_OPERATION, t.at FROM CHANGETABLE(CHANGES dbo.{{t}}, {self.version}) AS c"
        for key, operation, at in self._source.ask(f"{asked} LEFT JOIN dbo.{{t}} AS t ON t.id = c.id"):
            self.rows.pop(key, None)
            if operation != "D":
                self.rows[key] = at and str(at.date())
        self.version = version


def happen(source: Tracked, rng: random.Random, number: int) -> None:
    """Some writes, in transactions of their own or in one; now and then an accident."""
    new = 100 + 10 * number
    for _ in range(rng.randint(0, 3)):
        new += 1
        source.execute(rng.choice(WRITES).format(new=new, digit=rng.randint(1, 9)))
    if rng.random() < 0.35:
        for text in rng.choice(ACCIDENTS):
            source.execute(text.format(new=new + 1, version=source.version()))


def load(source: Tracked, rng: random.Random) -> None:
    """One load as the queue would make it: its message comes again after a failure, and while it has to wait."""
    command = source.command()
    if rng.random() < 0.3:
        source.fault = Fault("instead", status=503, code="SlowDown")
    for _ in range(8):
        try:
            outcome = source.follow(ingest(command))
        except (Retriable, Wait):
            continue
        assert all(isinstance(fact, BronzeLanded) for fact in outcome.facts) or source.agrees()
        return
    raise AssertionError("the load did not end")


def test_should_agree_with_the_source_after_every_load_where_a_naive_reader_does_not(tracked):
    rng, source = random.Random(SEED), tracked(on_gap="full_refresh", allow_empty_refresh=True)
    load(source, rng)
    naive, wrong = Naive(source), 0
    for number in range(STEPS):
        happen(source, rng, number)
        with source.table.server.connect(autocommit=False) as late, late.cursor() as cursor:
            cursor.execute(f"INSERT INTO {source.table.name} VALUES ({9000 + number}, '2020-01-01')")
            load(source, rng)
            naive.load()
            seen = source.source_rows()
            assert source.silver_rows() == seen, number
            wrong += naive.rows != dict(seen)
            late.commit()
    load(source, rng)
    assert source.agrees()
    assert wrong
