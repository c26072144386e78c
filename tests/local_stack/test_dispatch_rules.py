"""Decisions of the dispatcher that need no process: what is done, which route, which event, how often."""

from typing import Any

import pytest

from infra.local import minio
from infra.local.event_sources import answered, as_record
from infra.local.http_api import ANY_METHOD, read_routes, response
from infra.local.minio import NotificationError
from infra.local.schedules import rate_seconds

FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:f"
BATCH = [{"MessageId": "a"}, {"MessageId": "b"}]


@pytest.mark.parametrize(
    ("answer", "done"),
    [
        (None, "ab"),
        ({}, "ab"),
        ({"batchItemFailures": []}, "ab"),
        ({"batchItemFailures": None}, "ab"),
        ({"batchItemFailures": [{"itemIdentifier": "a"}]}, "b"),
        ({"batchItemFailures": [{"itemIdentifier": "a"}, {"itemIdentifier": "b"}]}, ""),
        ({"batchItemFailures": [{"itemIdentifier": "x"}]}, ""),
        ({"batchItemFailures": [{"itemIdentifier": ""}]}, ""),
        ({"batchItemFailures": [{}]}, ""),
        ({"batchItemFailures": ["a"]}, ""),
        ("ok", ""),
    ],
)
def test_should_count_as_done_what_lambda_counts_as_done(answer, done):
    assert "".join(message["MessageId"] for message in answered(BATCH, answer)) == done


def test_should_hand_over_a_message_as_lambda_does():
    message = {
        "MessageId": "m", "ReceiptHandle": "r", "Body": "b", "MD5OfBody": "5", "Attributes": {"ApproximateReceiveCount": "1"},
        "MessageAttributes": {"n": {"DataType": "Binary", "BinaryValue": b"x"}},
    }  # fmt: skip

    record = as_record(message, "arn:aws:sqs:us-east-1:123456789012:q")

    assert record["messageAttributes"] == {"n": {"dataType": "Binary", "binaryValue": "eA=="}}
    assert (record["body"], record["eventSource"], record["awsRegion"]) == ("b", "aws:sqs", "us-east-1")


class Declared:
    """The resources of a template that declares one HTTP API with these routes."""

    def __init__(self, *routes):
        self.paths = {}
        for route in routes:
            method, _, path = route.rpartition(" ")
            uri = f"arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{FUNCTION}/invocations"
            self.paths.setdefault(path, {})[method.lower() or ANY_METHOD] = {
                "x-amazon-apigateway-integration": {"uri": uri}
            }

    def of_kind(self, kind):
        assert kind == "AWS::ApiGatewayV2::Api"
        return {"Api": {"Body": {"paths": self.paths}}}


def test_should_prefer_the_most_specific_route():
    declared = Declared("$default", "GET /a/{rest+}", "/a/{id}", "GET /a/{id}", "GET /a/b")
    function: Any = None  # nobody is called
    routes = read_routes(declared, {FUNCTION: function})

    def route_of(path):
        return next((route.method, route.path) for route in routes if route.pattern.fullmatch(path))

    assert route_of("/a/b") == ("GET", "/a/b")
    assert route_of("/a/c") == ("GET", "/a/{id}")
    assert route_of("/a/c/d") == ("GET", "/a/{rest+}")
    assert route_of("/elsewhere") == (ANY_METHOD, "$default")
    assert [route.method for route in routes if route.path == "/a/{id}"] == ["GET", ANY_METHOD]


def test_should_answer_as_the_function_says():
    assert (response({"a": 1}).text, response({"a": 1}).content_type) == ('{"a": 1}', "application/json")
    assert response("plain").text == "plain"
    made = response(
        {"statusCode": 201, "body": "eA==", "isBase64Encoded": True, "headers": {"X": "1"}, "cookies": ["c=1"]}
    )
    assert (made.status, made.body, made.headers["x"], made.headers["Set-Cookie"]) == (201, b"x", "1", "c=1")


@pytest.mark.parametrize(
    ("expression", "seconds"),
    [
        ("rate(1 minute)", 60),
        ("rate(2 minutes)", 120),
        ("rate(1 day)", 86400),
        ("cron(0 3 * * ? *)", None),
        ("rate(x)", None),
    ],
)
def test_should_read_rates(expression, seconds):
    assert rate_seconds(expression) == seconds


def test_should_pass_on_what_minio_created_and_removed_only():
    def record(name):
        return {"eventName": name, "s3": {"bucket": {"name": "lake"}, "object": {"key": "requests%2Fa%2Bb+c.json"}}}

    entries = minio.to_bus_entries(
        {
            "Records": [
                record("s3:ObjectCreated:Put"),
                record("s3:ObjectAccessed:Get"),
                record("s3:ObjectRemoved:Delete"),
            ]
        }
    )

    assert [entry["DetailType"] for entry in entries] == ["Object Created", "Object Deleted"]
    assert '"requests/a+b c.json"' in entries[0]["Detail"]
    assert minio.to_bus_entries({}) == []


@pytest.mark.parametrize(
    "notification",
    [[], "x", {"Records": [{}]}, {"Records": ["x"]}, {"Records": [{"eventName": "s3:ObjectCreated:Put"}]}],
)
def test_should_refuse_what_is_no_minio_notification(notification):
    with pytest.raises(NotificationError):
        minio.to_bus_entries(notification)
