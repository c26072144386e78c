"""The embedded AWS keeps what it is given, whatever runs at the same time; and stock moto still does not.

The `stock` tests interleave two calls at exactly the place where moto 5.2.5 is wrong. When one of them fails, that
correction in infra/local/moto_mendings is no longer needed.
"""

import asyncio
import http.client
import json
import os
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import moto.sqs.models as sqs_models
import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from moto.dynamodb.models import DynamoDBBackend

from infra.local import ports
from infra.local.aws_calls import ask_for_calls
from infra.local.moto_mendings.messages import delete_message_in_place
from tests.helpers.servers import AWS_KEYS, AWS_VARIABLES, embedded_aws, start, stop
from tests.helpers.waiting import LIMIT_SECONDS

MESSAGES, PRODUCERS, CONSUMERS = 1500, 3, 3


@pytest.fixture(scope="module")
def aws(tmp_path_factory):
    """A function that opens clients of an embedded AWS as the stack runs it."""
    clients = []

    def open_client(service):
        config = Config(max_pool_connections=20, retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})
        clients.append(
            boto3.client(service, endpoint_url=url, region_name="us-east-1", config=config, **AWS_KEYS)
        )  # fmt: skip
        return clients[-1]

    with embedded_aws(tmp_path_factory.mktemp("aws") / "log") as url:
        yield open_client
        for client in clients:
            client.close()


def test_should_deliver_every_message_while_others_are_sent_received_and_deleted(aws):
    sqs = aws("sqs")
    url = sqs.create_queue(QueueName="race", Attributes={"VisibilityTimeout": "120"})["QueueUrl"]
    seen, producing = set(), threading.Event()
    producing.set()

    def produce(producer):
        numbers = range(producer, MESSAGES, PRODUCERS)
        for first in range(0, len(numbers), 5):
            entries = [{"Id": str(number), "MessageBody": str(number)} for number in numbers[first : first + 5]]
            assert not sqs.send_message_batch(QueueUrl=url, Entries=entries).get("Failed")

    def consume():
        while True:
            answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1)
            messages = answer.get("Messages", [])
            if not messages and not producing.is_set():
                return
            for message in messages:
                seen.add(int(message["Body"]))
            entries = [{"Id": m["MessageId"], "ReceiptHandle": m["ReceiptHandle"]} for m in messages]
            if entries:
                sqs.delete_message_batch(QueueUrl=url, Entries=entries)

    with ThreadPoolExecutor(PRODUCERS + CONSUMERS) as pool:
        consumers = [pool.submit(consume) for _ in range(CONSUMERS)]
        for producer in [pool.submit(produce, number) for number in range(PRODUCERS)]:
            producer.result()
        producing.clear()
        for consumer in consumers:
            consumer.result()

    assert seen == set(range(MESSAGES))
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert attributes["ApproximateNumberOfMessages"] == attributes["ApproximateNumberOfMessagesNotVisible"] == "0"


class MessageDuringWhoseDelete(sqs_models.Message):
    """While a delete goes through the list, another thread deletes a second message and sends a third."""

    def __init__(self, look, patience, interloper):
        super().__init__("first", "first")
        self.looks_left, self.patience, self.thread = look, patience, threading.Thread(target=interloper)

    def had_receipt_handle(self, receipt_handle):
        self.looks_left -= 1
        if self.looks_left == 0:
            self.thread.start()
            self.thread.join(timeout=self.patience)
        return super().had_receipt_handle(receipt_handle)


@pytest.mark.parametrize(
    ("delete", "look", "patience", "left"),
    # Stock moto first looks whether it knows the handle, and builds the new list in a second pass. It lets the other thread
    # end meanwhile; the corrected one has it wait for its lock.
    [
        (sqs_models.Queue.delete_message, 2, LIMIT_SECONDS, ["second"]),
        (delete_message_in_place, 1, 0.5, ["third"]),
    ],
    ids=["stock", "corrected"],
)
def test_should_lose_a_message_sent_while_two_are_deleted_in_stock_moto_only(delete, look, patience, left):
    # A class of moto's models makes what its metaclass says: to a type checker, any model.
    queue: Any = sqs_models.Queue("q", "us-east-1", "123456789012")
    second: Any = sqs_models.Message("second", "second")

    def delete_and_send():
        delete(queue, second.receipt_handle)
        queue.add_message(sqs_models.Message("third", "third"))

    first: Any = MessageDuringWhoseDelete(look, patience, delete_and_send)
    for message in (first, second):
        queue.add_message(message)
        message.mark_received()

    delete(queue, first.receipt_handle)

    first.thread.join()
    assert [message.id for message in queue._messages] == left


