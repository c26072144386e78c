"""A large file that is loaded in slices: its rows, rejects, numbers and report are those of the file read at once."""

import io
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from events.commands import IngestSlice, IngestTable
from events.facts import BronzeLanded
from events.files import FileColumn, FileContract
from events.targets import BronzeTarget, FilePlace, GoldTarget, SilverTarget, SourceFiles
from flowforge.aws import items
from flowforge.aws.clients import client
from flowforge.bronze.ingest import ingest
from flowforge.bronze.ingest_slice import ingest_slice
from flowforge.domain.errors import FileRefused
from flowforge.operations.rebuild import rebuild
from flowforge.operations.watermarks import commit_landed
from flowforge.runtime.settings import settings
from flowforge.state import batch_records, file_ledger, file_refusals, leases
from flowforge.state.table import read_state

COLUMNS = [FileColumn(name="id", field="Id", type="bigint"), FileColumn(name="note", field="Note")]
CSV = FileContract(format="csv", columns=COLUMNS)
QUARANTINE = CSV.model_copy(update={"bad_rows": "quarantine", "most_bad_rows": 2, "most_bad_share": 0.5})


class Load:
    """One job's files, and its load up to bronze."""

    def __init__(self, aws: Any, name: str, contract: FileContract):
        self.aws, self.name, self.contract = aws, name, contract

    @property
    def file(self) -> str:
        return f"landing/{self.name}/a.csv"

    @property
    def key(self) -> str:
        return f"s3://{settings().bucket}/{self.name}.daily>bronze_{self.name}"

    def put(self, text: str | bytes) -> None:
        body = text if isinstance(text, bytes) else text.encode()
        client("s3").put_object(Bucket=settings().bucket, Key=self.file, Body=body)

    def command(self) -> IngestTable:
        return IngestTable(
            run_id=f"{self.name}_run",
            workflow_id="w",
            job_id="j",
            batch_id=f"{self.name}_run",
            connection=FilePlace(bucket=settings().bucket),
            source=SourceFiles(
                workflow=self.name, job="daily", contract=self.contract, pattern=f"landing/{self.name}/*"
            ),
            bronze=BronzeTarget(table=f"bronze_{self.name}"),
            silver=SilverTarget(table=self.name, strategy="append"),
            gold=GoldTarget(table=self.name),
        )

    def queued(self) -> list[IngestSlice]:
        """Plans and claims the file; the messages of its slices."""
        assert ingest(self.command()).facts == []
        return self.messages()

    def messages(self) -> list[IngestSlice]:
        found = [IngestSlice.model_validate(message["body"]) for message in self.aws.messages("SliceQueue")]
        return sorted((one for one in found if one.source_key == self.key), key=lambda one: one.index)

    def entry(self) -> file_ledger.FileEntry:
        (found,) = file_ledger.taken_files(read_state(self.key))
        return found

    def states(self) -> list[str]:
        return [batch.state for batch in reversed(list(batch_records.history(self.key)))]


@pytest.fixture
def load(aws, unique, monkeypatch):
    monkeypatch.setenv("FLOWFORGE_SLICE_BYTES", "100")
    monkeypatch.setenv("FLOWFORGE_SLICE_QUEUE_URL", aws.name("SliceQueue"))
    return lambda contract=CSV: Load(aws, unique("f"), contract)


def landed(outcomes: list[Any]) -> BronzeLanded:
    """What the slices announced: one batch, however often."""
    (fact,) = {fact.batch_id: fact for outcome in outcomes for fact in outcome.facts}.values()
    return fact


def forget(source_key: str) -> None:
    """Removes all that is stored of a source, as a table that was lost."""
    for partition in (source_key, f"FILES#{source_key}"):
        for item in list(items.query(settings().watermarks_table, "pk = :pk", {":pk": partition})):
            items.delete(settings().watermarks_table, {"pk": item["pk"], "sk": item["sk"]})


def rows_in(prefix: str) -> list[dict[str, Any]]:
    """The rows of all Parquet objects below a prefix, in the order of their keys."""
    s3, bucket = client("s3"), settings().bucket
    keys = [one["Key"] for one in s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])]
    bodies = (s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys)
    return [row for body in bodies for row in pq.read_table(io.BytesIO(body)).to_pylist()]


def text_of(rows: int, bad: tuple[int, ...] = ()) -> str:
    """A file with a quoted line end in each row; `bad` are rows whose id is none."""
    lines = [f'{"x" if n in bad else n},"note, {n}\n7,8"' for n in range(1, rows + 1)]
    return "\n".join(["Id,Note", *lines, ""])


