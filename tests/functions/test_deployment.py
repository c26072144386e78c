"""A function works for the deployment that its environment names: what was made for another is not used."""

import gc
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import uuid4

import pytest
from botocore.utils import parse_timestamp

from flowforge.aws.clients import client
from flowforge.aws.moments import read_moment
from flowforge.runtime.deployment import entered
from flowforge.runtime.entry_point import entry_point
from flowforge.runtime.settings import settings
from functions.watermark.handler import handler
from tests.helpers.counted_connections import counted_connections
from tests.helpers.servers import ROOT


def test_should_follow_the_environment(aws, monkeypatch):
    before = settings().bucket
    with monkeypatch.context() as environment:
        environment.setenv("FLOWFORGE_BUCKET", "another")
        environment.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
        assert (settings().bucket, client("s3").meta.endpoint_url) == ("another", "http://127.0.0.1:1")
    assert (settings().bucket, client("s3").meta.endpoint_url) == (before, aws.endpoint)


def test_should_use_a_client_again_in_each_invocation_and_thread(aws):
    made = client("sqs")
    for _ in range(2):
        with entered(), ThreadPoolExecutor(1) as pool:
            assert client("sqs") is made
            assert pool.submit(client, "sqs").result() is made


def test_should_share_clients_between_deployments_that_differ_in_settings_alone(aws, monkeypatch):
    made = client("sqs")
    with monkeypatch.context() as environment:
        environment.setenv("FLOWFORGE_BUCKET", "another")
        assert (settings().bucket, client("sqs")) == ("another", made)
        environment.setenv("AWS_MAX_ATTEMPTS", "1")
        assert client("sqs") is not made
    assert client("sqs") is made


def test_should_sign_with_the_keys_of_each_deployment(aws, monkeypatch):
    where = {"Bucket": aws.name("Lake"), "Key": "x"}
    for key in ("AKIAFIRST", "AKIASECOND"):
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
        assert key in client("s3").generate_presigned_url("get_object", Params=where)


def test_should_send_an_object_without_asking_first_whether_it_may_be_sent(aws, monkeypatch):
    """On AWS the question would be one more way to S3 and back for each object."""
    where = {"Bucket": aws.name("Lake"), "Key": "sent/at-once"}
    with counted_connections(aws.endpoint) as server, monkeypatch.context() as environment:
        environment.setenv("AWS_ENDPOINT_URL", server.url)
        client("s3").put_object(**where, Body=b"a small object")
    assert b"PUT /" in server.heard and b"expect:" not in server.heard.lower()
    assert client("s3").get_object(**where)["Body"].read() == b"a small object"


def test_should_name_to_aws_who_calls_in_a_text_that_is_made_once(aws, monkeypatch):
    for name in (f"First{uuid4().hex}", f"Second{uuid4().hex}"):
        monkeypatch.setenv("AWS_SDK_UA_APP_ID", name)
        client("sqs").list_queues()
        assert aws.calls(by_caller=True)[name] == {"SQS ListQueues": 1}
        assert f" app/{name} " in client("sqs").meta.config.user_agent


def test_should_read_the_times_in_answers_as_botocore_does(aws):
    bucket, key, one = aws.name("Lake"), "times/one", aws.client("s3")
    one.put_object(Bucket=bucket, Key=key, Body=b"x")
    for s3 in (client("s3"), one):
        (listed,) = s3.list_objects_v2(Bucket=bucket, Prefix=key)["Contents"]
        headers = s3.head_object(Bucket=bucket, Key=key)
        assert headers["LastModified"] == listed["LastModified"].replace(microsecond=0)
        assert headers["LastModified"].utcoffset() == listed["LastModified"].utcoffset() == timedelta(0)
    theirs = one.head_object(Bucket=bucket, Key=key)["LastModified"]
    assert client("s3").head_object(Bucket=bucket, Key=key)["LastModified"] == theirs


FORMS = [
    "2026-11-30T17:04:05.678Z",
    "2026-11-30T17:04:05Z",
    "Mon, 30 Nov 2026 17:04:05 GMT",
    "2026-11-30T19:04:05+02:00",
]


@pytest.mark.parametrize("text", [*FORMS, "Mon, 30 Nov 2026 18:04:05 +0100", "1796058245.5", 1796058245])
def test_should_read_a_time_in_any_form_as_botocore_does(text):
    ours, theirs = read_moment(text), parse_timestamp(text)
    assert (ours, ours.utcoffset()) == (theirs, theirs.utcoffset())


@pytest.mark.parametrize("text", ["Mon, 31 Feb 2026 17:04:05 GMT", "2026-13-01T00:00:00Z", "yesterday", ""])
def test_should_take_nothing_for_a_time_that_is_none(text):
    with pytest.raises(ValueError, match=r"."):
        read_moment(text)


def test_should_stop_at_a_setting_that_is_not_valid_before_anything_is_done(aws, context, monkeypatch):
    monkeypatch.setenv("FLOWFORGE_LEASE_SECONDS", "1")
    with pytest.raises(ValueError, match="lease_seconds"):
        handler({"sweep": True}, context)


def test_should_leave_what_is_imported_before_the_first_event_out_of_the_search_for_garbage(aws, context):
    before, made = gc.get_freeze_count(), [[]]
    do_nothing = entry_point(lambda event, context: {})
    assert do_nothing({}, context) == {}
    after = gc.get_freeze_count()
    assert after > before
    made.append([])  # what an event makes is looked at
    assert do_nothing({}, context) == {}
    assert gc.get_freeze_count() <= after


def test_should_clear_no_cache_anywhere():
    clears = ("_".join(("cache", "clear")), "_".join(("forget", "clients")))
    sources = [path for folder in ("tests", "infra", "demo", "benchmarks") for path in (ROOT / folder).rglob("*.py")]
    assert [str(path) for path in sources if any(word in path.read_text() for word in clears)] == []
