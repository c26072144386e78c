"""A job of files of its own for a test: it puts files, loads them to gold, and reads what the lake then has."""

from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from events.commands import IngestTable
from events.facts import BronzeLanded, IntervalEmpty
from events.files import FileColumn, FileContract
from events.targets import BronzeTarget, FilePlace, GoldTarget, SilverTarget, SourceFiles
from flowforge.aws import items
from flowforge.aws.clients import client
from flowforge.bronze.ingest import ingest
from flowforge.bronze.outcome import Outcome
from flowforge.domain.errors import StoreUnavailable
from flowforge.gold.step import publish_refined
from flowforge.operations.rebuild_silver import rebuild_silver
from flowforge.operations.watermarks import commit_landed
from flowforge.runtime.settings import settings
from flowforge.silver.step import refine_landed
from flowforge.state import batch_records, file_ledger
from flowforge.state.table import read_state
from flowforge.tables.lake import table_uri
from tests.helpers.aws_proxy import AwsProxy, Fault

COLUMNS = [
    FileColumn(name="id", field="Id", type="bigint"),
    FileColumn(name="amount", field="Amount", type="decimal(18,2)"),
    FileColumn(name="note", field="Note"),
]
CSV = FileContract(format="csv", columns=COLUMNS)


@dataclass
class Job:
    """A job of files of its own: what lies below its folder, and its loads."""

    name: str
    silver: dict[str, Any] = field(default_factory=lambda: {"strategy": "append"})
    bronze: dict[str, Any] = field(default_factory=dict)
    contract: FileContract = CSV
    source: dict[str, Any] = field(default_factory=dict)
    runs: int = 0

    def put(self, file: str, *rows: str, header: str = "Id,Amount,Note") -> str:
        key, body = f"landing/{self.name}/{file}", "\n".join([header, *rows, ""]).encode()
        client("s3").put_object(Bucket=settings().bucket, Key=key, Body=body)
        return key

    def remove(self, key: str) -> None:
        client("s3").delete_object(Bucket=settings().bucket, Key=key)

    def command(self, **source: Any) -> IngestTable:
        self.runs += 1
        run = f"{self.name}_run_{self.runs}"
        wanted = {"pattern": f"landing/{self.name}/*", **self.source, **source}
        return IngestTable(
            run_id=run,
            workflow_id="w",
            job_id="j",
            batch_id=run,
            connection=FilePlace(bucket=settings().bucket),
            source=SourceFiles(workflow=self.name, job="daily", contract=self.contract, **wanted),
            bronze=BronzeTarget(table=f"bronze_{self.name}", **self.bronze),
            silver=SilverTarget(table=self.name, **self.silver),
            gold=GoldTarget(table=self.name),
        )

    def load(self, **source: Any) -> Outcome:
        """One load, to the end of gold."""
        return self.follow(ingest(self.command(**source)))

    def follow(self, outcome: Outcome) -> Outcome:
        for fact in outcome.facts:
            if isinstance(fact, BronzeLanded):
                commit_landed(fact)
                refined = refine_landed(fact)
                assert refined is not None
                publish_refined(refined)
        return outcome

    def rows(self, layer: str = "silver") -> list[dict[str, Any]]:
        table = DeltaTable(table_uri(settings().bucket, layer, self.name), storage_options=delta_options())
        return sorted(table.to_pyarrow_table().to_pylist(), key=lambda row: (row["id"], str(row["amount"])))

    def ids(self, layer: str = "silver") -> list[int]:
        return [row["id"] for row in self.rows(layer)]

    @property
    def key(self) -> str:
        return f"s3://{settings().bucket}/{self.name}.daily>bronze_{self.name}"

    def taken(self) -> dict[str, file_ledger.FileEntry]:
        return {entry.file.key: entry for entry in file_ledger.taken_files(read_state(self.key))}

    def states(self) -> list[str]:
        return [batch.state for batch in reversed(list(batch_records.history(self.key)))]


def delta_options() -> dict[str, str]:
    return {"AWS_ALLOW_HTTP": "true"}


def in_bronze(fact: BronzeLanded) -> pa.Table:
    body = client("s3").get_object(Bucket=settings().bucket, Key=fact.bronze_key)["Body"].read()
    return pq.read_table(pa.BufferReader(body))


def only(outcome: Outcome) -> BronzeLanded:
    (fact,) = outcome.facts
    assert isinstance(fact, BronzeLanded)
    return fact


def why_nothing(outcome: Outcome) -> IntervalEmpty:
    (fact,) = outcome.facts
    assert isinstance(fact, IntervalEmpty)
    return fact


@pytest.fixture
def job(aws, unique):
    return lambda **settled: Job(unique("f"), **settled)


def forget(source_key: str) -> None:
    """Removes all that is stored of a source, as a table that was lost."""
    table = settings().watermarks_table
    for partition in (source_key, f"FILES#{source_key}", f"TYPES#{source_key}"):
        for item in list(items.query(table, "pk = :pk", {":pk": partition})):
            items.delete(table, {"pk": item["pk"], "sk": item["sk"]})


REPLACING = {"changed": "replace"}
KEYED = {"strategy": "merge", "primary_key": ["id"]}


def is_rebuilt_the_same(files: Job) -> bool:
    return rebuild_silver(settings().bucket, files.name, False, 1000).difference.equal


def notes(files: Job, layer: str = "silver") -> dict[int, str]:
    return {row["id"]: row["note"] for row in files.rows(layer) if not row.get("_is_deleted")}


def landed_apart(files: Job, *puts: tuple[str, ...], **source: Any) -> list[BronzeLanded]:
    """Each file in a batch of its own, committed and not yet in silver."""
    found = []
    for file, *rows in puts:
        files.put(file, *rows)
        found.append(only(ingest(files.command(**source))))
        commit_landed(found[-1])
    return found


def waiting_notes(files: Job) -> list[str]:
    """What is in quarantine, by its notes."""
    uri = table_uri(settings().bucket, "quarantine", files.name)
    table = DeltaTable(uri, storage_options=delta_options()).to_pyarrow_table()
    return sorted(table.column("note").to_pylist())


DEBEZIUM = {"c": "insert", "r": "insert", "u": "update", "d": "delete"}
CDC = {"1": "delete", "2": "insert", "3": "before", "4": "update"}
LETTERS = {"I": "insert", "U": "update", "D": "delete"}
CHANGES = "Op,Id,Amount,Note"


def of_changes(operations: dict[str, str], **contract: Any) -> FileContract:
    column = {"name": "_change_type", "field": "Op", "nullable": False, "operations": operations}
    told = FileColumn.model_validate(column)
    return CSV.model_copy(update={"columns": [told, *COLUMNS], **contract})


def refused(monkeypatch: pytest.MonkeyPatch, aws: Any, part: str, step: Any) -> None:
    """The step, whose first object with `part` in its key is not taken, as where its worker dies there."""
    with AwsProxy(aws.endpoint) as proxy, monkeypatch.context() as patched:
        proxy.rule = lambda call: (
            Fault("instead", status=400, code="AccessDenied")
            if call.operation == "S3.PUT" and part in call.path
            else None
        )
        patched.setenv("AWS_ENDPOINT_URL", proxy.url)
        with pytest.raises(StoreUnavailable):
            step()
