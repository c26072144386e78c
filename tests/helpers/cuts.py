"""Tables whose rows belong together, and their loads as of one moment, to the end of gold."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from deltalake import DeltaTable

from events.commands import IngestCut, IngestTable
from events.facts import BronzeLanded, GoldPublished, IntervalEmpty, SilverRefined
from events.targets import GoldModelTarget, GoldTarget
from flowforge.bronze.cut import ingest_cut
from flowforge.bronze.ingest import ingest
from flowforge.bronze.outcome import Outcome
from flowforge.domain.given import given
from flowforge.gold.step import publish_refined
from flowforge.operations.watermarks import commit_landed
from flowforge.runtime.settings import settings
from flowforge.silver.step import refine_landed
from flowforge.tables.lake import table_uri
from tests.helpers.aws_proxy import Call, Fault
from tests.helpers.loads import Loads
from tests.helpers.tracked import ON

MONEY = 3 * 100


@dataclass
class Ledger:
    """Two tables of accounts, `at` is what each holds, and a gold model of all that they hold together."""

    tables: list[Loads]
    runs: int = 0
    refined: list[SilverRefined] = field(default_factory=list)
    published: list[GoldPublished] = field(default_factory=list)
    chained: bool = False  # the model reads the second table through a gold table of its own
    refused: str = ""  # the place that S3 takes nothing below

    @property
    def names(self) -> list[str]:
        return [table.name for table in self.tables]

    @property
    def total(self) -> str:
        return f"total_{self.names[0]}"

    def strike(self, call: Call) -> Fault | None:
        if self.refused and call.operation == "S3.PUT" and self.refused in call.path:
            return Fault("instead", status=403, code="AccessDenied")
        return None

    def execute(self, *statements: str) -> None:
        """Statements in one transaction; {0} and {1} are the tables."""
        with self.tables[0].server.connect(autocommit=False) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement.format(*self.names))
            connection.commit()

    def transfer(self, amount: int, account: int = 1) -> None:
        """Moves money from the second table to the first: what both hold together is what it was."""
        self.execute(
            f"UPDATE {{1}} SET at = at - {amount} WHERE id = {account}",
            f"UPDATE {{0}} SET at = at + {amount} WHERE id = {account}",
        )

    def commands(self, together: bool = True, **source: Any) -> list[IngestTable]:
        self.runs += 1
        places = [f"silver.{name}" for name in self.names]
        models = []
        if self.chained:
            places[1] = f"gold.part_{self.names[1]}"
            models = [GoldModelTarget(table=places[1][5:], sql=f'SELECT id, "at" FROM silver.{self.names[1]}')]
        sums = " + ".join(f'(SELECT sum("at") FROM {place})' for place in places)
        models.append(GoldModelTarget(table=self.total, sql=f"SELECT {sums} AS held"))
        wanted = {"is_incremental": True, "change_tracking": True, "consistent_cut": together, **source}
        return [
            table.command(f"run{self.runs}", None, **wanted).model_copy(
                update={
                    "run_id": f"run{self.runs}_{self.names[0]}",
                    "gold": GoldTarget(table=table.name, models=self._own(table, models)),
                }
            )
            for table in self.tables
        ]

    def _own(self, table: Loads, models: list[GoldModelTarget]) -> list[GoldModelTarget]:
        """The models of a table's own job: a gold table that is made of one table is that one's alone."""
        return [model for model in models if model.table == self.total or table is self.tables[1]]

    def command(self, **source: Any) -> IngestCut:
        tables = self.commands(**source)
        return IngestCut(run_id=tables[0].run_id, tables=tables)

    def load(self, **source: Any) -> list[BronzeLanded | IntervalEmpty]:
        """One load of both as of one moment, to the end of gold."""
        return self.follow(ingest_cut(self.command(**source)))

    def load_apart(self) -> list[BronzeLanded | IntervalEmpty]:
        """One load of both, each as of its own moment."""
        return [fact for command in self.commands(together=False) for fact in self.follow(ingest(command))]

    def follow(self, outcome: Outcome) -> list[Any]:
        for fact in outcome.facts:
            if isinstance(fact, BronzeLanded):
                commit_landed(fact)
                self.refined.append(given(refine_landed(fact)))
                self.published.append(given(publish_refined(self.refined[-1])))
        return list(outcome.facts)

    def lake(self, layer: str, name: str) -> DeltaTable:
        return DeltaTable(table_uri(settings().bucket, layer, name), storage_options={"AWS_ALLOW_HTTP": "true"})

    def held(self) -> list[int]:
        """What each version of the gold model says that the tables hold together."""
        table = self.lake("gold", self.total)
        found = []
        for version in range(table.version() + 1):
            table.load_as_version(version)
            found += [row["held"] for row in table.to_pyarrow_table().to_pylist()]
        return found

    def silver(self) -> list[list[tuple[int, int]]]:
        tables = [self.lake("silver", name).to_pyarrow_table().to_pylist() for name in self.names]
        return [sorted((row["id"], row["at"]) for row in rows) for rows in tables]

    def source(self) -> list[list[tuple[int, int]]]:
        with self.tables[0].server.connect() as connection, connection.cursor() as cursor:
            found = []
            for name in self.names:
                cursor.execute(f"SELECT id, at FROM {name} ORDER BY id")
                found.append([tuple(row) for row in cursor.fetchall()])
        return found

    def version(self) -> int:
        with self.tables[0].server.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT CHANGE_TRACKING_CURRENT_VERSION()")
            return int(str(given(cursor.fetchone())[0]))

    def cuts(self) -> list[int | None]:
        """The version that each silver table, and then the gold model, says that it is as of."""
        places = [*(("silver", name) for name in self.names), ("gold", self.total)]
        return [self.lake(*place).transaction_version("flowforge/cut") for place in places]


@pytest.fixture
def ledger(loads: Callable[..., Loads]) -> Iterator[Ledger]:
    tables = [loads(at="int", rows="SELECT 1", indexed=False) for _ in range(2)]
    tables[0].execute(ON)
    for table in tables:
        table.execute("ALTER TABLE {t} ENABLE CHANGE_TRACKING", "INSERT INTO {t} VALUES (1, 50), (2, 50), (3, 50)")
    made = Ledger(tables)
    proxy = given(tables[0].proxy)
    others = proxy.rule
    proxy.rule = lambda call: made.strike(call) or others(call)
    yield made
