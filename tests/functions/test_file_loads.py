"""Files from their bucket to gold, by the commands that a job of files makes: each content once, each record accounted for."""

import json
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from botocore.exceptions import ClientError
from deltalake import DeltaTable

from events.api.watermarks import Acceptance, NewWatermark
from events.commands import IngestTable
from events.facts import BronzeLanded, IntervalEmpty
from events.files import FileColumn, FileContract
from events.request import InvalidRequest
from events.targets import BronzeTarget, FilePlace, GoldTarget, SilverTarget, SourceFiles
from flowforge.aws import items
from flowforge.aws.clients import client
from flowforge.bronze.ingest import ingest
from flowforge.bronze.orphaned_objects import remove_orphaned_objects
from flowforge.bronze.outcome import Outcome
from flowforge.domain.errors import (
    FileRefused,
    LakeChanged,
    StoreUnavailable,
    TransformRejected,
    UnsupportedSource,
    Wait,
)
from flowforge.gold.step import publish_refined
from flowforge.lineage.steps import steps_of
from flowforge.operations.rebuild import rebuild
from flowforge.operations.rebuild_silver import rebuild_silver
from flowforge.operations.watermarks import accept_by_hand, commit_landed, reset_by_hand, set_by_hand
from flowforge.runtime.settings import settings
from flowforge.silver.release import release
from flowforge.silver.step import refine_landed
from flowforge.state import batch_records, file_ledger, file_refusals
from flowforge.state.table import read_state
from flowforge.tables.lake import table_uri
from tests.helpers.aws_proxy import AwsProxy, Call, Fault

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
        table = DeltaTable(table_uri(settings().bucket, layer, self.name), storage_options=_options())
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


def _options() -> dict[str, str]:
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


def test_should_load_new_files_once_and_in_the_order_of_their_names_up_to_gold(job):
    files = job()
    second, first = files.put("b.csv", "3,3.50,c", "4,4,"), files.put("a.csv", "1,1.10,a", '2,2.20,""')
    fact = only(files.load())
    assert (fact.records, fact.source_rows, fact.source_table) == (4, 4, f"{files.name}.daily")
    bronze = in_bronze(fact)
    assert bronze.column("_source_file").to_pylist() == [first, first, second, second]
    assert bronze.column("_row_number").to_pylist() == [1, 2, 1, 2]
    assert bronze.column("note").to_pylist() == ["a", "", "c", None]
    assert files.ids("silver") == files.ids("gold") == [1, 2, 3, 4]
    assert {key: (one.rows, one.rejected) for key, one in files.taken().items()} == {first: (2, 0), second: (2, 0)}
    nothing = why_nothing(files.load())
    assert "no new file" in nothing.reason
    assert f"the last 2 files of this job were loaded by {fact.run_id}" in nothing.notes
    third = files.put("c.csv", "5,5,e")
    assert only(files.load()).records == 1
    assert files.ids("gold") == [1, 2, 3, 4, 5]
    assert third in files.taken()


def test_should_tell_of_each_row_its_file_with_version_and_place(job):
    files = job()
    key = files.put("a.csv", "1,1,a", "2,2,b")
    fact = only(files.load())
    stored = client("s3").head_object(Bucket=settings().bucket, Key=key)
    for layer in ("silver", "gold"):
        rows = files.rows(layer)
        assert [(row["_source_file"], row["_row_number"]) for row in rows] == [(key, 1), (key, 2)]
        assert {row["_file_version"] for row in rows} == {stored.get("VersionId") or stored["ETag"].strip('"')}
        assert {row["_file_modified_time"].replace(microsecond=0) for row in rows} == {stored["LastModified"]}
        assert {row["_source_system"] for row in rows} == {f"s3://{settings().bucket}"}
    assert fact.columns == len(in_bronze(fact).schema)


def test_should_add_no_audit_column_where_none_is_wanted(job):
    files = job(bronze={"audit_columns": False})
    files.put("a.csv", "1,1,a")
    fact = only(files.load())
    assert in_bronze(fact).schema.names == ["id", "amount", "note"]
    assert fact.columns == 3


def test_should_land_nothing_twice_when_a_command_is_delivered_again(job):
    files = job()
    files.put("a.csv", "1,1,a")
    command = files.command()
    fact = only(ingest(command))
    files.put("b.csv", "2,2,b")
    assert only(ingest(command)) == fact.model_copy(update={"seconds": only(ingest(command)).seconds})
    files.follow(Outcome([fact]))
    assert ingest(command).facts == []
    assert files.ids() == [1]
    assert files.states() == ["committed"]


def test_should_refuse_a_file_with_a_bad_record_by_line_and_column_and_take_it_once_it_is_mended(job):
    files = job()
    key = files.put("a.csv", "1,1.10,a", "2,1.234,b", "x,3,c")
    with pytest.raises(
        FileRefused, match=r"2 of its 3 records do not fit: line 3, column amount: .*; line 4, column id"
    ):
        files.load()
    assert files.states() == ["voided"]
    assert files.taken() == {}
    (refusal,) = file_refusals.refusals(files.key)
    assert (refusal.file.key, refusal.records, refusal.rejected) == (key, 3, 2)
    assert "1.234" not in json.dumps(refusal.model_dump())
    files.put("a.csv", "1,1.10,a", "2,1.23,b")
    files.load()
    assert files.ids() == [1, 2]


def test_should_load_the_other_files_where_rows_are_only_added_and_one_is_refused(job):
    files = job()
    bad = files.put("a.csv", "x,1,a")
    files.put("b.csv", "2,2,b")
    with pytest.raises(FileRefused, match=bad):
        files.load()
    assert any(f"{bad} was refused before" in note for note in only(files.load()).notes)
    with pytest.raises(FileRefused, match=bad):  # asked for it alone
        files.load()
    files.put("c.csv", "3,3,c")
    assert only(files.load()).records == 1
    files.put("a.csv", "1,1,a")
    assert only(files.load()).notes == []
    assert files.ids("gold") == [1, 2, 3]


