"""`flowforge files` as people and programs call it."""

import gzip
import io
import json
import uuid

import pyarrow as pa
import pyarrow.parquet as pq

from flowforge.aws.clients import client
from flowforge.sources.files.rejects import SCHEMA


def test_should_show_what_is_proposed_for_a_file(alone):
    (alone.folder / "a.csv").write_bytes("id;name;paid\n1;Müller;1,50\n2;Ünal;2,25\n".encode("cp1252"))
    shown = alone("files", "inspect", str(alone.folder / "a.csv"))
    assert shown.code == 0
    for expected in ("Windows-1252", "semicolon: 3 of the first 3 records have 3 fields", "decimal(3,2)", "Müller"):
        assert expected in shown.out


def test_should_answer_as_data_and_fail_where_records_do_not_fit(alone):
    (alone.folder / "a.csv").write_text("id,name\n1,a\n2\n3,c\n")
    answered = alone("files", "inspect", str(alone.folder / "a.csv"), "--json")
    found = json.loads(answered.out)
    assert (answered.code, found["records"], found["irregular"]) == (1, 2, 1)
    assert found["first_irregular"] == [{"line": 3, "reason": "it has 1 fields, where 2 are expected", "text": "2"}]
    assert found["dialect"]["delimiter"] == ","
    columns = [{"name": "id", "type": "bigint"}, {"name": "name"}]
    assert found["source_config"] == {"type": "csv", "fileConfig": {"columns": columns}}


def test_should_say_why_a_file_is_refused(alone):
    (alone.folder / "a.csv").write_bytes(b"")
    refused = alone("files", "inspect", str(alone.folder / "a.csv"))
    assert (refused.code, "a.csv is empty: 0 bytes" in refused.err) == (1, True)
    missing = alone("files", "inspect", str(alone.folder / "b.csv"), "--json")
    assert (missing.code, json.loads(missing.out)["error"]) == (2, "InvalidRequest")


def test_should_look_at_a_file_in_a_bucket(alone, stack_file, lake_environment):
    s3, bucket = client("s3"), f"files-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    key = "landing/sales//daily/a b+%2F ü\U0001f600.csv"
    s3.put_object(Bucket=bucket, Key=key, Body=gzip.compress(b"id,name\n1,a\n2,b\n"))
    stack_file(s3=s3.meta.endpoint_url, bucket="another")
    found = alone("files", "inspect", f"s3://{bucket}/{key}", "--json")
    assert (found.code, found.document["records"], found.document["name"]) == (0, 2, "a b+%2F ü\U0001f600.csv")
    assert [column["name"] for column in found.document["columns"]] == ["id", "name"]
    missing = alone("files", "inspect", f"s3://{bucket}/landing/b.csv")
    assert (missing.code, f"there is no s3://{bucket}/landing/b.csv" in missing.err) == (2, True)
    assert alone("files", "inspect", "s3://only").code == 2


REPORT = {
    "file": "s3://lake/landing/crm/customers/1.csv", "table": "bronze_customers", "run_id": "run_1", "etag": "e1",
    "version_id": None, "size": 90, "modified": "2026-11-28T06:00:00+00:00", "rows": 12_000, "rejected": 0, "records": 12_000,
    "first_rejected": None, "generation": 1, "seq": 3, "at": "2026-11-28T06:01:00+00:00", "state": "loaded",
}  # fmt: skip
REFUSED = REPORT | {
    "run_id": "run_2", "rows": 0, "rejected": 2, "records": 40, "state": "refused", "reason": "2 of 40 records do not fit",
    "first_rejected": "line 7, column since: no date", "seq": None, "generation": None,
    "rejects": [{"row_number": 6, "line": 7, "column": "since", "reason": "no date"}],
}  # fmt: skip


