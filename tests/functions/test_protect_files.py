"""Personal data in files is protected before the first byte of it is written: rejects, refusals and state have none of it."""

import io
import json

import pyarrow.parquet as pq
import pytest

from events.commands import IngestSlice
from events.files import FileColumn, FileContract
from flowforge.aws.clients import client
from flowforge.bronze.ingest_slice import ingest_slice
from flowforge.domain.errors import FileRefused, ScopeChanged, UnsupportedSource
from flowforge.domain.given import given
from flowforge.runtime.settings import settings
from flowforge.state import batch_records, table
from tests.helpers.file_jobs import Job
from tests.helpers.protection import keep_key, of_nobody_else, stored

PEOPLE = FileContract(
    format="csv",
    columns=[
        FileColumn(name="id", field="Id", type="bigint"),
        FileColumn(name="amount", field="Amount", type="decimal(18,2)"),
        FileColumn(name="ssn", field="Ssn"),
        FileColumn(name="note", field="Note", nullable=True),
    ],
)
HEADER = "Id,Amount,Ssn,Note"
PROTECT = {"SSN": "hmac", "note": "drop"}


@pytest.fixture
def people(unique):
    def make(**contract) -> Job:
        source = {"protect": PROTECT, "protection_key": keep_key()}
        return Job(unique("p"), contract=PEOPLE.model_copy(update=contract), source=source)

    return make


def values_below(prefix: str) -> bytes:
    """Objects of the bucket below a prefix, as bytes; of Parquet every cell."""
    found, s3 = io.BytesIO(), client("s3")
    for one in s3.list_objects_v2(Bucket=settings().bucket, Prefix=prefix).get("Contents", []):
        body = s3.get_object(Bucket=settings().bucket, Key=one["Key"])["Body"].read()
        if one["Key"].endswith(".parquet"):
            found.write(repr(pq.read_table(io.BytesIO(body)).to_pylist()).encode())
        found.write(body)
    return found.getvalue()


def test_should_write_no_value_of_a_protected_column_of_a_file(aws, people):
    job, ssn, note = people(), of_nobody_else(), of_nobody_else()
    key = job.put("a.csv", f"1,1.50,{ssn},{note}", f"2,2.50,{ssn},{note}", header=HEADER)
    job.load()
    rows = job.rows()
    assert [sorted(name for name in row if not name.startswith("_")) for row in rows] == [["amount", "id", "ssn"]] * 2
    assert len({row["ssn"] for row in rows}) == 1 and len(rows[0]["ssn"]) == 64
    (batch,) = batch_records.history(job.key)
    hashed = given({column.name: column for column in given(batch.manifest).columns}["ssn"].protection)
    assert given(table.read_state(job.key).scope).protected == {"ssn": f"hmac by key {hashed.key_id}", "note": "drop"}
    job.remove(key)  # which is as it was sent
    for value in (ssn, note):
        assert value.encode() not in stored()


def test_should_keep_no_text_of_a_rejected_record(aws, people):
    job, ssn = people(bad_rows="quarantine", most_bad_share=1.0), of_nobody_else()
    key = job.put("a.csv", f"1,1.50,{ssn},x", f"2,{ssn},{ssn},x", f"3,3,{ssn},x,{ssn}", header=HEADER)
    job.load()
    assert (job.ids(), job.taken()[key].rejected) == ([1], 2)
    job.remove(key)
    assert b"line" in values_below(f"rejected/bronze_{job.name}/") and ssn.encode() not in stored()


@pytest.mark.parametrize("bad", ["1,{ssn},{ssn},x", "{ssn},1.50,{ssn},x"])
def test_should_refuse_a_file_without_telling_a_value(aws, people, bad):
    job, ssn = people(), of_nobody_else()
    job.put("a.csv", bad.format(ssn=ssn), header=HEADER)
    with pytest.raises(FileRefused, match="line 2") as caught:
        job.load()
    assert ssn not in str(caught.value) + json.dumps(caught.value.rejects)


@pytest.mark.parametrize("first", ["7,1.5,{ssn},x", "{ssn},{ssn},1,x"])
def test_should_not_show_a_record_that_stands_in_place_of_a_header(aws, people, first):
    job, ssn = people(), of_nobody_else()
    job.put("a.csv", header=first.format(ssn=ssn))
    with pytest.raises(FileRefused, match=r"is not shown, since the job protects|none of its 4 fields") as caught:
        job.load()
    assert ssn not in repr(caught.value) + repr(caught.value.__cause__)


def test_should_not_show_it_either_where_the_files_say_what_the_columns_are(aws, unique):
    ssn = of_nobody_else()
    job = Job(unique("p"), contract=PEOPLE.model_copy(update={"columns": []}), source={"protect": {"ssn": "drop"}})
    job.put("a.csv", "8,1.5,1,x", header=f"7,{ssn},{ssn},x")
    with pytest.raises(FileRefused, match="is not shown, since the job protects") as caught:
        job.load()
    assert ssn not in repr(caught.value) + repr(caught.value.__cause__)


def test_should_refuse_another_protection_of_later_files(aws, people):
    job = people()
    job.put("a.csv", "1,1.50,078,x", header=HEADER)
    job.load()
    job.put("b.csv", "2,1.50,079,x", header=HEADER)
    with pytest.raises(ScopeChanged, match=r"fileConfig\.protect: .*ssn was hmac by key"):
        job.load(protect={"ssn": "null"}, protection_key="")
    job.load()
    assert job.ids() == [1, 2]


def test_should_protect_no_key(aws, people):
    job = people()
    job.silver = {"strategy": "merge", "primary_key": ["id"]}
    job.put("a.csv", "1,1.50,078,x", header=HEADER)
    for way in ("null", "drop"):
        with pytest.raises(UnsupportedSource, match=r"fileConfig\.protect .*'id', which is a key"):
            job.load(protect={"id": way}, protection_key="")


def test_should_protect_each_slice_of_a_large_file(aws, people, monkeypatch):
    monkeypatch.setenv("FLOWFORGE_SLICE_BYTES", "200")
    monkeypatch.setenv("FLOWFORGE_SLICE_QUEUE_URL", aws.name("SliceQueue"))
    aws.messages("SliceQueue")
    job, ssn = people(), of_nobody_else()
    key = job.put("a.csv", *(f"{n},1.50,{ssn},x" for n in range(40)), header=HEADER)
    assert job.load().facts == []
    messages = [IngestSlice.model_validate(one["body"]) for one in aws.messages("SliceQueue")]
    mine = [one for one in messages if one.source_key == job.key]
    assert len(mine) > 1
    for message in mine:
        job.follow(ingest_slice(message))
    assert job.ids() == list(range(40)) and {len(row["ssn"]) for row in job.rows()} == {64}
    job.remove(key)
    assert ssn.encode() not in stored()
