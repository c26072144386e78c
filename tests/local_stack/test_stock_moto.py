"""What moto does without its mendings. When one of these fails, moto has changed, and that mending may go.

They run on moto as it is installed, in this process. Messages: test_embedded_messages.py; transactions: test_embedded_items.py.
"""

import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import SimpleNamespace
from typing import Any, NamedTuple

import boto3
import pytest
from moto import mock_aws
from moto.core.serialize import BaseJSONSerializer
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.table import Table
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.s3.models import FakeKey, FakeMultipart, S3Backend
from moto.sqs.models import Message, sqs_backends
from werkzeug.test import Client

from infra.local.moto_mendings.mending import VERSION, require_version
from tests.helpers.servers import AWS_KEYS, ROOT
from tests.helpers.waiting import LIMIT_SECONDS

QUEUE = "arn:aws:sqs:us-east-1:123456789012:told"


@pytest.fixture
def stock(monkeypatch):
    """Clients for moto in this process."""
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        yield lambda service: boto3.client(service, region_name="us-east-1", **AWS_KEYS)


def told(stock) -> list:
    url = stock("sqs").get_queue_url(QueueName="told")["QueueUrl"]
    messages = stock("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    return [json.loads(message["Body"]) for message in messages]


def rule(stock, pattern: dict, bus: str = "default", state: str = "ENABLED", **target) -> None:
    stock("sqs").create_queue(QueueName="told")
    stock("events").put_rule(Name="rule", EventPattern=json.dumps(pattern), State=state, EventBusName=bus)
    stock("events").put_targets(Rule="rule", EventBusName=bus, Targets=[{"Id": "q", "Arn": QUEUE, **target}])


def put(stock, detail: dict) -> None:
    stock("events").put_events(Entries=[{"Source": "tests", "DetailType": "Told", "Detail": json.dumps(detail)}])


def test_should_refuse_a_moto_that_the_mendings_are_not_for():
    with pytest.raises(RuntimeError, match=rf"moto 9\.9\.9 is installed, .* mends {re.escape(VERSION)}"):
        require_version("9.9.9")


@pytest.mark.parametrize(("file", "pin"), [("pyproject.toml", '"moto[server]=={}"'), ("constraints.txt", "moto=={}\n")])
def test_should_pin_the_moto_that_is_mended(file, pin):
    assert pin.format(VERSION) in (ROOT / file).read_text()


def test_should_look_for_every_type_in_each_value_of_an_item(stock, monkeypatch):
    looked, look = [], BaseJSONSerializer.get_value
    monkeypatch.setattr(BaseJSONSerializer, "get_value", lambda *found: looked.append(found[2]) or look(*found))
    key = {"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "pk", "AttributeType": "S"}
    create = {"KeySchema": [key[0]], "AttributeDefinitions": [key[1]], "BillingMode": "PAY_PER_REQUEST"}
    stock("dynamodb").create_table(TableName="t", **create)
    item = {"pk": {"S": "a"}, "m": {"M": {str(number): {"N": "1"} for number in range(20)}}}
    stock("dynamodb").put_item(TableName="t", Item=item)
    looked.clear()
    stock("dynamodb").get_item(TableName="t", Key={"pk": {"S": "a"}})
    assert looked.count("BOOL") == 22


def test_should_deliver_for_a_disabled_rule(stock):
    rule(stock, {"source": ["tests"]}, state="DISABLED")
    put(stock, {"n": 1})
    assert len(told(stock)) == 1


def test_should_ignore_the_input_of_a_target(stock):
    rule(stock, {"source": ["tests"]}, Input='{"fixed": true}')
    put(stock, {"n": 1})
    assert told(stock) != [{"fixed": True}]


def test_should_tell_objects_on_every_bus_with_one_id(stock):
    stock("events").create_event_bus(Name="another")
    rule(stock, {"detail-type": ["Object Created"]}, bus="another")
    stock("s3").create_bucket(Bucket="told")
    wanted = {"NotificationConfiguration": {"EventBridgeConfiguration": {}}}
    stock("s3").put_bucket_notification_configuration(Bucket="told", **wanted)
    for key in ("a", "b"):
        stock("s3").put_object(Bucket="told", Key=key, Body=b"x")
    first, second = told(stock)
    assert first["id"] == second["id"]
    assert "eTag" in first["detail"]["object"]


def test_should_hold_on_to_messages_that_are_deleted(stock):
    url = stock("sqs").create_queue(QueueName="told")["QueueUrl"]
    tracked: Any = Message  # an attribute that its metaclass makes
    before = len(tracked.instances_tracked)
    for _ in range(3):
        stock("sqs").send_message(QueueUrl=url, MessageBody="x")
        (message,) = stock("sqs").receive_message(QueueUrl=url)["Messages"]
        stock("sqs").delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    assert len(tracked.instances_tracked) >= before + 3


@pytest.fixture
def together(monkeypatch):
    """Has two calls of a member of moto's meet in it: each goes on when both are there, and none alone."""

    def meet(owner: Any, name: str, *calls) -> list:
        barrier, inside = threading.Barrier(len(calls)), getattr(owner, name)

        def met(*args, **kwargs):
            barrier.wait(LIMIT_SECONDS)
            return inside(*args, **kwargs)

        monkeypatch.setattr(owner, name, met)
        with ThreadPoolExecutor(len(calls)) as threads:
            return [future.result() for future in [threads.submit(call) for call in calls]]

    return meet


def test_should_let_two_create_one_object_that_neither_may_replace(stock, together):
    s3 = stock("s3")
    s3.create_bucket(Bucket="raced")
    writes = [partial(s3.put_object, Bucket="raced", Key="k", Body=body, IfNoneMatch="*") for body in (b"1", b"2")]
    answers = together(S3Backend, "put_object", *writes)
    assert [answer["ResponseMetadata"]["HTTPStatusCode"] for answer in answers] == [200, 200]


def table_of_three(stock) -> Any:
    dynamodb = stock("dynamodb")
    names = [("pk", "HASH"), ("sk", "RANGE")]
    dynamodb.create_table(
        TableName="kept",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in names],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name, _ in names],
    )
    for key in ("a", "b", "c"):
        dynamodb.put_item(TableName="kept", Item={"pk": {"S": key}, "sk": {"S": key}})
    return dynamodb