def test_should_try_what_was_refused_again_where_it_is_read_otherwise(job):
    files = job()
    files.put("a.csv", "x,1,a")
    with pytest.raises(FileRefused):
        files.load()
    files.put("b.csv", "2,2,b")
    files.contract = CSV.model_copy(update={"columns": [COLUMNS[0].model_copy(update={"type": "text"}), *COLUMNS[1:]]})
    assert only(files.load()).records == 2


def test_should_hold_the_files_behind_a_refused_one_up_where_the_order_counts(job):
    files = job(silver={"strategy": "merge", "primary_key": ["id"]})
    bad = files.put("1.csv", "x,1,a")
    files.put("2.csv", "1,1,new")
    for _ in range(2):
        with pytest.raises(FileRefused, match=bad):
            files.load()
    files.put("1.csv", "1,1,old")
    files.load()
    files.load()
    assert [row["note"] for row in files.rows("gold")] == ["new"]


def test_should_keep_what_does_not_fit_beside_the_rows_within_the_budget(job):
    budget = CSV.model_copy(update={"bad_rows": "quarantine", "most_bad_rows": 2, "most_bad_share": 0.5})
    files = job(contract=budget)
    key = files.put("a.csv", "1,1,a", "2,1.234,b", "3,3,c", "only,two")
    fact = only(files.load())
    assert fact.records == fact.source_rows == 2
    assert any("2 of 4 records were rejected; the first: line 3, column amount" in note for note in fact.notes)
    where = f"rejected/bronze_{files.name}/{fact.batch_id}.parquet"
    assert any(where in note for note in fact.notes)
    body = client("s3").get_object(Bucket=settings().bucket, Key=where)["Body"].read()
    found = pq.read_table(pa.BufferReader(body)).to_pylist()
    assert [(one["file"], one["row_number"], one["line"], one["column"]) for one in found] == [
        (key, 2, 3, "amount"),
        (key, 4, 5, None),
    ]
    assert ("1.234" in found[0]["raw"], found[1]["raw"]) == (True, "only,two")
    assert (files.taken()[key].rows, files.taken()[key].rejected) == (2, 2)
    files.put("b.csv", "5,5,e", "x,5,e", "y,5,e")
    with pytest.raises(FileRefused, match=r"2 of its 3 records do not fit, and a share of 0\.5 may"):
        files.load()
    files.put("b.csv", *(f"{sign},5,e" for sign in "uvwxyz"))
    with pytest.raises(FileRefused, match="more than 2 of its records do not fit"):
        files.load()
    assert files.ids() == [1, 3]


def test_should_take_a_file_without_records_once(job):
    files = job()
    key = files.put("a.csv")
    assert why_nothing(files.load()).claimed
    assert (files.taken()[key].rows, files.states()) == (0, ["empty"])
    assert "no new file" in why_nothing(files.load()).reason


INFERRED = FileContract(format="csv", types="inferred", null_words=["NULL"])
ZIPS = "Id,Amount,Zip,Since"


def types_in_silver(files: Job) -> dict[str, str]:
    table = DeltaTable(table_uri(settings().bucket, "silver", files.name), storage_options=_options())
    return {one.name: one.type.type for one in table.schema().fields if not one.name.startswith("_")}


def test_should_take_types_of_all_of_the_first_file_and_keep_them_for_later_ones(job):
    files = job(contract=INFERRED)
    files.put("0.csv", header=ZIPS)  # no value says anything yet
    files.load()
    zips = [f"{n},{n}.25,{n:05},2026-11-28" for n in range(99_990, 100_010)]
    files.put("a.csv", *zips[:9], "1,1.5,01234,NULL", header=ZIPS)
    fact = only(files.load())
    (told,) = [note for note in fact.notes if "types by all" in note]
    assert "Id bigint" in told and "Zip text (integer until '01234' in record 10)" in told
    files.put("b.csv", "2,2,77777,2026-11-29", "3,NULL,88888,", header=ZIPS)  # its zips alone would be numbers
    fact = only(files.load())
    assert not any("types by all" in note for note in fact.notes)
    wanted = {"Id": "long", "Amount": "decimal(7,2)", "Zip": "string", "Since": "date"}
    assert types_in_silver(files) == wanted
    assert [row["Zip"] for row in silver_of(files) if row["Id"] < 4] == ["01234", "77777", "88888"]


def silver_of(files: Job) -> list[dict[str, Any]]:
    table = DeltaTable(table_uri(settings().bucket, "silver", files.name), storage_options=_options())
    return sorted(table.to_pyarrow_table().to_pylist(), key=lambda row: row["Id"])


def test_should_refuse_what_does_not_fit_the_types_of_the_first_file_until_the_job_says_other_ones(job):
    files = job(contract=INFERRED)
    files.put("a.csv", "1,1.50,x")
    files.load()
    files.put("b.csv", "2,2.50,y", "three,3,z")
    with pytest.raises(FileRefused, match="line 3, column Id") as refused:
        files.load()
    assert "give columns in the request" in refused.value.remedy
    wider = INFERRED.model_copy(update={"bad_rows": "quarantine", "most_bad_share": 0.5})
    files.contract = wider
    files.load()
    assert [row["Id"] for row in silver_of(files)] == [1, 2]


def test_should_name_all_files_columns_alike_where_types_were_kept(job):
    files = job(contract=INFERRED.model_copy(update={"column_names": "slug"}))
    for name in ("a.csv", "b.csv"):
        files.put(name, "1,1.5,x", header="Kunde Nr,Betrag €,Note")
        assert in_bronze(only(files.load())).schema.names[:3] == ["kunde_nr", "betrag", "note"]