def test_should_list_what_became_of_files(flowforge, api):
    api.answer("GET /api/files", {"files": [REPORT], "notes": ["3 more files: ask with a larger limit"]})
    done = flowforge("files", "list", "crm/customers", "--limit", "1")
    assert done.code == 0, done.err
    (line,) = [line for line in done.out.splitlines() if "1.csv" in line]
    for part in ("bronze_customers", "loaded", "12000", "run_1", "2026-11-28 06:01:00Z"):
        assert part in line.replace(",", "")
    assert "3 more files" in done.out
    assert api.asked[-1].query == {"table": "crm/customers", "limit": "1"}


def test_should_list_files_page_by_page_and_those_that_wait(flowforge, api):
    second = REPORT | {"file": "s3://lake/landing/crm/customers/2.csv"}
    pages = [{"files": [REPORT], "notes": [], "next": "x"}, {"files": [second], "notes": []}]
    api.answer_in_turn("GET /api/files", pages)
    done = flowforge("files", "list", "--json")
    assert [one["file"][-5:] for one in done.document["files"]] == ["1.csv", "2.csv"]
    assert [asked.query.get("cursor") for asked in api.asked[-2:]] == [None, "x"]
    one = {
        "file": second["file"],
        "job": "crm/customers",
        "since": "2026-11-28T06:00:00+00:00",
        "reason": "no content yet",
    }
    api.answer("GET /api/files", {"files": [one], "notes": []})
    shown = flowforge("files", "list", "crm/customers", "--waiting")
    assert (shown.code, "no content yet" in shown.out, "2026-11-28 06:00:00Z" in shown.out) == (0, True, True)
    assert api.asked[-1].query == {"table": "crm/customers", "limit": "50", "state": "waiting"}


def test_should_fail_where_a_file_was_refused_and_show_its_first_rejects(flowforge, api):
    api.answer("GET /api/files", {"files": [REFUSED, REPORT], "notes": []})
    listed = flowforge("files", "list")
    assert (listed.code, "line 7, column since: no date" in listed.out) == (1, True)
    shown = flowforge("files", "show", "landing/crm/customers/1.csv")
    assert shown.code == 1
    assert "2 of 40 records do not fit" in shown.out and "since" in shown.out
    assert api.asked[-1].query == {"key": "landing/crm/customers/1.csv", "limit": "20"}
    assert flowforge("files", "list", "--json").document["files"][0]["rejects"][0]["line"] == 7


REJECTED = REPORT | {
    "rejected": 3,
    "records": 12_003,
    "rejects_at": "rejected/bronze_customers/run_1",
    "protects": False,
}
KEPT = {"file": "landing/crm/customers/1.csv", "version": "e1", "column": "since", "reason": "it is no date"}


def rejects_in_a_bucket(*texts: str | None) -> str:
    s3, bucket = client("s3"), f"lake-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    rows = [
        KEPT | {"row_number": n, "line": n + 1, "byte_offset": 10 * n, "raw": text} for n, text in enumerate(texts, 1)
    ]
    body = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, SCHEMA), body)
    s3.put_object(Bucket=bucket, Key="rejected/bronze_customers/run_1.parquet", Body=body.getvalue())
    return bucket


def test_should_show_every_rejected_record_of_a_file(alone, api, stack_file, lake_environment):
    long = "1;" + "x" * 300
    bucket = rejects_in_a_bucket("1;\x1b[31m;31.02.2026", long, "3;c;never")
    stack_file(s3=client("s3").meta.endpoint_url, bucket=bucket)
    api.answer("GET /api/files", {"files": [REJECTED], "notes": []})
    shown = alone("files", "rejects", "landing/crm/customers/1.csv")
    assert shown.code == 0, shown.err
    (line,) = [line for line in shown.out.splitlines() if "31.02.2026" in line]
    assert line.split()[:4] == ["2", "10", "1", "since"] and "\\x1b[31m" in line and "it is no date" in line
    assert long not in shown.out and "Note" not in shown.out
    answered = alone("files", "rejects", "landing/crm/customers/1.csv", "--json", "--limit", "2").document
    assert [one["raw"] for one in answered["rejects"]][1] == long
    assert answered["rejects"][0]["byte_offset"] == 10 and answered["run_id"] == "run_1"
    assert answered["notes"] == ["2 of 3 are shown, the first of the file: --limit 3 shows all."]


