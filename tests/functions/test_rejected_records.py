"""`files rejects`: all records of a file that did not land, found by its report and read from the lake."""

import json
from typing import Any

from events.commands import IngestSlice
from events.envelopes import http
from flowforge.aws.clients import client
from flowforge.bronze.ingest_slice import ingest_slice
from flowforge.operations.rejected_records import first_rejects
from flowforge.runtime.settings import settings
from flowforge.state import file_ledger
from functions.watermark.handler import handler as watermark
from tests.helpers.file_jobs import CSV, Job
from tests.helpers.protection import keep_key

BUDGET = CSV.model_copy(update={"bad_rows": "quarantine", "most_bad_share": 1})


def report_of(context: Any, key: str) -> list[dict[str, Any]]:
    answer = watermark(http("GET", "/api/files", query={"key": key}), context)
    return json.loads(answer["body"])["files"]


def found(report: dict[str, Any], most: int = 1_000) -> list[dict[str, Any]]:
    return first_rejects(settings().bucket, report, most)


def test_should_read_the_rejected_records_of_each_file_of_a_batch_alone(aws, unique, context):
    job = Job(unique("j"), contract=BUDGET)
    first = job.put("a.csv", "1,1.00,a", "x,2.00,b", "3,y,c", "4,4.00")
    second = job.put("b.csv", "5,5.00,d", "6,z,e")
    job.load()
    (one,), (other,) = report_of(context, first), report_of(context, second)
    assert [(row["line"], row["byte_offset"], row["row_number"], row["column"]) for row in found(one)] == [
        (3, 24, 2, "id"),
        (4, 33, 3, "amount"),
        (5, 39, 4, None),
    ]
    assert [row["raw"] for row in found(one)][2] == "4,4.00" and all(row["reason"] for row in found(one))
    assert [(row["line"], json.loads(row["raw"])["Amount"]) for row in found(other)] == [(3, "z")]
    assert len(found(one, 2)) == 2


def test_should_read_the_version_that_is_asked_for(aws, unique, context):
    job = Job(unique("j"), contract=BUDGET)
    key = job.put("a.csv", "1,1.00,a", "x,2.00,b")
    job.load()
    job.put("a.csv", "2,1.00,a", "y,2.00,b", "z,3.00,c")
    job.load()
    newest, oldest = report_of(context, key)
    assert [len(found(one)) for one in (newest, oldest)] == [2, 1]


def test_should_show_no_text_of_a_table_that_protects_columns(aws, unique, context):
    job = Job(unique("j"), contract=BUDGET)
    key = job.put("a.csv", "1,1.00,a", "x,2.00,Mary")
    job.load()
    (report,) = report_of(context, key)
    assert (report["protects"], "Mary" in found(report)[0]["raw"]) == (False, True)
    assert found(report | {"protects": True})[0]["raw"] is None  # what was kept before the job protected anything
    job = Job(unique("j"), contract=BUDGET, source={"protect": {"note": "null"}, "protection_key": keep_key()})
    key = job.put("a.csv", "1,1.00,a", "x,2.00,Mary")
    job.load()
    (report,) = report_of(context, key)
    assert (report["protects"], [row["raw"] for row in found(report)]) == (True, [None])


def test_should_read_those_of_all_slices_in_the_order_of_the_file(aws, unique, context, monkeypatch):
    monkeypatch.setenv("FLOWFORGE_SLICE_BYTES", "200")
    monkeypatch.setenv("FLOWFORGE_SLICE_QUEUE_URL", aws.name("SliceQueue"))
    aws.messages("SliceQueue")
    job = Job(unique("j"), contract=BUDGET)
    key = job.put("a.csv", *(f"{n if n % 7 else 'x'},1.50,note" for n in range(60)))
    assert job.load().facts == []
    messages = [IngestSlice.model_validate(one["body"]) for one in aws.messages("SliceQueue")]
    for message in (one for one in messages if one.source_key == job.key):
        job.follow(ingest_slice(message))
    (report,) = report_of(context, key)
    assert [row["row_number"] for row in found(report)] == list(range(1, 61, 7))
    assert [row["line"] for row in found(report, 3)] == [2, 9, 16]


def test_should_know_where_they_are_from_an_entry_of_a_version_before(aws, unique, context):
    job = Job(unique("j"), contract=BUDGET)
    key = job.put("a.csv", "1,1.00,a", "x,2.00,b")
    job.load()
    (entry,) = file_ledger.entries(job.key)
    file_ledger.write_entries(job.key, [entry.model_copy(update={"label": ""})])
    (report,) = report_of(context, key)
    assert len(found(report)) == 1  # by the record of its batch
    client("s3").delete_object(Bucket=settings().bucket, Key=f"{report['rejects_at']}.parquet")
    assert found(report) == []