def create_table(dynamodb, name):
    dynamodb.create_table(
        TableName=name, BillingMode="PAY_PER_REQUEST", KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
    )  # fmt: skip


def test_should_keep_items_written_while_transactions_fail(aws):
    dynamodb = aws("dynamodb")
    create_table(dynamodb, "kept")
    dynamodb.put_item(TableName="kept", Item={"pk": {"S": "taken"}})
    absent = {"TableName": "kept", "ConditionExpression": "attribute_not_exists(pk)"}
    cancelled = dynamodb.exceptions.TransactionCanceledException  # made once: two threads that ask first make two of it

    def write(number):
        dynamodb.put_item(TableName="kept", Item={"pk": {"S": f"item{number}"}})

    def fail(number):
        items = [
            {"Put": absent | {"Item": {"pk": {"S": f"half{number}"}}}},
            {"Put": absent | {"Item": {"pk": {"S": "taken"}}}},
        ]
        with pytest.raises(cancelled):
            dynamodb.transact_write_items(TransactItems=items)

    with ThreadPoolExecutor(6) as pool:
        done = [pool.submit(work, number) for number in range(100) for work in (write, fail)]
        for one in done:
            one.result()

    keys = {item["pk"]["S"] for item in dynamodb.scan(TableName="kept")["Items"]}
    assert keys == {"taken", *(f"item{number}" for number in range(100))}


class OperationDuringWhichSomebodyWrites(dict):
    """One operation of a transaction; reading its condition lets another writer put an item."""

    def get(self, name, default=None):
        if name == "ConditionExpression":
            self["backend"].put_item("undone", {"pk": {"S": "somebody else's"}})
        return super().get(name, default)


def test_should_undo_somebody_elses_write_in_a_failed_transaction_of_stock_moto():
    backend = DynamoDBBackend("us-east-1", "123456789012")
    key = {"AttributeName": "pk"}
    backend.create_table(
        "undone", schema=[key | {"KeyType": "HASH"}], attr=[key | {"AttributeType": "S"}], billing_mode="PAY_PER_REQUEST",
        throughput=None, indexes=[], global_indexes=[], streams=None, sse_specification=None, tags=[],
        deletion_protection_enabled=False, warm_throughput=None,
    )  # fmt: skip
    operation = OperationDuringWhichSomebodyWrites(
        TableName="undone", Item={"pk": {"S": "own"}}, ConditionExpression="attribute_exists(pk)", backend=backend
    )

    with pytest.raises(Exception, match="Transaction cancelled"):
        backend.transact_write_items([{"Put": operation}])

    assert backend.get_item("undone", {"pk": {"S": "somebody else's"}}) is None


def test_should_leave_no_trace_of_a_failed_transaction(aws):
    dynamodb = aws("dynamodb")
    create_table(dynamodb, "traces")
    before = {
        name: {"pk": {"S": name}, "list": {"L": [{"N": "1"}, {"M": {"a": {"S": "b"}}}]}} for name in ("a", "b", "c")
    }
    for item in before.values():
        dynamodb.put_item(TableName="traces", Item=item)
    of = {"TableName": "traces"}
    changed = {"UpdateExpression": "SET #l[0] = :n, extra = :n", "ExpressionAttributeNames": {"#l": "list"}}
    items = [
        {"Put": of | {"Item": {"pk": {"S": "a"}}}},
        {"Put": of | {"Item": {"pk": {"S": "new"}}}},
        {"Update": of | changed | {"Key": {"pk": {"S": "b"}}, "ExpressionAttributeValues": {":n": {"N": "2"}}}},
        {"Delete": of | {"Key": {"pk": {"S": "c"}}}},
    ]
    fails = {"ConditionCheck": of | {"Key": {"pk": {"S": "none"}}, "ConditionExpression": "attribute_exists(pk)"}}

    with pytest.raises(dynamodb.exceptions.TransactionCanceledException):
        dynamodb.transact_write_items(TransactItems=[*items, fails])
    assert {item["pk"]["S"]: item for item in dynamodb.scan(TableName="traces")["Items"]} == before

    dynamodb.transact_write_items(TransactItems=items)
    assert {item["pk"]["S"] for item in dynamodb.scan(TableName="traces")["Items"]} == {"a", "b", "new"}


