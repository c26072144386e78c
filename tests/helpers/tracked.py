"""A table under SQL Server's Change Tracking, and its loads to the end of silver."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from deltalake import DeltaTable

from events.commands import IngestTable
from events.facts import BronzeLanded, IntervalEmpty
from flowforge.bronze.ingest import ingest
from flowforge.bronze.outcome import Outcome
from flowforge.domain.given import given
from flowforge.operations.watermarks import commit_landed
from flowforge.runtime.settings import settings
from flowforge.silver.step import refine_landed
from flowforge.tables.lake import table_uri
from tests.helpers.aws_proxy import Call, Fault
from tests.helpers.loads import Loads, landed

ON = "IF NOT EXISTS (SELECT * FROM sys.change_tracking_databases) ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON"


@dataclass
class Tracked:
    """A table under Change Tracking and its loads, to the end of silver."""

    table: Loads
    silver: dict[str, Any] = field(default_factory=dict)
    source: dict[str, Any] = field(default_factory=dict)
    runs: int = 0
    before_claim: Callable[[], None] | None = None  # once, between what is planned and what is read

    fault: Fault | None = None  # of the next object's upload, once

    def strike(self, call: Call) -> Fault | None:
        if self.fault and call.operation == "S3.PUT" and f"bronze_{self.table.name}/" in call.path:
            fault, self.fault = self.fault, None
            return fault
        if self.before_claim and call.operation.endswith("TransactWriteItems"):
            act, self.before_claim = self.before_claim, None
            act()
        return None

    def execute(self, *statements: str) -> None:
        self.table.execute(*statements)

    def ask(self, text: str) -> Any:
        with self.table.server.connect() as connection, connection.cursor() as cursor:
            cursor.execute(text.format(t=self.table.name))
            return cursor.fetchall()

    def command(self, **source: Any) -> IngestTable:
        self.runs += 1
        wanted = {"is_incremental": True, "change_tracking": True, **self.source, **source}
        made = self.table.command(f"run{self.runs}", None, **wanted)
        return made.model_copy(update={"silver": made.silver.model_copy(update=self.silver)})

    def load(self, **source: Any) -> BronzeLanded | IntervalEmpty:
        """One load, to the end of silver."""
        (fact,) = self.follow(ingest(self.command(**source))).facts
        assert isinstance(fact, BronzeLanded | IntervalEmpty)
        return fact

    def follow(self, outcome: Outcome) -> Outcome:
        for fact in outcome.facts:
            if isinstance(fact, BronzeLanded):
                commit_landed(fact)
                assert refine_landed(fact) is not None
        return outcome

    def rows(self) -> list[dict[str, Any]]:
        uri = table_uri(settings().bucket, "silver", self.table.name)
        found = DeltaTable(uri, storage_options={"AWS_ALLOW_HTTP": "true"}).to_pyarrow_table().to_pylist()
        return sorted(found, key=lambda row: (row["id"], str(row["at"])))

    def silver_rows(self) -> list[tuple[int, str | None]]:
        return [(row["id"], row["at"] and str(row["at"].date())) for row in self.rows()]

    def source_rows(self) -> list[tuple[int, str | None]]:
        return [(key, at and str(at.date())) for key, at in self.ask("SELECT id, at FROM {t} ORDER BY id")]

    def agrees(self) -> bool:
        return self.silver_rows() == self.source_rows()

    def version(self) -> int:
        return self.ask("SELECT CHANGE_TRACKING_CURRENT_VERSION()")[0][0]


@pytest.fixture
def tracked(loads: Callable[..., Loads]) -> Iterator[Callable[..., Tracked]]:
    """Makes a table of three rows that is tracked from its first row on."""
    made: list[Tracked] = []

    def make(silver: dict[str, Any] | None = None, **source: Any) -> Tracked:
        table = loads(rows="SELECT 1", indexed=False)
        table.execute(ON, "ALTER TABLE {t} ENABLE CHANGE_TRACKING")
        table.execute("INSERT INTO {t} VALUES (10, '2024-01-01'), (20, '2024-02-02'), (30, '2024-03-03')")
        made.append(Tracked(table, silver or {}, source))
        proxy = given(table.proxy)
        others = proxy.rule
        proxy.rule = lambda call: made[-1].strike(call) or others(call)
        return made[-1]

    yield make
    for one in made:
        one.execute("EXEC flowforge_clock 'run'")


def kinds(fact: BronzeLanded) -> dict[int, str]:
    return {row["id"]: row["_change_type"] for row in landed(fact)}


MANY = (
    "INSERT INTO {t} VALUES (40, '2024-04-04'), (50, '2024-05-05'), (60, '2024-06-06'), (70, '2024-07-07')",
    "UPDATE {t} SET at = '2025-01-01' WHERE id = 10",
    "DELETE FROM {t} WHERE id IN (20, 60)",
)
