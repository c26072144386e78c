"""Requests with many tables, as the submission of a job and the loads of its tables see them."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from events.commands import IngestTable
from events.envelopes import http
from events.facts import BronzeLanded
from flowforge.aws import items
from flowforge.bronze.ingest import ingest
from flowforge.domain.given import given
from flowforge.operations.watermarks import commit_landed
from flowforge.state import batch_records, batches, runs, table
from functions.submit_job.handler import handler
from tests.helpers.function_calls import Aws, Context
from tests.helpers.standin import StandIn

TABLES = 6
ROUTE = "/api/workflows/{id}/run"


@dataclass
class Many:
    """Tables of one prefix, and the request that loads them: each with the settings of `entry`, by the cursor `column`."""

    aws: Aws
    server: StandIn
    prefix: str
    entry: dict[str, Any]
    column: str
    context: Context = field(default_factory=Context)

    def name(self, number: int) -> str:
        return f"{self.prefix}_{number:02}"

    def execute(self, *statements: str) -> None:
        with self.server.connect() as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def submit(self, tables: int = TABLES, **settings: Any) -> tuple[dict[str, Any], list[str]]:
        """The run as it is shown, and which tables were queued."""
        self.aws.messages("IngestQueue")
        run, commands = self.accepted(tables, **settings)
        return runs.read_run(run), [command.bronze.table.removeprefix("bronze_") for command in commands]

    def accepted(self, tables: int = TABLES, **settings: Any) -> tuple[str, list[IngestTable]]:
        where = {"host": "localhost", "port": self.server.port, "database": self.server.database, "driver": "pymssql"}
        entry = {"isIncremental": True, **self.entry, **settings}
        request = {
            "workflow_id": self.prefix,
            "job_id": "j",
            "source_type": "database",
            "source_config": {
                "type": "sql-server",
                "connection": where | {"secretId": "flowforge/counts/sa"},
                "databaseConfig": {"tables": [{"tableName": self.name(n), **entry} for n in range(tables)]},
            },
            "destination_config": {},
        }
        answer = handler(http("POST", ROUTE.replace("{id}", self.prefix), ROUTE, json.dumps(request)), self.context)
        assert answer["statusCode"] == 202, answer["body"]
        run = json.loads(answer["body"])["run_id"]
        bodies = [message["body"] for message in self.aws.messages("IngestQueue")]
        return run, [IngestTable.model_validate(body) for body in bodies if body["run_id"] == run]

    def load(self, command: IngestTable) -> int | None:
        """Loads a table, as far as its next load asks for; returns the rows that have landed."""
        for fact in ingest(command).facts:
            if isinstance(fact, BronzeLanded):
                commit_landed(fact)
                batch = batch_records.find_batch(fact.source_key, fact.generation, fact.seq)
                batches.mark(given(batch), refined=True)
                return fact.records
        return None

    def state(self, number: int) -> table.TableState:
        return table.resolve(f"bronze_{self.name(number)}")

    def mark(self, number: int) -> str:
        return self.state(number).watermarks[self.column].value

    def loaded_long_ago(self, number: int, hours: float) -> None:
        """The table's watermark was taken so long ago."""
        at = (datetime.now(UTC) - timedelta(hours=hours)).isoformat(timespec="seconds")
        self.change(number, committed_at=at)

    def change(self, number: int, **fields: Any) -> None:
        """Changes what is stored of a table's watermark."""
        state = self.state(number)
        marks = {self.column: state.watermarks[self.column].model_copy(update=fields)}
        items.transact([state.model_copy(update={"watermarks": marks}).put_action()])
