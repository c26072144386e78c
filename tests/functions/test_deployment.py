"""A function works for the deployment that its environment names: what was made for another is not used."""

import gc
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest

from flowforge.aws.clients import client
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
