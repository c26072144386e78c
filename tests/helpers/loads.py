"""A table of a real server and its loads through the product's own steps, in this process, with a proxy in front of S3.

The proxy says when something happens: while a batch's object is on its way all its rows have been read, and it has not landed.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from events.commands import IngestSlice, IngestTable
from events.facts import BronzeLanded
from events.targets import BronzeTarget, ConnectionReference, GoldTarget, SilverTarget, SourceTable
from flowforge.aws.clients import client
from flowforge.bronze.ingest import ingest
from flowforge.bronze.ingest_slice import ingest_slice
from flowforge.domain.source_key import SourceKey
from flowforge.operations.watermarks import commit_landed
from flowforge.runtime.settings import settings
from flowforge.state import batch_records, table
from tests.helpers.aws_proxy import AwsProxy, Call
from tests.helpers.standin import PASSWORD, StandIn, start, stop

READER = "reader"  # a login that does not see open transactions
OLD = "2024-05-05 05:05:05"
ROWS = "INSERT INTO {t} VALUES (10, '2024-01-01'), (20, '2024-02-02'), (30, '2024-03-03')"
MANY = "INSERT INTO {t} SELECT account_id, '2024-01-01' FROM accounts WHERE account_id < 1010"


def keep_login(name: str, login: str, port: int) -> None:
    """Keeps a login of the server at that port as a secret."""
    secret = json.dumps({"username": login, "password": PASSWORD, "host": "localhost", "port": port})
    client("secretsmanager").create_secret(Name=name, SecretString=secret)


@pytest.fixture(scope="package")
def server(aws_endpoint, tmp_path_factory) -> Iterator[StandIn]:
    started = start(tmp_path_factory.mktemp("tls"), "--bank", "--reader", READER)
    for login in ("sa", READER):
        keep_login(f"flowforge/counts/{login}", login, started.port)
    yield started
    stop(started)


@dataclass
class Loads:
    """One table of the server and its loads; `meanwhile` is what happens while an object is on its way, one act an object."""

    aws: Any
    server: StandIn
    name: str
    connection: ConnectionReference
    proxy: AwsProxy | None = None
    meanwhile: list[str | Callable[[], None]] = field(default_factory=list)

    def execute(self, *statements: str) -> None:
        with self.server.connect() as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement.format(t=self.name))

    def strike(self, call: Call) -> None:
        if call.operation == "S3.PUT" and f"bronze_{self.name}/" in call.path and self.meanwhile:
            act = self.meanwhile.pop(0)
            act() if callable(act) else self.execute(act)

    def command(self, run: str, column: str | None = "at", **source: Any) -> IngestTable:
        incremental = {"is_incremental": True, "delta_column": column} if column else {}
        return IngestTable(
            run_id=f"{self.name}_{run}",
            workflow_id="w",
            job_id="j",
            batch_id=run,
            connection=self.connection,
            source=SourceTable.model_validate({"table_name": self.name} | incremental | source),
            bronze=BronzeTarget(table=f"bronze_{self.name}"),
            silver=SilverTarget(table=self.name),
            gold=GoldTarget(table=self.name),
        )

    def load(self, run: str, column: str | None = "at", **source: Any) -> list[BronzeLanded]:
        """Loads as the queue would, with what is submitted again; commits what lands and returns it."""
        return self.follow(self.command(run, column, **source))

    def follow(self, command: IngestTable) -> list[BronzeLanded]:
        facts = [fact for fact in ingest(command).facts if isinstance(fact, BronzeLanded)]
        for again in self.submitted_again():
            facts += self.follow(again)
        for fact in facts:
            self.commit(fact)
        return facts

    def commit(self, fact: BronzeLanded) -> None:
        commit_landed(fact)

    def submitted_again(self) -> list[IngestTable]:
        bodies = [message["body"] for message in self.aws.messages("IngestQueue")]
        mine = [body for body in bodies if self.name.lower() in json.dumps(body).lower()]  # others may have left theirs
        return [IngestTable.model_validate(body) for body in mine]

    def watermark(self) -> str | None:
        return next((mark.value for mark in table.read_state(self.key).watermarks.values()), None)

    def states(self) -> list[str]:
        return [batch.state for batch in reversed(list(batch_records.history(self.key)))]

    @property
    def key(self) -> str:
        return str(SourceKey.of(self.connection, "dbo", self.name, f"bronze_{self.name}"))


@pytest.fixture(scope="module")
def load_proxy(aws) -> Iterator[AwsProxy]:
    """What loads reach AWS through: one for all tests of a module, whose clients then stay the same."""
    with AwsProxy(aws.endpoint) as proxy:
        yield proxy


@pytest.fixture
def loads(aws, server, unique, load_proxy, monkeypatch) -> Iterator[Callable[..., Loads]]:
    """Makes a table of its own with three rows, loaded through the proxy."""
    monkeypatch.setenv("FLOWFORGE_SOURCE_CA_FILE", str(server.ca_file))
    made: list[Loads] = []
    proxy = load_proxy
    proxy.forget()

    def strike(call: Call) -> None:
        for load in made:
            load.strike(call)

    with proxy.ruled_by(strike):
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)

        def make(at: str = "datetime2(3)", login: str = "sa", indexed: bool = True, rows: str = ROWS) -> Loads:
            # Not mssql-python: it reads the certificates to trust once in a process, and other folders have servers of their own.
            where = {"host": "localhost", "port": server.port, "database": server.database, "driver": "pymssql"}
            load = Loads(
                aws, server, unique("t"), ConnectionReference(**where, secret_id=f"flowforge/counts/{login}"), proxy
            )
            load.execute(f"CREATE TABLE {{t}} (id int PRIMARY KEY, at {at})", rows)
            if indexed:
                load.execute("CREATE INDEX by_at ON {t} (at)")
            aws.messages("IngestQueue")
            made.append(load)
            return load

        yield make
    monkeypatch.undo()


@pytest.fixture
def sliced(aws, monkeypatch) -> None:
    monkeypatch.setenv("FLOWFORGE_SLICE_ROWS", "2")
    monkeypatch.setenv("FLOWFORGE_SLICE_QUEUE_URL", aws.name("SliceQueue"))
    aws.messages("SliceQueue")


def run_slices(load: Loads) -> list[Any]:
    messages = load.aws.messages("SliceQueue")
    outcomes = [ingest_slice(IngestSlice.model_validate(message["body"])) for message in messages]
    return [fact for outcome in outcomes for fact in outcome.facts]


def landed(fact) -> list[dict]:
    body = client("s3").get_object(Bucket=settings().bucket, Key=fact.bronze_key)["Body"].read()
    return pq.read_table(pa.BufferReader(body)).to_pylist()