def test_should_forget_types_by_a_reset_and_know_them_after_a_rebuild(job):
    files = job(contract=INFERRED)
    files.put("a.csv", "7,1.50,0012")
    files.load()
    forget(files.key)
    rebuild(settings().bucket, f"bronze_{files.name}", write=True)
    files.put("b.csv", "8,2,12")
    files.load()
    assert [row["Note"] for row in silver_of(files)] == ["0012", "12"]
    files.remove(f"landing/{files.name}/a.csv")
    reset_by_hand(f"bronze_{files.name}", "again")
    fact = only(ingest(files.command()))
    assert in_bronze(fact).schema.field("Note").type == pa.int64()  # of what is the first file now


def test_should_read_one_file_after_the_other_where_a_row_may_replace_another(job):
    files = job(silver={"strategy": "merge", "primary_key": ["id"]})
    files.put("1.csv", "1,1,old", "2,2,old")
    files.put("2.csv", "1,1,new")
    assert "1 files are left for the next load" in only(files.load()).notes
    assert [row["note"] for row in files.rows()] == ["old", "old"]
    assert only(files.load()).records == 1
    assert [row["note"] for row in files.rows("gold")] == ["new", "old"]


def test_should_take_new_content_of_a_name_as_new_or_refuse_it_as_the_job_says(job):
    files = job(silver={"strategy": "merge", "primary_key": ["id"]})
    files.put("a.csv", "1,1,a")
    files.load()
    files.put("a.csv", "1,1,b", "2,2,b")
    with pytest.raises(UnsupportedSource, match="other content than was loaded"):
        files.load(changed="refuse")
    files.load(changed="append")
    assert [row["note"] for row in files.rows()] == ["b", "b"]
    files.put("a.csv", "1,1,a")
    files.load()
    assert [row["note"] for row in files.rows()] == ["a", "b"]


def test_should_never_overwrite_a_snapshot_by_an_older_one_that_comes_late(job):
    files = job(
        bronze={"load_strategy": "full_refresh"},
        silver={"strategy": "merge", "primary_key": ["id"], "deletes": "hard"},
        source={"order": "date"},
    )
    files.put("x_20240101.csv", "1,1,a", "2,2,a")
    files.put("x_20240102.csv", "2,2,b", "3,3,b")
    notes = only(files.load()).notes
    assert any("x_20240101.csv is a snapshot older than" in note for note in notes)
    assert files.ids() == [2, 3]
    late = files.put("x_20231231.csv", "9,9,z")
    nothing = why_nothing(files.load())
    assert any("x_20231231.csv is a snapshot older than" in note for note in nothing.notes)
    assert not any("snapshot older" in note for note in why_nothing(files.load()).notes)
    assert files.taken()[late].skipped
    files.put("x_20240103.csv", "3,3,c")
    files.load()
    assert [(row["id"], row["note"]) for row in files.rows("gold")] == [(3, "c")]


def test_should_read_what_is_there_where_a_file_is_replaced_before_it_is_read(job, aws, monkeypatch):
    files = job()
    key = files.put("a.csv", "1,1,old")
    direct, meanwhile = aws.client("s3"), ["Id,Amount,Note\n2,2,new\n3,3,new\n"]

    def replaced(call: Call) -> None:
        if call.operation == "S3.GET" and key in call.path and meanwhile:
            direct.put_object(Bucket=settings().bucket, Key=key, Body=meanwhile.pop())

    command = files.command()
    with AwsProxy(aws.endpoint) as proxy:
        proxy.rule = replaced
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        with pytest.raises(Wait, match="was replaced"):
            ingest(command)
        monkeypatch.undo()
    files.follow(ingest(command))
    assert files.ids() == [2, 3]
    assert files.states() == ["voided", "committed"]
    assert files.taken()[key].rows == 2


@pytest.mark.parametrize(
    ("operation", "part"), [("S3.PUT", "bronze_"), ("DynamoDB.BatchWriteItem", "")], ids=["before", "after"]
)
def test_should_land_what_was_claimed_where_a_worker_ends_before_or_after_its_object_is_there(
    job, aws, monkeypatch, operation, part
):
    files = job()
    first = files.put("a.csv", "1,1,a")
    command = files.command()

    def ended(call: Call) -> Fault | None:
        mine = call.operation == operation and part in call.path
        return Fault("instead", status=400, code="AccessDenied") if mine else None

    with AwsProxy(aws.endpoint) as proxy:
        proxy.rule = ended
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        with pytest.raises(StoreUnavailable):
            ingest(command)
        monkeypatch.undo()
    files.put("b.csv", "2,2,b")
    assert files.states() == ["claimed"]
    files.follow(ingest(command))
    assert files.ids() == [1]
    assert files.states() == ["committed"]
    assert files.taken()[first].rows == 1
    files.load()
    assert files.ids() == [1, 2]


def test_should_keep_what_was_read_of_a_file_that_is_replaced_before_its_batch_lands(job, aws, monkeypatch):
    files = job(contract=FileContract(format="csv", bad_rows="quarantine", most_bad_share=0.5))
    key = files.put("a.csv", "1,1,a", "2,2", header="id,amount,note")
    command = files.command()
    with AwsProxy(aws.endpoint) as proxy:
        proxy.rule = lambda call: (
            Fault("instead", status=400, code="AccessDenied") if call.operation == "DynamoDB.BatchWriteItem" else None
        )
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        with pytest.raises(StoreUnavailable):
            ingest(command)
        monkeypatch.undo()
    files.put("a.csv", "3,3,c", header="id,amount,note")
    fact = only(files.follow(ingest(command)))
    assert (fact.records, fact.source_rows) == (1, 1)
    assert (files.taken()[key].rows, files.taken()[key].rejected) == (1, 1)
    files.load()
    assert files.ids() == ["1", "3"]


