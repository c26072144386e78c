"""`flowforge doctor`: each finding with what to do, and an exit code."""

import boto3
import pytest

from tests.helpers.aws_proxy import AwsProxy
from tests.helpers.servers import AWS_KEYS, embedded_aws


@pytest.fixture(scope="module")
def s3(tmp_path_factory):
    """A store whose conditional writes are atomic."""
    with embedded_aws(tmp_path_factory.mktemp("aws") / "log") as url:
        boto3.client("s3", endpoint_url=url, region_name="us-east-1", **AWS_KEYS).create_bucket(Bucket="lake-of-doctor")
        yield url


@pytest.fixture
def healthy(api):
    api.answer("GET /api/runs", {"runs": []})
    api.answer("GET /api/watermarks", {"watermarks": [{"id": "a", "bronze_table": "b"}]})
    api.answer("GET /api/dead-letters", {"messages": [], "more": False, "failed": []})


def states(ended) -> dict[str, str]:
    return {one["what"]: one["state"] for one in ended.document["findings"]}


def test_should_find_all_well(alone, stack_file, healthy, s3):
    stack_file(s3=s3, bucket="lake-of-doctor")
    ended = alone("doctor", "--json")
    assert ended.code == 0, ended.out + ended.err
    assert set(states(ended).items()) == {
        (what, "good") for what in ("api", "credentials", "conditional writes", "tables", "queues")
    }
    assert "one wins" in alone("doctor").out


def test_should_say_what_is_wrong_and_what_to_do(alone, stack_file, healthy, api, s3):
    letter = {"queue": "ingest", "table": "t", "run_id": "r", "reason": "x", "id": "i", "at": 1, "age_seconds": 1}
    api.answer("GET /api/dead-letters", {"messages": [letter] * 2, "more": False, "failed": []})
    broken = {"id": "k7", "bronze_table": "b", "problem": "the state of b cannot be read"}
    api.answer("GET /api/watermarks", {"watermarks": [broken]})
    with AwsProxy(s3) as proxy:
        proxy.dropped = {"PUT": ("If-None-Match",)}
        stack_file(s3=proxy.url, bucket="lake-of-doctor")
        ended = alone("doctor", "--json")
    assert ended.code == 1
    assert states(ended) == {
        "api": "good",
        "credentials": "good",
        "conditional writes": "bad",
        "tables": "bad",
        "queues": "warning",
    }
    told = {one["what"]: f"{one['finding']} {one['remedy']}" for one in ended.document["findings"]}
    assert "ignores If-None-Match" in told["conditional writes"] and "Use a store" in told["conditional writes"]
    assert (
        "cannot be read" in told["tables"] and "2 given up" in told["queues"] and "flowforge replay" in told["queues"]
    )


def test_should_go_on_where_one_thing_cannot_be_told(alone, stack_file, healthy):
    stack_file(bucket="lake-of-doctor")  # nothing listens at its S3
    ended = alone("doctor", "--json")
    assert ended.code == 1
    found = states(ended)
    assert (found["credentials"], found["conditional writes"], found["queues"]) == ("bad", "bad", "good")
