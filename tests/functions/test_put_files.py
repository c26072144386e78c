"""Files that callers of the API put, and look into: what the command line does, within the bounds of a call."""

import base64
import json

import pytest

from events.api.files import MOST_INSPECTED_BYTES, MOST_UPLOAD_BYTES
from events.envelopes import http
from flowforge.aws.clients import client
from functions.describe_table.handler import handler as describe_table
from functions.submit_job.handler import handler as submit_job

pytestmark = pytest.mark.usefixtures("aws", "answers_as_told")
TEXT = b"id;name\n1;Ada\n2;Zo\xc3\xab\n"


def put(context, content: bytes | str, **given) -> tuple[int, dict]:
    encoded = content if isinstance(content, str) else base64.b64encode(content).decode()
    body = {"workflow_id": "wf", "job_id": "people", "name": "p.csv", "content": encoded, **given}
    answer = submit_job(http("POST", "/api/files", body=body), context)
    return answer["statusCode"], json.loads(answer["body"])


def inspect(context, key: str, **given: str) -> tuple[int, dict]:
    answer = describe_table(http("GET", "/api/files/inspect", query={"key": key, **given}), context)
    return answer["statusCode"], json.loads(answer["body"])


def test_should_put_a_file_where_its_job_finds_it_and_tell_what_it_is(context, lake_bucket, unique):
    name = f"{unique('people')} ü+%2F\U0001f600.csv"
    status, told = put(context, TEXT, name=name)
    assert (status, told) == (201, {"bucket": lake_bucket, "key": f"landing/wf/people/{name}", "bytes": len(TEXT)})
    assert client("s3").get_object(Bucket=lake_bucket, Key=told["key"])["Body"].read() == TEXT
    status, found = inspect(context, told["key"], member="")
    assert (status, found["records"], [one["name"] for one in found["columns"]]) == (200, 2, ["id", "name"])
    assert found["source_config"]["fileConfig"]["delimiter"] == ";"


@pytest.mark.parametrize("name", ["", "a/b", "a\0b", "a\nb", "x" * 256])
@pytest.mark.parametrize("field", ["name", "workflow_id", "job_id"])
def test_should_refuse_a_place_that_is_none(context, field, name):
    status, told = put(context, TEXT, **{field: name})
    assert (status, told["mistakes"][0]["field"]) == (400, field)


@pytest.mark.parametrize("content", ["no base64!", "YQ", b"x" * (MOST_UPLOAD_BYTES + 1)])
def test_should_refuse_what_is_no_small_file(context, content):
    status, told = put(context, content)
    assert (status, told["mistakes"][0]["field"]) == (400, "content")


def test_should_refuse_a_key_that_s3_would_not_take(context):
    status, told = put(context, TEXT, workflow_id="é" * 200, job_id="é" * 200, name="é" * 255)
    assert (status, told["mistakes"][0]["field"]) == (400, "name")


def test_should_look_into_nothing_but_small_files_below_landing(context, lake_bucket, unique):
    s3, large = client("s3"), f"landing/wf/people/{unique('large')}.csv"
    s3.put_object(Bucket=lake_bucket, Key=large, Body=b"x" * (MOST_INSPECTED_BYTES + 1))
    s3.put_object(Bucket=lake_bucket, Key="models/secret.sql", Body=b"SELECT 1")
    status, told = inspect(context, large)
    assert (status, told["error"]) == (422, "FileRefused") and "flowforge files inspect" in told["remedy"]
    for key in ("models/secret.sql", "landing/wf/people/nothing.csv", "landing/\0"):
        status, told = inspect(context, key)
        assert (status, told["error"]) == (404, "NotFound"), told
