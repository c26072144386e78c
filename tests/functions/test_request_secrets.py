"""No door keeps a request's secret in clear: files in the bucket (all their versions), the bus, the API; whatever they hold."""

import json
import socket
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from events.envelopes import eventbridge, sqs
from flowforge.operations.sweep import sweep
from functions.submit_job.handler import handler
from tests.helpers.aws_proxy import AwsProxy, Call, Fault
from tests.helpers.function_calls import Context
from tests.helpers.request_door import ATTEMPTS, SECRET_NAMES, make_secret, request


def test_should_take_a_password_out_that_is_written_with_escapes(door):
    secret = make_secret()
    text = json.dumps(request(secret)).replace('"password"', '"pass\\u0077ord"').replace(secret, f"\\u0048{secret[1:]}")
    door.deliver(door.drop(text.encode()))
    assert door.run()["status"] == "accepted"
    assert door.kept()["source_config"]["connection"].keys() == {"host", "port", "database", "secretId"}
    door.assert_clean(secret)


def hidden_in_connection(name: str) -> Callable[[dict, str], Any]:
    return lambda document, secret: document["source_config"]["connection"].update({name: secret})


MISTAKEN = {
    **{name: hidden_in_connection(name) for name in SECRET_NAMES},
    "p\u0061ssword in capitals": hidden_in_connection("PassWord"),
    "a list": lambda d, s: d.update(notes=["x", [s, {"y": s}]]),
    "an object in place of a text": lambda d, s: d["source_config"]["connection"].update(host={"login": s}),
    "a password that is a list": lambda d, s: d["source_config"]["connection"].update(password=[s, s]),
    "a name": lambda d, s: d.update({f"Server=x;Password={s};": 1}),
    "a connection string": lambda d, s: d.update(job_name=f"Server=tcp:x,1433;User ID=sa;Password={s};Encrypt=yes"),
    "a connection string in braces": lambda d, s: d.update(workflow_name=f"driver={{x}}; PWD = {{{s}}}"),
    "an address": lambda d, s: d["source_config"]["connection"].update(database=f"mssql://sa:{s}@db/x"),
    "json in a text": lambda d, s: d.update(job_name=json.dumps(json.dumps({"password": s}))),
    "sql": lambda d, s: d["source_config"]["databaseConfig"].update(
        tableName=None, query=f"SELECT * FROM OPENROWSET('SQLNCLI', 'Server=x;UID=sa;PWD={s}', 'SELECT 1')"
    ),
    "sql, the other form": lambda d, s: d["source_config"]["databaseConfig"].update(
        tableName=None, query=f"SELECT * FROM OPENROWSET('SQLNCLI', 'x';'sa';'{s}', t)"
    ),
    "twenty thousand unknown fields": lambda d, s: d.update({f"field_{n}": s for n in range(20_000)}),
    "a label": lambda d, s: d.update(batch_id=f"password={s.replace('!', '')}"),
}  # fmt: skip


@pytest.mark.parametrize("where", MISTAKEN)
def test_should_keep_nothing_secret_of_a_request_with_mistakes(door, where):
    secret = make_secret()
    document = request(secret)
    MISTAKEN[where](document, secret)
    door.deliver(door.drop(json.dumps(document).encode()))
    run = door.run()
    assert (run["status"], run["trigger"]) == ("rejected", "object")
    assert run["mistakes"]
    door.assert_clean(secret, secret.replace("!", ""))