def test_should_know_after_a_rebuild_of_its_state_what_was_loaded(job, aws):
    files = job()
    first, second = files.put("a.csv", "1,1,a"), files.put("b.csv", "2,2,b", "3,3,c")
    files.load()
    forget(files.key)
    files.put("c.csv", "4,4,d")
    with pytest.raises(LakeChanged, match="does not know"):
        files.load()
    (told,) = rebuild(settings().bucket, f"bronze_{files.name}", write=True)["tables"]
    assert (told["action"], told["files"]) == ("written", 2)
    assert {key: one.rows for key, one in files.taken().items()} == {first: 1, second: 2}
    files.load()
    assert files.ids() == [1, 2, 3, 4]
    assert "no new file" in why_nothing(files.load()).reason


def forget(source_key: str) -> None:
    """Removes all that is stored of a source, as a table that was lost."""
    table = settings().watermarks_table
    for partition in (source_key, f"FILES#{source_key}", f"TYPES#{source_key}"):
        for item in list(items.query(table, "pk = :pk", {":pk": partition})):
            items.delete(table, {"pk": item["pk"], "sk": item["sk"]})


def test_should_refuse_to_set_or_accept_a_watermark_of_files_and_load_all_again_after_a_reset(job, aws):
    files = job(silver={"strategy": "merge", "primary_key": ["id"]})
    files.put("a.csv", "1,1,a")
    files.load()
    name = f"bronze_{files.name}"
    with pytest.raises(InvalidRequest, match="loaded from files, which have no watermark"):
        set_by_hand(name, NewWatermark(column="id", value="1"))
    with pytest.raises(InvalidRequest, match="only a reset is possible"):
        accept_by_hand(name, Acceptance())
    reset_by_hand(name, "again")
    assert only(files.load()).records == 1
    assert files.ids() == [1]


def test_should_tell_equal_rows_of_two_files_apart_by_nothing_that_is_not_in_them(job):
    files = job(silver={"strategy": "merge"})
    files.put("a.csv", "1,1,a", "2,2,b")
    files.put("b.csv", "1,1,a")
    files.load()
    assert only(files.load()).records == 1
    assert files.ids() == [1, 2]
    assert {row["_source_file"].rpartition("/")[2] for row in files.rows() if row["id"] == 1} == {"b.csv"}


def test_should_name_its_source_and_all_its_columns_in_lineage(job):
    files = job()
    files.put("a.csv", "1,1,a")
    fact = only(files.load())
    (step,) = steps_of(fact, "event", "2026-01-01T00:00:00Z")
    assert step.output is not None
    assert list(step.output.types) == in_bronze(fact).schema.names
    assert [dataset.id.name for dataset in step.inputs] == [f"files/{files.name}/daily"]


def test_should_remove_the_rejects_of_a_batch_that_was_given_up(job):
    files = job(contract=CSV.model_copy(update={"bad_rows": "quarantine", "most_bad_share": 1.0}))
    files.put("a.csv", "x,1,a")
    fact = why_nothing(files.load())
    (batch,) = batch_records.all_batches(files.key)
    stored = {"Bucket": settings().bucket, "Key": f"rejected/bronze_{files.name}/{batch.label}.parquet"}
    assert client("s3").head_object(**stored)["ContentLength"]
    assert any("1 of 1 records were rejected" in note for note in fact.notes)
    other = batch.model_copy(update={"claim": "another"})
    assert remove_orphaned_objects(other, -60)
    assert client("s3").head_object(**stored)["ContentLength"]
    assert remove_orphaned_objects(batch, -60)
    with pytest.raises(ClientError, match="404"):
        client("s3").head_object(**stored)


def test_should_overwrite_nothing_newer_by_an_older_file_that_comes_late(job):
    files = job(silver={"strategy": "merge", "primary_key": ["id"]}, source={"order": "date"})
    files.put("x_20240101.csv", "1,1,first", "2,1,first", "3,1,first")
    files.load()
    files.put("x_20240103.csv", "1,3,third", "4,3,third")
    third = files.load()
    files.put("x_20240102.csv", "1,2,second", "2,2,second", "5,2,second")
    second = only(files.load())
    assert any("comes before files that are loaded" in note for note in second.notes)
    kept = {1: "third", 2: "second", 3: "first", 4: "third", 5: "second"}
    assert {row["id"]: row["note"] for row in files.rows()} == kept
    files.put("x_20240104.csv", "5,4,fourth")
    files.load()
    assert {row["id"]: row["note"] for row in files.rows("gold")} == kept | {5: "fourth"}
    assert only(third).records == 2


def test_should_wait_with_a_late_file_until_silver_has_what_is_to_stay(job):
    files = job(silver={"strategy": "merge", "primary_key": ["id"]})
    files.put("b.csv", "1,1,b")
    landed = only(ingest(files.command()))
    commit_landed(landed)
    files.put("a.csv", "1,1,a")
    command = files.command()
    with pytest.raises(Wait, match="not in silver yet"):
        ingest(command)
    files.follow(Outcome([landed]))
    files.follow(ingest(command))
    assert [row["note"] for row in files.rows()] == ["b"]


REPLACING = {"changed": "replace"}
KEYED = {"strategy": "merge", "primary_key": ["id"]}


def is_rebuilt_the_same(files: Job) -> bool:
    return rebuild_silver(settings().bucket, files.name, False, 1000).difference.equal


def notes(files: Job, layer: str = "silver") -> dict[int, str]:
    return {row["id"]: row["note"] for row in files.rows(layer) if not row.get("_is_deleted")}