def test_should_query_a_table_and_its_index_among_other_items(aws):
    dynamodb = aws("dynamodb")
    keys = {"HASH": "pk", "RANGE": "sk"}, {"HASH": "open", "RANGE": "since"}
    table, index = ([{"AttributeName": name, "KeyType": kind} for kind, name in of.items()] for of in keys)
    names = [{"AttributeName": name, "AttributeType": "S"} for of in keys for name in of.values()]
    dynamodb.create_table(
        TableName="asked", BillingMode="PAY_PER_REQUEST", KeySchema=table, AttributeDefinitions=names,
        GlobalSecondaryIndexes=[{"IndexName": "open", "KeySchema": index, "Projection": {"ProjectionType": "ALL"}}],
    )  # fmt: skip
    for number in range(30):
        item = {"pk": {"S": f"p{number % 3}"}, "sk": {"S": f"{number:02}"}, "n": {"N": str(number)}}
        item |= {"since": {"S": f"{99 - number}"}} if number % 2 else {}
        item |= {"open": {"S": "yes" if number < 20 else "no"}} if number % 5 else {}
        dynamodb.put_item(TableName="asked", Item=item)

    def numbers(values, **asked):
        found, page = [], {}
        while page is not None:
            values_of = {f":{name}": {"S": value} for name, value in values.items()}
            answer = dynamodb.query(TableName="asked", ExpressionAttributeValues=values_of, Limit=3, **asked, **page)
            found += [int(item["n"]["N"]) for item in answer["Items"]]
            last = answer.get("LastEvaluatedKey")
            page = {"ExclusiveStartKey": last} if last else None
        return found

    assert numbers({"p": "p1"}, KeyConditionExpression="pk = :p") == list(range(1, 30, 3))
    assert numbers({"p": "p1"}, KeyConditionExpression="pk = :p", ScanIndexForward=False) == list(range(28, 0, -3))
    assert numbers({"p": "p1", "s": "1"}, KeyConditionExpression="pk = :p AND begins_with(sk, :s)") == [10, 13, 16, 19]
    assert numbers({"p": "none"}, KeyConditionExpression="pk = :p") == []
    asked = {"IndexName": "open", "KeyConditionExpression": "#o = :o", "ExpressionAttributeNames": {"#o": "open"}}
    assert numbers({"o": "yes"}, **asked) == [19, 17, 13, 11, 9, 7, 3, 1]
    dynamodb.delete_item(TableName="asked", Key={"pk": {"S": "p1"}, "sk": {"S": "13"}})
    assert numbers({"o": "yes"}, **asked) == [19, 17, 11, 9, 7, 3, 1]


def test_should_list_what_is_below_a_prefix_among_other_keys(aws):
    s3 = aws("s3")
    s3.create_bucket(Bucket="listed")
    keys = [f"{top}/{folder}/{number}" for top in ("a", "ab", "b") for folder in ("x", "y") for number in range(3)]
    for key in [*keys, "a/top", "gone"]:
        s3.put_object(Bucket="listed", Key=key, Body=b"1")
    s3.put_object(Bucket="listed", Key="a/top", Body=b"22")
    s3.delete_object(Bucket="listed", Key="gone")

    def listed(**asked):
        keys, folders = {}, []
        for page in s3.get_paginator("list_objects_v2").paginate(
            Bucket="listed", PaginationConfig={"PageSize": 2}, **asked
        ):
            keys |= {found["Key"]: found["Size"] for found in page.get("Contents", ())}
            folders += [folder["Prefix"] for folder in page.get("CommonPrefixes", ())]
        return keys, folders

    assert listed(Prefix="a/", Delimiter="/") == ({"a/top": 2}, ["a/x/", "a/y/"])
    assert listed(Prefix="a/x/1", StartAfter="a/x/0") == ({"a/x/1": 1}, [])
    assert listed(Prefix="ab/") == ({key: 1 for key in keys if key.startswith("ab/")}, [])
    assert listed(Prefix="gone") == ({}, [])
    assert listed() == (dict.fromkeys(keys, 1) | {"a/top": 2}, [])