def test_should_land_each_record_once_with_its_number_and_the_rejects_with_their_places(load):
    file = load(QUARANTINE)
    file.put(text := text_of(40, bad=(2, 37)))
    first, *others = file.queued()
    assert len(others) >= 4
    outcomes = [ingest_slice(others[-1]), ingest_slice(first), ingest_slice(first), *map(ingest_slice, others)]
    fact = landed(outcomes)
    assert (fact.records, fact.source_rows) == (38, 38)
    good = [n for n in range(1, 41) if n not in (2, 37)]
    rows = rows_in(f"bronze/bronze_{file.name}/")
    assert [(row["id"], row["_row_number"], row["note"]) for row in rows] == [(n, n, f"note, {n}\n7,8") for n in good]
    rejects = rows_in(f"rejected/bronze_{file.name}/")
    places = [(one["row_number"], one["line"], one["byte_offset"]) for one in rejects]
    begins = [text.encode().index(f'x,"note, {n}\n'.encode()) for n in (2, 37)]
    assert places == [(2, 4, begins[0]), (37, 74, begins[1])]
    commit_landed(fact)
    entry = file.entry()
    assert (entry.rows, entry.rejected, entry.first_rejected[:7]) == (38, 2, "line 4,")


@pytest.mark.parametrize(
    ("contract", "bad", "told"),
    [
        (CSV, (37,), "line 74, column id"),
        (QUARANTINE, (2, 20, 37), "3 of its 40 records do not fit, and 2 and a share"),
    ],
    ids=["strict", "a budget over all slices"],
)
def test_should_refuse_the_whole_file_for_the_records_of_some_slices(load, contract, bad, told):
    file = load(contract)
    file.put(text_of(40, bad))

    def read_all() -> None:
        for command in file.queued():
            ingest_slice(command)

    with pytest.raises(FileRefused, match=told):
        read_all()
    assert file.states() == ["voided"]
    assert list(file_ledger.taken_files(read_state(file.key))) == []
    assert [one.file.key for one in file_refusals.refusals(file.key)] == [file.file]


def test_should_go_on_with_the_slices_that_are_left_when_workers_have_gone(load):
    file = load()
    file.put(text_of(40))
    first, *others = file.queued()
    ingest_slice(first)
    leases.release(next(iter(batch_records.history(file.key))))
    left = file.queued()
    assert left == others
    assert landed([ingest_slice(one) for one in left]).records == 40


def test_should_land_parquet_by_its_row_groups_and_go_on_when_workers_have_gone(load):
    never = COLUMNS[0].model_copy(update={"nullable": False})
    file = load(QUARANTINE.model_copy(update={"format": "parquet", "columns": [never, COLUMNS[1]]}))
    ids = [None if n == 37 else n for n in range(1, 41)]
    body = io.BytesIO()
    pq.write_table(pa.table({"Id": ids, "Note": [f"n{n}" for n in range(40)]}), body, row_group_size=8)
    file.put(body.getvalue())
    first, *others = file.queued()
    assert len(others) >= 3
    ingest_slice(first)
    leases.release(next(iter(batch_records.history(file.key))))
    left = file.queued()
    assert left == others
    commit_landed(landed([ingest_slice(one) for one in (left[-1], *left)]))
    rows = rows_in(f"bronze/bronze_{file.name}/")
    assert [(row["_row_number"], row["id"]) for row in rows] == [(n, n) for n in ids if n]
    assert [one["row_number"] for one in rows_in(f"rejected/bronze_{file.name}/")] == [37]
    assert (file.entry().rows, file.entry().rejected) == (39, 1)


def test_should_know_the_file_after_a_rebuild_from_bronze(load):
    file = load(QUARANTINE)
    file.put(text_of(40, bad=(37, 38)))
    commit_landed(landed([ingest_slice(one) for one in file.queued()]))
    forget(file.key)
    rebuild(settings().bucket, f"bronze_{file.name}", write=True)
    assert (file.entry().rows, file.entry().rejected) == (38, 2)


def test_should_plan_a_file_anew_that_was_replaced_while_its_slices_were_read(load):
    file = load()
    file.put(text_of(40))
    first, *others = file.queued()
    ingest_slice(first)
    file.put(text_of(50))
    assert all(ingest_slice(one).facts == [] for one in others)
    assert file.states() == ["voided"]
    (again,) = [
        command
        for message in file.aws.messages("IngestQueue")
        if (command := IngestTable.model_validate(message["body"])).run_id == file.command().run_id
    ]
    assert ingest(again).facts == []
    fact = landed([ingest_slice(one) for one in file.messages()])
    assert (fact.records, file.states()) == (50, ["voided", "landed"])