def test_should_put_new_content_in_the_place_of_the_rows_of_its_own_file_alone(job):
    files = job(source=REPLACING)
    files.put("a.csv", "1,1,a", "1,1,a", "2,2,a")
    files.put("b.csv", "1,1,b", "7,7,b")
    files.load()
    files.put("a.csv", "1,1,a2", "3,3,a2")
    second = files.command()
    files.follow(ingest(second))
    assert files.follow(ingest(second)).facts == []
    for layer in ("silver", "gold"):
        assert [(row["id"], row["note"]) for row in files.rows(layer)] == [(1, "b"), (1, "a2"), (3, "a2"), (7, "b")]
    batches = list(batch_records.history(files.key))
    assert [batch.manifest.rows for batch in batches if batch.manifest is not None] == [2, 5]  # bronze keeps both
    assert is_rebuilt_the_same(files)
    files.put("a.csv")
    files.load()
    assert [row["note"] for row in files.rows("gold")] == ["b", "b"]
    assert is_rebuilt_the_same(files)


def test_should_take_out_what_batches_before_a_reset_have_brought_of_a_file(job):
    files = job(source=REPLACING)
    files.put("a.csv", "1,1,a", "2,2,a")
    files.load()
    reset_by_hand(files.key, "test")
    files.put("a.csv", "1,1,a2")
    files.load()
    assert notes(files) == {1: "a2"}
    assert is_rebuilt_the_same(files)


@pytest.mark.parametrize(
    ("deletes", "left", "marked"),
    [("hard", {1: "a2", 3: "b", 4: "a2"}, []), ("soft", {1: "a2", 3: "b", 4: "a2"}, [2])],
)
def test_should_treat_keys_that_are_gone_from_a_file_as_the_table_treats_deletes(job, deletes, left, marked):
    files = job(silver=KEYED | {"deletes": deletes}, source=REPLACING)
    files.put("a.csv", "1,1,a", "2,2,a", "3,3,a")
    files.load()
    files.put("b.csv", "3,3,b")
    files.load()
    files.put("a.csv", "1,1,a2", "3,3,a2", "4,4,a2")
    files.load()
    for layer in ("silver", "gold"):
        assert notes(files, layer) == left
    assert [row["id"] for row in files.rows() if row.get("_is_deleted")] == marked
    assert is_rebuilt_the_same(files)


def test_should_keep_keys_that_are_gone_from_a_file_where_deletes_are_ignored(job):
    files = job(silver=KEYED | {"deletes": "ignore"}, source=REPLACING)
    files.put("a.csv", "1,1,a", "2,2,a")
    files.load()
    files.put("a.csv", "1,1,a2")
    files.load()
    assert notes(files) == {1: "a2", 2: "a"}


def test_should_end_the_version_of_a_key_that_is_gone_from_its_file(job):
    files = job(silver=KEYED | {"strategy": "scd2", "deletes": "soft"}, source=REPLACING)
    files.put("a.csv", "1,1,a", "2,2,a")
    files.load()
    files.put("b.csv", "7,7,b")
    files.load(order="arrival")
    files.put("a.csv", "1,1,a2")
    files.load(order="arrival")
    versions = [(row["id"], row["note"], row["_is_current"]) for row in files.rows()]
    assert sorted(versions) == [(1, "a", False), (1, "a2", True), (2, "a", False), (7, "b", True)]
    assert is_rebuilt_the_same(files)


def landed(files: Job, *puts: tuple[str, ...], **source: Any) -> list[BronzeLanded]:
    """Each file in a batch of its own, committed and not yet in silver."""
    found = []
    for file, *rows in puts:
        files.put(file, *rows)
        found.append(only(ingest(files.command(**source))))
        commit_landed(found[-1])
    return found


SNAPSHOTS = {"load_strategy": "full_refresh"}


@pytest.mark.parametrize(
    ("silver", "bronze", "expected"),
    [
        ({"strategy": "append"}, {}, [(1, "a"), (1, "b"), (2, "a"), (7, "c")]),
        (KEYED, {}, [(1, "b"), (2, "a"), (7, "c")]),
        ({"strategy": "merge"}, {}, [(1, "a"), (1, "b"), (2, "a"), (7, "c")]),
        (KEYED | {"deletes": "hard"}, SNAPSHOTS, [(7, "c")]),
        (KEYED | {"deletes": "soft"}, SNAPSHOTS, [(7, "c")]),
        (KEYED | {"strategy": "replace"}, {}, [(7, "c")]),
        (KEYED | {"strategy": "scd2"}, {}, [(1, "b"), (2, "a"), (7, "c")]),
        (KEYED | {"strategy": "scd2", "deletes": "soft"}, SNAPSHOTS, [(7, "c")]),
    ],
    ids=["append", "merge", "by content", "snapshot, hard", "snapshot, soft", "replace", "scd2", "scd2 of snapshots"],
)
def test_should_have_the_same_rows_whatever_the_order_in_which_files_come_to_silver(job, silver, bronze, expected):
    files = job(silver=silver, bronze=bronze)
    first, late, newest = landed(files, ("1.csv", "1,1,a", "2,2,a"), ("2.csv", "1,1,b"), ("3.csv", "7,7,c"))
    files.follow(Outcome([first, newest, late]))
    for layer in ("silver", "gold"):
        shown = [row for row in files.rows(layer) if row.get("_is_current", True) and not row.get("_is_deleted")]
        assert sorted((row["id"], row["note"]) for row in shown) == expected
    if (
        silver.get("deletes") != "soft" or silver["strategy"] == "scd2"
    ):  # what a marked row held last depends on the order
        assert is_rebuilt_the_same(files)