def resident_megabytes(process):
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_should_keep_nothing_of_what_is_gone_and_copy_no_table():
    settings = {"region_name": "us-east-1", **AWS_KEYS}
    with ports.listen(0) as listener:
        url, number = f"http://127.0.0.1:{listener.getsockname()[1]}", listener.fileno()
        started = {"pass_fds": [number], "stderr": subprocess.DEVNULL, "env": os.environ | AWS_VARIABLES}
        process = start("infra.local.moto_server", str(number), **started)
    try:
        dynamodb, s3 = (boto3.client(name, endpoint_url=url, **settings) for name in ("dynamodb", "s3"))
        create_table(dynamodb, "large")
        s3.create_bucket(Bucket="replaced")
        content = {"L": [{"M": {"a": {"S": "x"}, "b": {"N": str(number)}}} for number in range(50)]}
        for number in range(100):
            item = {"pk": {"S": str(number)}, "content": content}
            dynamodb.transact_write_items(TransactItems=[{"Put": {"TableName": "large", "Item": item}}])
        s3.put_object(Bucket="replaced", Key="k", Body=bytes(2_000_000))
        before = resident_megabytes(process)
        for _ in range(100):
            dynamodb.transact_write_items(TransactItems=[{"Put": {"TableName": "large", "Item": item}}])
            s3.put_object(Bucket="replaced", Key="k", Body=bytes(2_000_000))
        grown = resident_megabytes(process) - before
        dynamodb.close()
        s3.close()
    finally:
        stop(process)
    assert grown < 50  # stock moto: 256


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

    send.connection = connection
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


def test_should_take_a_body_in_chunks_and_answer_what_follows(ask):
    ask("PUT", "/in-chunks")
    first = ask.connection.sock
    assert ask("PUT", "/in-chunks/key", iter([b"one ", b"two"]), Transfer_Encoding="chunked")[0] == 200
    assert ask("GET", "/in-chunks/key") == (200, b"one two")
    assert ask.connection.sock is first is not None


def test_should_end_a_connection_whose_caller_asks_for_it(ask):
    assert ask("PUT", "/ended", Connection="close") == (200, b"")
    assert ask.connection.sock is None


VALUES = {
    "S": ["", "text"],
    "N": ["0", "-1.5"],
    "B": [b"", b"\x00\xff"],
    "BOOL": [True, False],
    "NULL": [True],
    "SS": [["a", "b"]],
    "NS": [["1", "2"]],
    "BS": [[b"a", b"\xff"]],
    "L": [[], [{"S": "x"}, {"L": [{"N": "1"}]}]],
    "M": [{}, {"S": {"S": "named as a type"}, "m": {"M": {"B": {"B": b"x"}, "N": {"NULL": True}}}}],
}


@pytest.mark.parametrize("kind", VALUES)
def test_should_give_back_values_of_every_type(aws, kind):
    dynamodb = aws("dynamodb")
    create_table(dynamodb, f"values-{kind}")
    for number, value in enumerate(VALUES[kind]):
        item = {"pk": {"S": str(number)}, "v": {kind: value}}
        dynamodb.put_item(TableName=f"values-{kind}", Item=item)
        assert dynamodb.get_item(TableName=f"values-{kind}", Key={"pk": item["pk"]})["Item"] == item
        assert item in dynamodb.scan(TableName=f"values-{kind}")["Items"]


def test_should_let_one_conditional_write_of_many_win(aws):
    s3 = aws("s3")
    s3.create_bucket(Bucket="contested")

    def put(writer, key):
        try:
            s3.put_object(Bucket="contested", Key=key, Body=str(writer).encode(), IfNoneMatch="*")
        except ClientError as error:
            assert error.response["Error"]["Code"] == "PreconditionFailed"
            return None
        return str(writer).encode()

    with ThreadPoolExecutor(8) as pool:
        for round_ in range(10):
            winners = [one for one in pool.map(lambda writer, key=f"k{round_}": put(writer, key), range(8)) if one]
            assert winners == [s3.get_object(Bucket="contested", Key=f"k{round_}")["Body"].read()]


def test_should_complete_one_conditional_multipart_upload_of_many(aws):
    s3 = aws("s3")
    s3.create_bucket(Bucket="parts")

    def upload(writer):
        target = {
            "Bucket": "parts",
            "Key": "whole",
            "UploadId": s3.create_multipart_upload(Bucket="parts", Key="whole")["UploadId"],
        }
        etag = s3.upload_part(**target, PartNumber=1, Body=bytes([writer]) * 1_000_000)["ETag"]
        try:
            s3.complete_multipart_upload(
                **target, IfNoneMatch="*", MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]}
            )
        except ClientError as error:
            assert error.response["Error"]["Code"] == "PreconditionFailed"
            return None
        return bytes([writer]) * 1_000_000

    with ThreadPoolExecutor(6) as pool:
        winners = [one for one in pool.map(upload, range(6)) if one]

    assert winners == [s3.get_object(Bucket="parts", Key="whole")["Body"].read()]


