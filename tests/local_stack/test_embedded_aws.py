"""The embedded AWS as its callers see it: connections, events, and the calls that it has counted."""

import asyncio
import http.client
import json
from collections import Counter

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from infra.local.aws_calls import ask_for_calls
from tests.helpers.servers import AWS_KEYS
from tests.helpers.waiting import LIMIT_SECONDS


@pytest.fixture
def ask(aws):
    """Sends signed calls over one connection; each gives the answer's status and content."""
    host = aws("s3").meta.endpoint_url.removeprefix("http://")
    connection = http.client.HTTPConnection(host, timeout=LIMIT_SECONDS)

    def send(method, path, body=b"", **headers):
        request = AWSRequest(method, f"http://{host}{path}", data=body if isinstance(body, bytes) else b"")
        request.headers["x-amz-content-sha256"] = "UNSIGNED-PAYLOAD"
        S3SigV4Auth(Credentials(*AWS_KEYS.values()), "s3", "us-east-1").add_auth(request)
        signed = {**request.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
        connection.request(method, path, body, signed, encode_chunked=not isinstance(body, bytes))
        answer = connection.getresponse()
        return answer.status, answer.read()

    def read(path):
        """The names of the headers that answer an unsigned call."""
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        return [name.lower() for name, _ in answer.getheaders()]

    send.connection, send.headers_of = connection, read
    yield send
    connection.close()


def test_should_answer_call_after_call_on_one_connection(ask):
    assert ask("PUT", "/kept-open") == (200, b"")
    first = ask.connection.sock
    assert first is not None
    assert ask("PUT", "/kept-open/key", b"content")[0] == 200
    assert ask("GET", "/_local/calls", b"nobody reads this")[0] == 200
    assert ask("HEAD", "/kept-open/key") == (200, b"")
    assert ask("GET", "/kept-open/none")[0] == 404
    assert ask("DELETE", "/kept-open/none") == (204, b"")
    assert ask("GET", "/kept-open/key", Range="bytes=3-") == (206, b"tent")
    assert ask.connection.sock is first


@pytest.mark.parametrize("path", ["/", "/no-bucket/no-key", "/_local/calls", "/moto-api/data.json"])
def test_should_answer_with_each_header_once(ask, path):
    names = Counter(ask.headers_of(path))
    assert names["server"] == names["date"] == 1
    assert set(names.values()) == {1}


def test_should_take_a_body_in_chunks_and_answer_what_follows(ask):
    ask("PUT", "/in-chunks")
    first = ask.connection.sock
    assert ask("PUT", "/in-chunks/key", iter([b"one ", b"two"]), Transfer_Encoding="chunked")[0] == 200
    assert ask("GET", "/in-chunks/key") == (200, b"one two")
    assert ask.connection.sock is first is not None


def test_should_end_a_connection_whose_caller_asks_for_it(ask):
    assert ask("PUT", "/ended", Connection="close") == (200, b"")
    assert ask.connection.sock is None


def listen_on_bus(aws, name, pattern, **target):
    """Create a queue that a rule on the default bus delivers to; return a function that receives what came."""
    sqs, events = aws("sqs"), aws("events")
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    events.put_rule(Name=name, EventPattern=json.dumps(pattern))
    arn = f"arn:aws:sqs:us-east-1:123456789012:{name}"
    events.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": arn, **target}])

    def receive():
        messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        return [json.loads(message["Body"]) for message in messages]

    return receive


def test_should_deliver_events_as_they_were_put(aws):
    receive = listen_on_bus(aws, "faithful", {"source": ["tests"]})
    fixed = listen_on_bus(aws, "fixed", {"source": ["tests"]}, Input='{"fixed": true}')
    detail = {"list": [1, "2", None, True], "text": "<id> and <detail>", "nested": {"n": 1.5}}

    answer = aws("events").put_events(Entries=[{"Source": "tests", "DetailType": "Told", "Detail": json.dumps(detail)}])

    (event,) = receive()
    assert event["detail"] == detail
    assert event["id"] == answer["Entries"][0]["EventId"]
    assert set(event) == {"version", "id", "detail-type", "source", "account", "time", "region", "resources", "detail"}
    assert fixed() == [{"fixed": True}]


def test_should_give_every_object_event_its_own_identity_and_tell_the_default_bus_only(aws):
    s3 = aws("s3")
    s3.create_bucket(Bucket="told")
    s3.put_bucket_notification_configuration(Bucket="told", NotificationConfiguration={"EventBridgeConfiguration": {}})
    receive = listen_on_bus(
        aws, "objects", {"detail-type": ["Object Created"], "detail": {"bucket": {"name": ["told"]}}}
    )

    for key in ("a b", "c+d"):
        s3.put_object(Bucket="told", Key=key, Body=b"x")

    first, second = receive()
    assert [first["detail"]["object"]["key"], second["detail"]["object"]["key"]] == ["a b", "c+d"]
    assert first["id"] != second["id"]
    assert first["detail"]["object"]["sequencer"] < second["detail"]["object"]["sequencer"]
    assert first["detail-type"] == "Object Created"


def test_should_be_usable_from_an_event_loop(aws):
    sqs = aws("sqs")
    url = sqs.create_queue(QueueName="waited")["QueueUrl"]

    async def receive_before_it_is_sent():
        waiting = asyncio.create_task(asyncio.to_thread(sqs.receive_message, QueueUrl=url, WaitTimeSeconds=10))
        await asyncio.to_thread(sqs.send_message, QueueUrl=url, MessageBody="late", DelaySeconds=1)
        return await waiting

    assert [message["Body"] for message in asyncio.run(receive_before_it_is_sent())["Messages"]] == ["late"]


def test_should_count_calls_by_service_and_operation(aws):
    def counted() -> Counter:
        return Counter(ask_for_calls(s3.meta.endpoint_url, *AWS_KEYS.values()))

    s3, events = aws("s3"), aws("events")
    before = counted()
    s3.create_bucket(Bucket="counted")
    s3.put_object(Bucket="counted", Key="a", Body=b"1")
    upload = s3.create_multipart_upload(Bucket="counted", Key="b")["UploadId"]
    s3.upload_part(Bucket="counted", Key="b", UploadId=upload, PartNumber=1, Body=b"2")
    s3.abort_multipart_upload(Bucket="counted", Key="b", UploadId=upload)
    s3.list_objects_v2(Bucket="counted")
    s3.head_object(Bucket="counted", Key="a")
    events.put_events(Entries=[{"Source": "x", "DetailType": "y", "Detail": "{}"}])
    assert counted() - before == {
        "S3 PutObject": 2,  # a bucket is put too
        "S3 CreateMultipartUpload": 1,
        "S3 UploadPart": 1,
        "S3 AbortMultipartUpload": 1,
        "S3 ListObjectsV2": 1,
        "S3 HeadObject": 1,
        "EventBridge PutEvents": 1,
    }


def test_should_count_the_calls_of_each_caller_apart(aws, monkeypatch):
    monkeypatch.setenv("AWS_SDK_UA_APP_ID", "SomeFunction")
    named = aws("sqs")
    monkeypatch.delenv("AWS_SDK_UA_APP_ID")
    named.list_queues()
    aws("sqs").list_queues()
    found = ask_for_calls(named.meta.endpoint_url, *AWS_KEYS.values(), by_caller=True)
    assert found["SomeFunction"] == {"SQS ListQueues": 1}
    assert found[""]["SQS ListQueues"] >= 1
