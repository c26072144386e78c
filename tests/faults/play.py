"""Plays a schedule: real sessions write into a real server while the product's own steps load the table, and a naive reader too.

After every load the rows of the landed objects are taken down; at the end source, bronze and silver are compared.
"""

import itertools
import random
import uuid
from collections import Counter
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import pyarrow.parquet as pq
import pymssql

from events.commands import IngestTable
from events.facts import BronzeLanded
from events.targets import BronzeTarget, ConnectionReference, GoldTarget, SilverTarget, SourceTable
from flowforge.bronze.ingest import ingest
from flowforge.domain.given import given
from flowforge.engines.registry import ENGINE
from flowforge.operations.watermarks import commit_landed
from flowforge.silver.step import refine_landed
from flowforge.state import batch_records
from flowforge.tables.lake import open_table, table_uri
from flowforge.tables.rows import relation
from tests.faults.schedules import WRITERS, Schedule

START = "2026-03-28 22:10:00"
CONFLICTS = (1205, 1222, 3960)


class Source:
    """One table of a server, with sessions that write to it and a clock in the test's hand."""

    def __init__(self, connections: list[pymssql.Connection], schedule: Schedule):
        self.schedule, self.kind = schedule, schedule.kind
        self.name = f"s_{uuid.uuid4().hex[:12]}"
        self.cursors = [connection.cursor() for connection in connections[:WRITERS]]
        self.reader = connections[WRITERS].cursor()
        self.open: set[int] = set()
        self.keys = 0
        self.versions = itertools.count(1)
        self.column = "id" if "IDENTITY" in self.kind.declaration else "c"
        self.reader.execute(
            f"EXEC flowforge_clock 'set', '{START}'; EXEC flowforge_clock 'zone', {schedule.zone_minutes}"
        )
        self.reader.execute(f"CREATE TABLE {self.name} ({_columns(schedule)})")

    def close(self) -> None:
        for writer in list(self.open):
            self.cursors[writer].execute("ROLLBACK")
        self.reader.execute(f"EXEC flowforge_clock 'run'; DROP TABLE {self.name}")

    def step(self, what: str, *details: Any) -> None:
        getattr(self, f"_{what}")(*details)

    def advance(self, milliseconds: int) -> None:
        self.reader.execute(f"EXEC flowforge_clock 'advance', {milliseconds}")

    _advance = advance

    def _begin(self, writer: int, isolation: str) -> None:
        if writer not in self.open:
            self.cursors[writer].execute(f"SET TRANSACTION ISOLATION LEVEL {isolation}; BEGIN TRANSACTION")
            self.open.add(writer)

    def _insert(self, writer: int, rows: int) -> None:
        values = ", ".join(f"({self._row()})" for _ in range(rows))
        self._write(writer, f"INSERT INTO {self.name} ({', '.join(self._named())}) VALUES {values}")

    def _update(self, writer: int, which: int) -> None:
        stamp = f", c = {self._stamp()}" if self.kind.stamped else ""
        self._write(
            writer, f"UPDATE {self.name} SET v = {next(self.versions)}{stamp} WHERE id = {which % (self.keys + 1)}"
        )

    def _commit(self, writer: int) -> None:
        self._end(writer, "COMMIT")

    def _rollback(self, writer: int) -> None:
        self._end(writer, "ROLLBACK")

    def _end(self, writer: int, word: str) -> None:
        if writer in self.open:
            self.open.discard(writer)
            self.cursors[writer].execute(word)

    def _named(self) -> list[str]:
        return ["v"] + ["id"] * (self.column != "id") + ["c"] * self.kind.stamped

    def _row(self) -> str:
        self.keys += 1
        cells = {"v": str(next(self.versions)), "id": str(self.keys), "c": self._stamp()}
        return ", ".join(cells[name] for name in self._named())

    def _stamp(self) -> str:
        return self.kind.utc if self.schedule.clock == "utc" else self.kind.local

    def _write(self, writer: int, text: str) -> None:
        """Runs a statement; a conflict with another writer ends it, and 1205 and 3960 the transaction too."""
        try:
            self.cursors[writer].execute(text)
        except pymssql.Error as error:
            if error.args[0] not in CONFLICTS:
                raise
            self.cursors[writer].execute("IF @@TRANCOUNT > 0 ROLLBACK")
            self.open.discard(writer)

    def rows(self) -> list[tuple]:
        """(key, version, cursor) of what is committed."""
        self.reader.execute(f"SELECT id, v, {self.column} AS c FROM {self.name}")
        return self.reader.fetchall()


def _columns(schedule: Schedule) -> str:
    key, declaration = "PRIMARY KEY" if schedule.keyed else "", schedule.kind.declaration
    if "IDENTITY" in declaration:
        return f"id {declaration} NOT NULL {key}, v int NOT NULL"
    return f"id int NOT NULL {key}, v int NOT NULL, c {declaration} NOT NULL"