def test_should_show_no_text_where_the_table_protects_columns(alone, api, stack_file, lake_environment):
    bucket = rejects_in_a_bucket("1;Mary", None, None)
    stack_file(s3=client("s3").meta.endpoint_url, bucket=bucket)
    api.answer("GET /api/files", {"files": [REJECTED | {"protects": True}], "notes": []})
    shown = alone("files", "rejects", "landing/crm/customers/1.csv")
    assert (shown.code, "Mary" in shown.out, "the table protects columns" in shown.out) == (0, False, True)


def test_should_fail_where_rejected_records_are_not_there_any_more(alone, api, stack_file, lake_environment):
    bucket = rejects_in_a_bucket("a", "b")
    stack_file(s3=client("s3").meta.endpoint_url, bucket=bucket)
    api.answer("GET /api/files", {"files": [REJECTED], "notes": []})
    shown = alone("files", "rejects", "landing/crm/customers/1.csv")
    assert (shown.code, "1 more of its rejected records were counted" in shown.out) == (1, True)
    client("s3").delete_object(Bucket=bucket, Key="rejected/bronze_customers/run_1.parquet")
    gone = alone("files", "rejects", "landing/crm/customers/1.csv", "--json")
    assert (gone.code, gone.document["error"], "a lifecycle rule" in gone.document["remedy"]) == (1, "NotFound", True)
    api.answer("GET /api/files", {"files": [REJECTED | {"rejects_at": None}], "notes": []})
    unknown = alone("files", "rejects", "landing/crm/customers/1.csv")
    assert (unknown.code, "look below rejected/bronze_customers/" in unknown.err) == (1, True)


def test_should_say_that_nothing_was_rejected_and_what_is_known_of_a_refused_file(flowforge, api):
    api.answer("GET /api/files", {"files": [REFUSED, REPORT], "notes": []})
    refused = flowforge("files", "rejects", "landing/crm/customers/1.csv")
    assert (refused.code, "at most ten" in refused.out, "no date" in refused.out) == (1, True, True)
    good = flowforge("files", "rejects", "landing/crm/customers/1.csv", "--run", "run_1")
    assert (good.code, "Nothing was rejected: all 12,000 records are rows." in good.out) == (0, True)
    none = flowforge("files", "rejects", "landing/crm/customers/1.csv", "--run", "run_9")
    assert (none.code, "These have: run_1, run_2." in none.err) == (1, True)


def test_should_put_a_file_where_its_job_finds_it(alone, stack_file, lake_environment):
    s3, bucket = client("s3"), f"lake-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    name = "a b+%2F ü\U0001f600.csv"
    (alone.folder / name).write_text("a\n1\n")
    stack_file(s3=s3.meta.endpoint_url, bucket=bucket)
    done = alone("files", "put", name, "crm/customers", "--json")
    assert (done.code, done.document["key"]) == (0, f"landing/crm/customers/{name}"), done.err
    assert s3.get_object(Bucket=bucket, Key=f"landing/crm/customers/{name}")["Body"].read() == b"a\n1\n"
    assert alone("files", "put", name, "crm").code == 2
    for wrong in (("x" * 250, f"crm/{'é' * 400}"), ("a\udcff.csv", "crm/customers")):
        (alone.folder / wrong[0]).write_text("a\n1\n")
        refused = alone("files", "put", *wrong)
        assert (refused.code, "cannot be the end of a key" in refused.err) == (2, True)
    assert alone("files", "put", "none.csv", "crm/customers").code == 2