def test_should_keep_what_a_later_file_has_said_again_where_one_before_it_comes_late_to_a_history(job):
    files = job(silver=KEYED | {"strategy": "scd2"})
    first, late, again = landed(files, ("1.csv", "1,1,a"), ("2.csv", "1,1,b"), ("3.csv", "1,1,a"))
    files.follow(Outcome([first, again, late]))
    states = sorted(files.rows(), key=lambda row: row["_valid_from"])
    assert [(row["note"], row["_is_current"]) for row in states] == [("a", False), ("b", False), ("a", True)]
    assert [row["_valid_to"] for row in states] == [states[1]["_valid_from"], states[2]["_valid_from"], None]


def test_should_release_a_row_over_one_of_an_older_file_that_came_late(job):
    rule = {"rule": "allowed_values", "column": "note", "values": ["first", "second"], "severity": "quarantine"}
    files = job(silver=KEYED | {"quality_rules": [rule]}, source={"order": "date"})
    for day, note in (("01", "first"), ("03", "third"), ("02", "second")):
        files.put(f"x_202401{day}.csv", f"1,1,{note}")
        files.load()
    assert notes(files) == {1: "second"}
    (third,) = [one for one in batch_records.history(files.key) if one.seq == 2]
    assert release(third, settings().bucket, []).released == 1
    assert notes(files) == {1: "third"}


def waiting_notes(files: Job) -> list[str]:
    """What is in quarantine, by its notes."""
    uri = table_uri(settings().bucket, "quarantine", files.name)
    table = DeltaTable(uri, storage_options=_options()).to_pyarrow_table()
    return sorted(table.column("note").to_pylist())


def test_should_keep_in_quarantine_what_is_newer_than_a_file_that_came_late(job):
    rule = {"rule": "allowed_values", "column": "note", "values": ["first", "second"], "severity": "quarantine"}
    files = job(silver=KEYED | {"quality_rules": [rule]}, source={"order": "date"})
    facts = []
    for day, note in (("01", "first"), ("03", "third"), ("02", "second")):
        files.put(f"x_202401{day}.csv", f"1,1,{note}")
        facts.append(only(files.load()))
    assert (notes(files), waiting_notes(files)) == ({1: "second"}, ["third"])
    for fact in facts:  # each is delivered again
        files.follow(Outcome([fact]))
        assert (notes(files), waiting_notes(files)) == ({1: "second"}, ["third"])


def test_should_keep_nothing_in_quarantine_of_a_late_file_that_a_newer_one_has_told_of(job):
    rule = {"rule": "allowed_values", "column": "note", "values": ["first", "third"], "severity": "quarantine"}
    files = job(silver=KEYED | {"quality_rules": [rule]}, source={"order": "date"})
    for day, *rows in (("01", "1,1,first"), ("03", "1,1,third"), ("02", "1,1,second", "2,2,other")):
        files.put(f"x_202401{day}.csv", *rows)
        late = files.load()
    assert (notes(files), waiting_notes(files)) == ({1: "third"}, ["other"])
    files.follow(late)
    assert (notes(files), waiting_notes(files)) == ({1: "third"}, ["other"])


def test_should_not_release_into_a_history_what_a_replaced_file_may_have_ended(job):
    rule = {"rule": "allowed_values", "column": "note", "values": ["a"], "severity": "quarantine"}
    files = job(silver=KEYED | {"strategy": "scd2", "deletes": "soft", "quality_rules": [rule]}, source=REPLACING)
    for rows in (["1,1,b", "2,2,a"], ["3,3,a"]):
        files.put("a.csv", *rows)
        files.load()
    before = files.rows()
    (first,) = [one for one in batch_records.history(files.key) if one.seq == 1]
    with pytest.raises(TransformRejected, match="files have been replaced since") as refused:
        release(first, settings().bucket, [])
    assert "new file" in refused.value.remedy
    assert (files.rows(), waiting_notes(files)) == (before, ["b"])


@pytest.mark.parametrize("silver", [{"deletes": "hard"}, {"strategy": "scd2", "deletes": "soft"}])
def test_should_not_release_what_a_later_change_may_have_deleted(job, silver):
    rule = {"rule": "allowed_values", "column": "note", "values": ["a"], "severity": "quarantine"}
    files = job(silver=KEYED | silver | {"quality_rules": [rule]}, contract=of_changes(LETTERS))
    for name, *changes in (("1.csv", "I,1,1,b", "I,2,2,a"), ("2.csv", "D,3,,")):
        files.put(name, *changes, header=CHANGES)
        files.load()
    before = files.rows()
    (first,) = [one for one in batch_records.history(files.key) if one.seq == 1]
    with pytest.raises(TransformRejected, match="changes have been applied since") as refused:
        release(first, settings().bucket, [])
    assert "new file" in refused.value.remedy
    assert (files.rows(), waiting_notes(files)) == (before, ["b"])


def test_should_not_bring_an_older_state_back_by_the_release_of_a_later_one(job):
    rule = {"rule": "allowed_values", "column": "note", "values": ["a"], "severity": "quarantine"}
    files = job(silver=KEYED | {"strategy": "scd2", "quality_rules": [rule]})
    for name, *rows in (("1.csv", "1,1,a", "2,2,a"), ("2.csv", "1,1,b", "2,2,b"), ("3.csv", "2,2,a")):
        files.put(name, *rows)
        files.load()
    (batch,) = [one for one in batch_records.history(files.key) if one.seq == 2]
    assert release(batch, settings().bucket, []).released == 2
    assert sorted((row["id"], row["note"]) for row in files.rows() if row["_is_current"]) == [(1, "b"), (2, "a")]


