"""What moto does without its mendings. When one of these fails, moto has changed, and that mending may go.

They run on moto as it is installed, in this process. Messages and transactions: test_embedded_aws.py.
"""

import json
import re
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.sqs.models import Message
from werkzeug.test import Client

from infra.local.moto_mendings.mending import VERSION, require_version
from tests.helpers.servers import AWS_KEYS, ROOT

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


def test_should_let_every_page_read_its_answers():
    asked = Client(DomainDispatcherApplication(create_backend_app))
    answer = asked.get("/moto-api/data.json", headers={"Origin": "http://page.example.com"})
    assert answer.headers["Access-Control-Allow-Origin"] == "http://page.example.com"