@pytest.fixture(scope="module")
def whole_and_joined(aws):
    """One text as two objects: put at once, and uploaded in three parts."""
    s3, text = aws("s3"), bytes(range(256)) * 50_000
    s3.create_bucket(Bucket="ranges")
    s3.put_object(Bucket="ranges", Key="whole", Body=text)
    upload = {"Bucket": "ranges", "Key": "joined"}
    upload["UploadId"] = s3.create_multipart_upload(**upload)["UploadId"]
    pieces = [text[:5_300_000], text[5_300_000:11_000_001], text[11_000_001:]]
    parts = [
        {"PartNumber": number, "ETag": s3.upload_part(**upload, PartNumber=number, Body=piece)["ETag"]}
        for number, piece in enumerate(pieces, 1)
    ]
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    return text


@pytest.mark.parametrize("key", ["whole", "joined"])
@pytest.mark.parametrize(
    ("asked", "begin", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=5299999-5300000", 5_299_999, 5_300_001),
        ("bytes=5000000-11500000", 5_000_000, 11_500_001),
        ("bytes=12799990-", 12_799_990, 12_800_000),
        ("bytes=-7", 12_799_993, 12_800_000),
        ("bytes=12799999-99999999", 12_799_999, 12_800_000),
        ("", 0, 12_800_000),
        ("bytes=9-3", 0, 12_800_000),
    ],
)
def test_should_read_ranges_of_objects_where_they_lie(aws, whole_and_joined, key, asked, begin, end):
    range_ = {"Range": asked} if asked else {}
    answer = aws("s3").get_object(Bucket="ranges", Key=key, **range_)
    body = answer["Body"].read()
    assert (len(body), body == whole_and_joined[begin:end]) == (end - begin, True)
    if end - begin < len(whole_and_joined):
        assert answer["ContentRange"] == f"bytes {begin}-{end - 1}/12800000"


@pytest.mark.parametrize("key", ["whole", "joined"])
def test_should_refuse_a_range_beyond_the_object(aws, whole_and_joined, key):
    with pytest.raises(ClientError, match="InvalidRange"):
        aws("s3").get_object(Bucket="ranges", Key=key, Range="bytes=12800000-")
    assert aws("s3").head_object(Bucket="ranges", Key=key)["ContentLength"] == 12_800_000


def test_should_copy_and_replace_an_object_that_came_in_parts(aws, whole_and_joined):
    s3 = aws("s3")
    s3.copy_object(Bucket="ranges", Key="copy", CopySource="ranges/joined")
    assert s3.get_object(Bucket="ranges", Key="copy")["Body"].read() == whole_and_joined
    s3.put_object(Bucket="ranges", Key="copy", Body=b"new")
    assert s3.get_object(Bucket="ranges", Key="copy")["Body"].read() == b"new"


@pytest.mark.parametrize(
    ("sizes", "wrong", "code"),
    [((6_000_000, 10), 2, "InvalidPart"), ((10, 10), 0, "EntityTooSmall"), ((6_000_000,), 9, "MalformedXML")],
)
def test_should_refuse_parts_that_do_not_make_an_object(aws, whole_and_joined, sizes, wrong, code):
    s3, upload = aws("s3"), {"Bucket": "ranges", "Key": "refused"}
    upload["UploadId"] = s3.create_multipart_upload(**upload)["UploadId"]
    parts = [
        {"PartNumber": number, "ETag": s3.upload_part(**upload, PartNumber=number, Body=b"x" * size)["ETag"]}
        for number, size in enumerate(sizes, 1)
    ]
    for part in parts:
        if part["PartNumber"] == wrong:
            part["ETag"] = '"' + "0" * 32 + '"'
    with pytest.raises(ClientError, match=code):
        s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts if wrong != 9 else []})


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


def test_should_deduplicate_by_content_where_a_queue_says_so_only(aws):
    sqs = aws("sqs")
    kept = {}
    for name, attributes in (
        ("once.fifo", {"FifoQueue": "true", "ContentBasedDeduplication": "true"}),
        ("plain", {}),
    ):
        url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
        group = {"MessageGroupId": "g"} if attributes else {}
        for body in ("a", "a", "b"):
            sqs.send_message(QueueUrl=url, MessageBody=body, **group)
        found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])["Attributes"]
        kept[name] = int(found["ApproximateNumberOfMessages"])
    assert kept == {"once.fifo": 2, "plain": 3}


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