@pytest.mark.parametrize("silver", [{"strategy": "append"}, KEYED, KEYED | {"deletes": "soft"}])
def test_should_overwrite_nothing_by_an_older_version_that_comes_to_silver_late(job, silver):
    files = job(silver=silver, source=REPLACING)
    files.put("0.csv", "1,0,old", "5,0,old")
    files.load()
    files.put("a.csv", "1,1,a", "2,2,a", "3,3,a")
    late = only(ingest(files.command()))
    commit_landed(late)
    files.put("a.csv", "2,2,a2")
    newer = only(ingest(files.command()))
    commit_landed(newer)
    files.follow(Outcome([newer, late]))
    files.follow(Outcome([late]))
    expected = {5: "old", 2: "a2"} | ({1: "old"} if silver["strategy"] == "append" else {})
    for layer in ("silver", "gold"):
        assert notes(files, layer) == expected
    assert is_rebuilt_the_same(files)


def test_should_wait_with_new_content_of_a_file_until_silver_has_what_other_files_have_told_before(job):
    files = job(silver=KEYED, source=REPLACING)
    files.put("a.csv", "1,1,a")
    files.load()
    files.put("b.csv", "2,2,b")
    other = only(ingest(files.command()))
    commit_landed(other)
    files.put("a.csv", "3,3,a2")
    command = files.command()
    with pytest.raises(Wait, match="not in silver yet"):
        ingest(command)
    files.follow(Outcome([other]))
    files.follow(ingest(command))
    assert notes(files) == {2: "b", 3: "a2"}


def test_should_not_guess_which_rows_are_a_files_where_they_do_not_tell_it(job):
    files = job(bronze={"audit_columns": False})
    files.put("a.csv", "1,1,a")
    files.load()
    files.bronze, files.source = {}, REPLACING
    files.put("a.csv", "1,1,a2")
    with pytest.raises(TransformRejected, match="do not tell their file"):
        files.load()


def test_should_judge_new_content_of_a_file_without_the_rows_that_it_takes_the_place_of(job):
    rule = {"rule": "unique", "columns": ["id"], "severity": "fail"}
    files = job(silver={"strategy": "append", "quality_rules": [rule]}, source=REPLACING)
    files.put("a.csv", "1,1,a", "2,2,a")
    files.load()
    files.put("a.csv", "1,1,a2", "3,3,a2")
    files.load()
    assert notes(files) == {1: "a2", 3: "a2"}


DEBEZIUM = {"c": "insert", "r": "insert", "u": "update", "d": "delete"}
CDC = {"1": "delete", "2": "insert", "3": "before", "4": "update"}
LETTERS = {"I": "insert", "U": "update", "D": "delete"}
CHANGES = "Op,Id,Amount,Note"


def of_changes(operations: dict[str, str], **contract: Any) -> FileContract:
    column = {"name": "_change_type", "field": "Op", "nullable": False, "operations": operations}
    told = FileColumn.model_validate(column)
    return CSV.model_copy(update={"columns": [told, *COLUMNS], **contract})


HARD = {"deletes": "hard"}
WITHOUT_DELETED = [(1, "b"), (3, "a"), (4, "b")]


@pytest.mark.parametrize(
    ("operations", "first", "second", "silver", "rows"),
    [
        (LETTERS, "III", "UDI", HARD, WITHOUT_DELETED),
        (DEBEZIUM, "rcr", "udc", HARD, WITHOUT_DELETED),
        (CDC, "222", "412", HARD, WITHOUT_DELETED),
        (LETTERS, "III", "UDI", {"deletes": "soft"}, [(1, "b"), (2, "a, gone"), (3, "a"), (4, "b")]),
        (LETTERS, "III", "UDI", {"deletes": "ignore"}, [(1, "b"), (2, "a"), (3, "a"), (4, "b")]),
        (
            LETTERS,
            "III",
            "UDI",
            {"strategy": "scd2", "deletes": "soft"},
            [(1, "a, ended"), (1, "b"), (2, "a, ended"), (3, "a"), (4, "b")],
        ),
    ],
    ids=["letters", "debezium", "cdc", "soft", "ignore", "scd2"],
)
def test_should_apply_changes_by_their_operations(job, operations, first, second, silver, rows):
    files = job(silver=KEYED | silver, contract=of_changes(operations))
    files.put("1.csv", *(f"{op},{n},{n},a" for n, op in enumerate(first, 1)), header=CHANGES)
    files.load()
    updated, deleted, inserted = second
    before = ["3,1,1,a"] if operations is CDC else []
    changes = [*before, f"{updated},1,1,b", f"{deleted},2,,", f"{inserted},4,4,b"]
    files.put("2.csv", *changes, header=CHANGES)
    fact = only(files.load())
    bronze = in_bronze(fact)
    assert bronze.column("_change_type").to_pylist() == [operations[one[0]] for one in changes]
    assert (fact.records, fact.columns, "Op" in bronze.schema.names) == (len(changes), len(bronze.schema), False)
    shown = [
        (
            row["id"],
            row["note"] + (", gone" * bool(row.get("_is_deleted"))) + ", ended" * (not row.get("_is_current", True)),
        )
        for row in files.rows()
    ]
    assert sorted(shown) == rows
    assert "_change_type" not in files.rows()[0]
    assert is_rebuilt_the_same(files)


def test_should_apply_the_last_change_of_each_key_of_a_file_and_keep_those_apart_that_have_none(job):
    files = job(silver=KEYED | HARD | {"null_keys": "quarantine"}, contract=of_changes(LETTERS))
    changes = [
        "I,1,1,a",
        "D,1,,",
        "I,2,2,a",
        "U,2,2,b",
        "D,3,,",
        "I,3,3,back",
        "D,,,",
        "I,4,4,a",
        "D,4,,",
        "I,4,4,again",
    ]
    files.put("1.csv", *changes, header=CHANGES)
    files.load()
    for layer in ("silver", "gold"):
        assert notes(files, layer) == {2: "b", 3: "back", 4: "again"}
    (batch,) = batch_records.history(files.key)
    assert batch.quarantined == 1


