"""`flowforge files inspect` as people and programs call it."""

import gzip
import json
import uuid

from flowforge.aws.clients import client


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
    assert found["first_irregular"] == [{"line": 3, "fields": 1, "text": "2"}]
    assert found["dialect"]["delimiter"] == ","


def test_should_say_why_a_file_is_refused(alone):
    (alone.folder / "a.csv").write_bytes(b"")
    refused = alone("files", "inspect", str(alone.folder / "a.csv"))
    assert (refused.code, "a.csv is empty: 0 bytes" in refused.err) == (1, True)
    missing = alone("files", "inspect", str(alone.folder / "b.csv"), "--json")
    assert (missing.code, json.loads(missing.out)["error"]) == (2, "InvalidRequest")


def test_should_look_at_a_file_in_a_bucket(alone, stack_file, lake_environment):
    s3, bucket = client("s3"), f"files-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    s3.put_object(Bucket=bucket, Key="landing/sales/daily/a.csv", Body=gzip.compress(b"id,name\n1,a\n2,b\n"))
    stack_file(s3=s3.meta.endpoint_url, bucket="another")
    found = alone("files", "inspect", f"s3://{bucket}/landing/sales/daily/a.csv", "--json")
    assert (found.code, found.document["records"], found.document["name"]) == (0, 2, "a.csv")
    assert [column["name"] for column in found.document["columns"]] == ["id", "name"]
    missing = alone("files", "inspect", f"s3://{bucket}/landing/b.csv")
    assert (missing.code, f"there is no s3://{bucket}/landing/b.csv" in missing.err) == (2, True)
    assert alone("files", "inspect", "s3://only").code == 2
