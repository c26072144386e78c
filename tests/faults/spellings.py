"""Tables whose keys are spelt anew while they are loaded: each has a number of its own for a key, which no spelling changes."""

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from flowforge.operations.query import query
from tests.faults.tally import Tally
from tests.faults.world import World

CI, CS, AI = "SQL_Latin1_General_CP1_CI_AS", "Latin1_General_100_CS_AS", "Latin1_General_100_CI_AI"
ACCENTS = str.maketrans("AEIOUaeiou", "ÀÉÎÖÚàéîöú")
WIDE = {chr(n): chr(n + 0xFEE0) for n in range(0x21, 0x7F)}


@dataclass(frozen=True)
class Kind:
    """How a table's keys are compared: the collation of `code`, and of `part` where the key has two columns."""

    code: str
    part: str | None = None

    @property
    def key(self) -> str:
        return "code, part" if self.part else "code"


KINDS = {
    "CI": Kind(CI),
    "CS": Kind(CS),
    "AI": Kind(AI),
    "CS with CI varchar": Kind(CS, CI),
    "CI with CS varchar": Kind(CI, CS),
}


def respelt(rng: random.Random, text: str, collation: str, plain: bool = False) -> str:
    """Another spelling of a key, which the collation takes for the same; of a `plain` one in the letters of its code page."""
    turns = {
        "swapcase": 0.5 * ("_CI_" in collation),
        "accent": 0.3 * collation.endswith("_AI"),
        "wide": 0.2 * (not plain),
    }
    made = {
        "swapcase": str.swapcase,
        "accent": lambda one: one.translate(ACCENTS),
        "wide": lambda one: WIDE.get(one, one),
    }
    letters = list(text)
    for turn, share in turns.items():
        letters = [made[turn](letter) if rng.random() < share else letter for letter in letters]
    return "".join(letters) + " " * rng.choice([0, 0, 1, 2])


def text_of(number: int, collation: str) -> str:
    """The text of a key; where case counts, two neighbours differ by nothing else."""
    if "_CI_" in collation:
        return f"Konto {number:03}"
    return f"{'KONTO' if number % 2 else 'Konto'} {number // 2:03}"


@dataclass
class SpellingLane:
    """One table and its loads. `alive` are the numbers of keys that the source has, `gone` of those that it had, `unseen` of
    those whose deletion no load could see yet."""

    world: World
    kind: Kind
    strategy: str
    name: str
    rng: random.Random
    alive: set[int] = field(default_factory=set)
    gone: set[int] = field(default_factory=set)
    unseen: set[int] = field(default_factory=set)
    versions: int = 0

    @property
    def bronze(self) -> str:
        return f"bronze_{self.name}"

    @property
    def columns(self) -> str:
        return f"number, {self.kind.key}, v"

    def create(self, rows: int = 12) -> None:
        part = f"part varchar(12) COLLATE {self.kind.part} NOT NULL, " if self.kind.part else ""
        self.world.execute(
            f"CREATE TABLE {self.name} (code nvarchar(24) COLLATE {self.kind.code} NOT NULL, {part}number int NOT NULL, "
            f"v int NOT NULL, changed rowversion, PRIMARY KEY ({self.kind.key}))",
            *(self._insert(number) for number in range(rows)),
        )

    def write(self) -> None:
        """A few random changes, each in a transaction of its own: keys are spelt anew, deleted, and come back spelt otherwise."""
        acts = [self._respell, self._respell, self._change, self._delete, self._come_back, self._come_back]
        statements = [self._insert(len(self.alive | self.gone)), self._respell()]
        statements += [self.rng.choice(acts)() for _ in range(self.rng.randint(3, 8))]
        self.world.execute(*filter(None, statements))

    def submit(self, refresh: bool) -> str:
        silver = {"silverConfig": {"tableName": self.name, "mergeStrategy": self.strategy}}
        if refresh:
            return self.world.submit({"tableName": self.name}, bronzeConfig={"loadStrategy": "full_refresh"}, **silver)
        return self.world.submit({"tableName": self.name, "isIncremental": True, "deltaColumn": "changed"}, **silver)

    def check(self, tally: Tally, what: str, run: dict[str, Any], refreshed: bool) -> None:
        """The run is green; silver shows each key of the source once, spelt as the source spells it; a history is closed."""
        (found,) = run["tables"]
        assert (run["status"], found["error"]) == ("succeeded", None), self.world.chain.trail()
        assert not found["quarantined"], found
        if refreshed:
            self.unseen.clear()
        wanted, current = Counter(self.world.ask(f"SELECT {self.columns} FROM {self.name}")), Counter(self._current())
        lost, doubled = (wanted - current).total(), (current - wanted).total() + self._open_twice()
        tally.add(what, rows_checked=wanted.total(), lost=lost, doubled=doubled)
        assert (wanted - current, current - wanted, doubled) == (Counter(), Counter(), 0), (
            f"{self.kind} {self.strategy}"
        )

    def _current(self) -> list[tuple]:
        current = " WHERE _is_current" if self.strategy == "scd2" else ""
        rows = self._silver(f"SELECT {self.columns} FROM silver.{self.name}{current}")
        return [row for row in rows if row[0] not in self.unseen]

    def _open_twice(self) -> int:
        """Versions of a history that end after the next one of their key begins, or never."""
        if self.strategy != "scd2":
            return 0
        following = "lead(_valid_from) OVER (PARTITION BY number ORDER BY _valid_from) AS following"
        rows = f"SELECT *, {following} FROM silver.{self.name}"
        wrong = "following < coalesce(_valid_to, 'infinity') OR _is_current <> (_valid_to IS NULL)"
        return self._silver(f"SELECT count(*) FROM ({rows}) WHERE {wrong}")[0][0]

    def _silver(self, question: str) -> list[tuple]:
        return query(question, self.world.bucket).rows

    def _key(self, number: int) -> dict[str, str]:
        """The columns of a key in a spelling of its own."""
        code, part = self.kind.code, self.kind.part
        key = {"code": "N'" + respelt(self.rng, text_of(number, code), code) + "'"}
        if part:
            key["part"] = "'" + respelt(self.rng, text_of(number, part), part, plain=True) + "'"
        return key

    def _insert(self, number: int) -> str:
        self.alive.add(number)
        self.gone.discard(number)
        self.unseen.discard(number)
        self.versions += 1
        cells = self._key(number) | {"number": str(number), "v": str(self.versions)}
        return f"INSERT INTO {self.name} ({', '.join(cells)}) VALUES ({', '.join(cells.values())})"

    def _respell(self) -> str:
        key = self._key(self._some(self.alive))
        cells = key | ({"v": f"v + {self.rng.randint(1, 9)}"} if self.rng.random() < 0.5 else {})
        changes = ", ".join(f"{column} = {value}" for column, value in cells.items())
        return f"UPDATE {self.name} SET {changes} WHERE number = {self.last}"

    def _change(self) -> str:
        return f"UPDATE {self.name} SET v = v + 100 WHERE number = {self._some(self.alive)}"

    def _delete(self) -> str:
        if len(self.alive) < 3:
            return ""
        number = self._some(self.alive)
        self.alive.discard(number)
        self.gone.add(number)
        self.unseen.add(number)
        return f"DELETE FROM {self.name} WHERE number = {number}"

    def _come_back(self) -> str:
        """A key that was deleted, in another spelling; '' where there is none."""
        return self._insert(self._some(self.gone)) if self.gone else ""

    def _some(self, numbers: set[int]) -> int:
        self.last = self.rng.choice(sorted(numbers))
        return self.last