def unreachable(secret: str) -> dict[str, Any]:
    """A valid request whose tables are to be asked for at a server that is not there."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    document = request(secret)
    document["source_config"]["connection"].update(host="127.0.0.1", port=port)
    document["source_config"]["databaseConfig"] = {"tables": ["dbo.*"]}
    document["destination_config"] = {}
    return document


def test_should_take_the_password_out_before_a_source_is_asked(door):
    secret = make_secret()
    notice = door.drop(json.dumps(unreachable(secret)).encode())
    handler(sqs(notice, attempt=1), Context())
    assert secret not in json.dumps(door.kept())
    door.deliver(notice)
    assert door.run()["status"] == "rejected"
    door.assert_clean(secret)


def test_should_start_the_run_from_the_copy_once_what_was_in_the_way_is_gone(door):
    secret = make_secret()
    notice = door.drop(json.dumps(request(secret)).encode())
    with failing(door.aws, "AmazonSQS"):
        assert handler(sqs(notice, attempt=1), Context())["batchItemFailures"]
    assert secret not in json.dumps(door.kept())
    handler(sqs(notice, attempt=2), Context())
    handler(sqs(notice, attempt=3), Context())
    run = door.run()
    assert run["status"] == "accepted"
    messages = door.aws.messages("IngestQueue")
    assert [message["body"]["run_id"] for message in messages] == [run["run_id"]]
    door.assert_clean(secret)


@pytest.mark.parametrize("service", ["secretsmanager", "DynamoDB", "AWSEvents"])
def test_should_take_the_password_out_whichever_service_fails(door, service):
    secret = make_secret()
    notice = door.drop(json.dumps(request(secret)).encode())
    with failing(door.aws, service):
        door.deliver(notice)
    door.assert_clean(secret)


@contextmanager
def failing(aws, service: str) -> Iterator[None]:
    """For the block every call to one service is refused, but for what settles the message itself."""

    def rule(call: Call) -> Fault | None:
        settles = b"DeadLetters" in call.body or call.operation.endswith("ChangeMessageVisibility")
        is_meant = call.operation.startswith(service) and not settles
        return Fault("instead", status=400, code="AccessDeniedException") if is_meant else None

    with AwsProxy(aws.endpoint) as proxy, proxy.ruled_by(rule), pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ENDPOINT_URL", proxy.url)
        yield


@pytest.mark.parametrize("form", ["object", "request", "text", "request text", "cut text", "not json"])
@pytest.mark.parametrize("fate", ["rejected", "unreachable", "killed", "moved by SQS"])
def test_should_keep_no_password_of_an_event_of_the_bus(door, form, fate):
    secret = make_secret()
    document = unreachable(secret) if fate == "unreachable" else request(secret)
    if fate == "rejected":
        document["source_config"]["connection"]["Pwd"] = secret
    text = json.dumps(document)
    detail = {
        "object": document,
        "request": {"request": document},
        "text": text,
        "request text": {"request": text},
    }.get(form, {"request": text[:-9], "password": secret})
    event: Any = eventbridge("JobRequested", detail, source="scheduler", event_id=str(uuid.uuid4()))
    event = json.dumps(event)[:-5] if form == "not json" else event
    if fate == "moved by SQS":
        body = event if isinstance(event, str) else json.dumps(event)
        door.aws.client("sqs").send_message(QueueUrl=door.aws.name("SubmitDeadLetters"), MessageBody=body)
        sweep()
    elif fate == "killed":
        handler(sqs(event, attempt=ATTEMPTS + 1), Context())
    else:
        door.deliver(event)
    door.assert_clean(secret)


def test_should_start_a_run_from_the_dead_letter_of_an_event(door):
    secret = make_secret()
    event = eventbridge("JobRequested", {"request": json.dumps(request(secret))}, event_id=str(uuid.uuid4()))
    handler(sqs(event, attempt=ATTEMPTS + 1), Context())
    (dead,) = door.aws.messages("SubmitDeadLetters")
    handler(sqs(dead["Body"]), Context())
    (message,) = door.aws.messages("IngestQueue")
    assert message["body"]["connection"]["secret_id"] in dead["Body"]
    assert door.run()["status"] == "accepted"
    door.assert_clean(secret)


def test_should_refuse_a_copy_whose_secret_was_taken_out(door):
    document = request(make_secret())
    document["source_config"]["connection"]["Pwd"] = make_secret()
    door.deliver(door.drop(json.dumps(document).encode()))
    mended = door.kept()
    del mended["source_config"]["connection"]["Pwd"]
    door.deliver(door.drop(json.dumps(mended).encode(), key="requests/mended.json"))
    (mistake,) = door.run()["mistakes"]
    assert (mistake["field"], "taken out" in mistake["problem"]) == ("source_config.connection.password", True)


def test_should_leave_a_file_without_secrets_as_it_is(door):
    document = request()
    document["source_config"]["connection"] = {"connectionId": "nobody"}
    content = json.dumps(document, indent=7).encode()
    door.deliver(door.drop(content))
    assert door.s3.get_object(Bucket=door.bucket, Key=door.key)["Body"].read() == content