def test_should_serve_two_calls_of_dynamodb_at_once(stock, together):
    dynamodb = table_of_three(stock)
    writes = [partial(dynamodb.put_item, TableName="kept", Item={"pk": {"S": "d"}, "sk": {"S": n}}) for n in "12"]
    together(DynamoDBBackend, "put_item", *writes)
    assert dynamodb.scan(TableName="kept")["Count"] == 5


class Looking(Message):
    """A message that notes, when it is received, whether another thread could change its queue."""

    lock: threading.Lock  # the queue's

    def mark_received(self, visibility_timeout: int | None = None) -> None:
        with ThreadPoolExecutor(1) as thread:
            self.unlocked = thread.submit(self.lock.acquire, blocking=False).result()
        super().mark_received(visibility_timeout)

    def __deepcopy__(self, memo: dict) -> Any:
        return self


def test_should_receive_while_others_may_change_the_queue(stock):
    url = stock("sqs").create_queue(QueueName="told")["QueueUrl"]
    queue: Any = sqs_backends["123456789012"]["us-east-1"].get_queue("told")
    message: Any = Looking("one", "one")
    message.lock = threading.Lock()
    queue._messages_lock = threading.Condition(message.lock)
    message.mark_sent()
    queue.add_message(message)
    assert len(stock("sqs").receive_message(QueueUrl=url)["Messages"]) == 1
    assert message.unlocked


def test_should_read_all_of_an_object_for_a_range_of_it(stock, monkeypatch):
    stock("s3").create_bucket(Bucket="read")
    stock("s3").put_object(Bucket="read", Key="k", Body=b"x" * 1000)
    read, value = [], FakeKey.value

    def noted(key: Any) -> bytes:
        read.append(len(found := value.__get__(key)))
        return found

    monkeypatch.setattr(FakeKey, "value", property(noted, value.__set__))
    stock("s3").get_object(Bucket="read", Key="k", Range="bytes=0-9")
    assert 1000 in read


def test_should_copy_the_parts_of_an_upload(stock):
    upload: Any = FakeMultipart("k", {}, "123456789012", "us-east-1")
    etag = upload.set_part(1, b"x" * 1000).etag
    whole, *_ = upload.complete(iter([(1, etag)]))
    upload.dispose()
    assert whole == b"x" * 1000


class Named(NamedTuple):
    """A key of a bucket."""

    name: str


class Names(dict):
    """Keys of a bucket that count those that are looked at."""

    looked_at = 0

    def items(self):
        for item in super().items():
            self.looked_at += 1
            yield item


def test_should_look_through_the_whole_bucket_for_a_listing_below_a_prefix():
    bucket: Any = SimpleNamespace(keys=Names({name: Named(name) for name in ("a/1", "b/1", "c/1")}))
    found, *_ = S3Backend("us-east-1", "123456789012").list_objects(bucket, "a/", None, None, None)
    assert ([key.name for key in found], bucket.keys.looked_at) == (["a/1"], 3)


def test_should_look_through_the_whole_table_for_a_query(stock, monkeypatch):
    dynamodb, every, looked_at = table_of_three(stock), Table.all_items, []

    def noted(table: Table) -> list:
        looked_at.append(len(found := every(table)))
        return found

    monkeypatch.setattr(Table, "all_items", noted)
    asked = {"KeyConditionExpression": "pk = :pk", "ExpressionAttributeValues": {":pk": {"S": "a"}}}
    assert dynamodb.query(TableName="kept", **asked)["Count"] == 1
    assert looked_at and set(looked_at) == {3}


def test_should_let_every_page_read_its_answers():
    asked = Client(DomainDispatcherApplication(create_backend_app))
    answer = asked.get("/moto-api/data.json", headers={"Origin": "http://page.example.com"})
    assert answer.headers["Access-Control-Allow-Origin"] == "http://page.example.com"