class NaiveReader:
    """What most tools do: rows above the greatest cursor seen. The control: it must be seen to lose rows."""

    def __init__(self, source: Source):
        self.source, self.seen = source, {}
        self.newest: Any = None

    def load(self) -> None:
        rows = [row for row in self.source.rows() if self.newest is None or row[2] > self.newest]
        self.seen.update({key: version for key, version, _ in rows})
        self.newest = max([cursor for _, _, cursor in rows] + [self.newest] * (self.newest is not None), default=None)


@dataclass
class Loader:
    """Loads the table as the functions do: ingest, commit, refine; keeps what landed."""

    source: Source
    reference: ConnectionReference
    s3: Any
    bronze: Counter = field(default_factory=Counter)
    landed: list[BronzeLanded] = field(default_factory=list)

    def load(self) -> None:
        command = self._command()
        for fact in ingest(command).facts:
            if isinstance(fact, BronzeLanded):
                commit_landed(fact)
                self.landed.append(fact)
                self._take_down(fact)

    def _command(self) -> IngestTable:
        source, run = self.source, uuid.uuid4().hex
        return IngestTable(
            run_id=run, workflow_id="w", job_id="j", batch_id=run, connection=self.reference,
            source=SourceTable.model_validate({"table_name": source.name, "is_incremental": True, "delta_column": source.column,
                                               "cursor_clock": source.schedule.clock}),
            bronze=BronzeTarget(table=f"bronze_{source.name}", load_strategy="incremental"),
            silver=SilverTarget(table=source.name), gold=GoldTarget(table=source.name),
        )  # fmt: skip

    def _take_down(self, fact: BronzeLanded) -> None:
        batch = batch_records.find_batch(fact.source_key, fact.generation, fact.seq)
        manifest = given(given(batch).manifest)
        for found in manifest.objects:
            body = self.s3.get_object(Bucket=manifest.bucket, Key=found.key, IfMatch=found.etag)["Body"].read()
            rows = pq.ParquetFile(BytesIO(body)).read(columns=["id", "v"], use_threads=False).to_pylist()
            self.bronze.update((row["id"], row["v"]) for row in rows)

    def refine(self, chance: random.Random) -> list[tuple]:
        """Applies all batches, in any order and some of them twice; returns silver's (key, version)."""
        facts = self.landed + chance.sample(self.landed, len(self.landed) // 2)
        chance.shuffle(facts)
        for fact in facts:
            refine_landed(fact)
        if not facts:
            return []
        bucket = facts[0].bronze_file_path.split("/")[2]
        with ENGINE.session() as session:
            return (
                relation(session, given(open_table(table_uri(bucket, "silver", self.source.name))))
                .project("id, v")
                .fetchall()
            )


@dataclass(frozen=True)
class Verdict:
    """What a schedule came to; counts are rows."""

    rows_checked: int
    lost: tuple = ()
    doubled: tuple = ()
    control_lost: int = 0
    loads: int = 0


def play(
    schedule: Schedule, connections: list[pymssql.Connection], reference: ConnectionReference, s3: Any, silver: bool
) -> Verdict:
    """Plays a schedule to its end, loads what is left, and compares; with `silver` there too."""
    source = Source(connections, schedule)
    loader, naive = Loader(source, reference, s3), NaiveReader(source)
    try:
        loads = 0
        for step in schedule.steps:
            if step[0] == "load":
                loads += 1
                loader.load()
                naive.load()
            else:
                source.step(*step)
        for writer in list(source.open):
            source.step("commit", writer)
        numbers = source.column == "id" or schedule.kind.repeats
        waits = numbers and not schedule.sighted  # numbers must age before a blind login trusts them
        for _ in range(1 + waits):
            source.advance(2 * 86_400_000)  # a date waits for its day to end, by the clock that is furthest behind
            loader.load()
            naive.load()
        return _compare(source, loader, naive, silver, loads + 1 + waits)
    finally:
        source.close()


def _compare(source: Source, loader: Loader, naive: NaiveReader, silver: bool, loads: int) -> Verdict:
    """Every row's last version must have landed; a version may land again only where silver knows it by its key or content."""
    final = {key: version for key, version, _ in source.rows()}
    lost = {item for item in final.items() if item not in loader.bronze}
    again = source.schedule.keyed or source.kind.repeats
    doubled = set() if again else {item for item, count in loader.bronze.items() if count > 1}
    if silver:
        kept = loader.refine(random.Random(source.schedule.seed))
        lost |= set(final.items()) - set(kept)
        counts = Counter(key for key, _ in kept)
        doubled |= {(key, version) for key, version in kept if counts[key] > 1 or final.get(key) != version}
    lost_by_naive = sum(naive.seen.get(key) != version for key, version in final.items())
    return Verdict(len(final), tuple(sorted(lost)), tuple(sorted(doubled)), lost_by_naive, loads)