def test_should_reject_an_operation_that_it_does_not_know(job):
    files = job(silver=KEYED, contract=of_changes(LETTERS))
    files.put("1.csv", "I,1,1,a", "T,2,2,a", ",3,3,a", header=CHANGES)
    with pytest.raises(
        FileRefused, match=r"2 of its 3 records.*line 3, column _change_type: it is none of the operations"
    ):
        files.load()
    files.contract = of_changes(LETTERS, bad_rows="quarantine", most_bad_share=0.9)
    files.load()
    assert notes(files) == {1: "a"}


def test_should_judge_no_deletion_by_rules_for_rows(job):
    rule = {"rule": "not_null", "column": "note", "severity": "fail"}
    files = job(silver=KEYED | {"quality_rules": [rule]}, contract=of_changes(LETTERS))
    for name, change in (("1.csv", "I,1,1,a"), ("2.csv", "D,1,,")):
        files.put(name, change, header=CHANGES)
        files.load()
    assert notes(files) == {}


def test_should_keep_a_deletion_that_comes_before_a_row_is_released(job):
    rule = {"rule": "allowed_values", "column": "note", "values": ["a"], "severity": "quarantine"}
    files = job(silver=KEYED | {"deletes": "soft", "quality_rules": [rule]}, contract=of_changes(LETTERS))
    for name, change in (("1.csv", "I,1,1,b"), ("2.csv", "D,1,,")):
        files.put(name, change, header=CHANGES)
        files.load()
    (batch,) = [one for one in batch_records.history(files.key) if one.seq == 1]
    release(batch, settings().bucket, [])
    assert notes(files) == {}


def test_should_read_changes_in_their_order_alone(job):
    files = job(silver=KEYED, contract=of_changes(LETTERS))
    files.put("2.csv", "D,1,,", header=CHANGES)
    later = only(ingest(files.command()))
    commit_landed(later)
    files.put("3.csv", "I,2,2,a", header=CHANGES)
    command = files.command()
    with pytest.raises(Wait, match="not in silver yet"):
        ingest(command)
    files.follow(Outcome([later]))
    files.follow(ingest(command))
    files.put("1.csv", "I,1,1,late", header=CHANGES)
    with pytest.raises(UnsupportedSource, match="changes are applied in their order only"):
        files.load()
    assert notes(files) == {2: "a"}


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


def test_should_replace_once_where_workers_die_on_the_way(job, aws, monkeypatch):
    files = job(silver=KEYED, source=REPLACING)
    files.put("a.csv", "1,1,a", "2,2,a")
    first = files.command()
    files.follow(ingest(first))
    files.put("a.csv", "1,1,a2")
    second = files.command()
    refused(monkeypatch, aws, "bronze_", lambda: ingest(second))
    assert notes(files) == {1: "a", 2: "a"}
    fact = only(ingest(second))
    commit_landed(fact)
    refused(monkeypatch, aws, "_delta_log", lambda: refine_landed(fact))
    assert notes(files) == {1: "a", 2: "a"}
    for _ in range(2):
        files.follow(Outcome([fact]))
        assert notes(files) == {1: "a2"}
    for command in (first, second):  # replayed
        assert ingest(command).facts == []


def test_should_not_release_rows_of_a_file_whose_place_others_have_taken(job):
    rule = {"rule": "allowed_values", "column": "note", "values": ["a"], "severity": "quarantine"}
    files = job(silver=KEYED | {"quality_rules": [rule]}, source=REPLACING)
    for rows in (["1,1,b", "2,2,a"], ["3,3,a"]):
        files.put("a.csv", *rows)
        files.load()
    assert waiting_notes(files) == []
    (first,) = [one for one in batch_records.history(files.key) if one.seq == 1]
    release(first, settings().bucket, [])
    assert notes(files) == {3: "a"}


@pytest.mark.parametrize("silver", [KEYED, KEYED | {"deletes": "ignore"}, {"strategy": "append"}])
def test_should_keep_in_quarantine_of_a_replaced_file_what_its_newest_content_has(job, silver):
    rule = {"rule": "allowed_values", "column": "note", "values": ["a"], "severity": "quarantine"}
    files = job(silver=silver | {"quality_rules": [rule]}, source=REPLACING)
    files.put("b.csv", "8,8,other")
    files.load()
    old, new = landed(files, ("a.csv", "1,1,old", "2,2,a"), ("a.csv", "3,3,a", "4,4,new"))
    gone = [] if silver.get("deletes") != "ignore" else ["old"]  # such a table keeps what a file lacks
    for fact in (new, old, new):  # the older one comes late
        files.follow(Outcome([fact]))
    assert waiting_notes(files) == sorted(["new", "other", *gone])
    assert is_rebuilt_the_same(files)


def test_should_know_what_was_replaced_after_a_rebuild(job):
    files = job(silver=KEYED, source=REPLACING)
    late, newer = landed(files, ("a.csv", "1,1,a", "2,2,a"), ("a.csv", "2,2,a2"))
    files.follow(Outcome([newer]))
    table = DeltaTable(table_uri(settings().bucket, "silver", files.name), storage_options=_options())
    table.delete("id = 2")
    assert not rebuild_silver(settings().bucket, files.name, True, 1000).difference.equal
    files.follow(Outcome([late]))
    assert notes(files) == {2: "a2"}
    forget(files.key)
    rebuild(settings().bucket, f"bronze_{files.name}", write=True)
    files.put("a.csv", "3,3,a3")
    files.load()
    assert notes(files) == {3: "a3"}
