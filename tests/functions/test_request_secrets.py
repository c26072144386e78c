"""No door keeps a request's secret in clear: files in the bucket (all their versions), the bus, the API; whatever they hold."""

import copy
import gzip
import json
import logging
import socket
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from events.documents import MOST_BYTES
from events.envelopes import eventbridge, http, minio, s3_object_created, sqs
from events.export import FULL
from flowforge.operations.sweep import sweep
from flowforge.state.run_list import list_runs
from functions.submit_job.handler import handler
from tests.helpers.aws_proxy import AwsProxy, Call, Fault
from tests.helpers.function_calls import Context

ROUTE = "/api/workflows/{id}/run"
ATTEMPTS = 3
QUEUES = ("SubmitQueue", "IngestQueue", "TrackQueue", "SubmitDeadLetters")
TABLES = ("Runs", "Watermarks", "Connections")
SECRET_NAMES = (
    "Password",
    "PASSWORD",
    "pwd",
    "passwd",
    "pass",
    "secret",
    "apiKey",
    "Token",
    "'password'",
    "user password",
)


def make_secret() -> str:
    return f"Hid-{uuid.uuid4().hex[:12]}!"


def request(secret: str = "") -> dict[str, Any]:
    document = copy.deepcopy(FULL)
    document["source_config"]["connection"]["password"] = secret or "FlowForge2024!"
    return document


class Door:
    """A bucket with versions, and everything in which a secret could be left behind."""

    def __init__(self, aws, log: "_Lines"):
        self.aws, self.log, self.bucket = aws, log, f"requests-{uuid.uuid4().hex[:8]}"
        self.s3 = aws.client("s3")
        self.s3.create_bucket(Bucket=self.bucket)
        self.s3.put_bucket_versioning(Bucket=self.bucket, VersioningConfiguration={"Status": "Enabled"})
        self.key = "requests/job.json"

    def drop(self, content: bytes, key: str = "requests/job.json") -> dict[str, Any]:
        """Puts a file; returns its notice."""
        self.key = key
        put = self.s3.put_object(Bucket=self.bucket, Key=key, Body=content)
        notice = s3_object_created(self.bucket, key, version=put["VersionId"])
        notice["detail"]["object"]["etag"] = put["ETag"].strip('"')
        return notice

    def deliver(self, envelope: dict[str, Any] | str) -> None:
        """As SQS does: again and again, until the message is gone."""
        for attempt in range(1, ATTEMPTS + 2):
            answer = handler(sqs(envelope, attempt=attempt), Context())
            if not answer["batchItemFailures"]:
                return
        raise AssertionError("the message would have been moved to the dead letters as it is")

    def kept(self) -> Any:
        return json.loads(self.s3.get_object(Bucket=self.bucket, Key=self.key)["Body"].read())

    def run(self) -> dict[str, Any]:
        """The run that was opened or rejected last."""
        return list_runs(1)["runs"][0]

    def places(self) -> Iterator[tuple[str, str]]:
        """(where, text) of all that is stored, queued, told and logged."""
        for page in self.s3.get_paginator("list_object_versions").paginate(Bucket=self.bucket):
            for one in page.get("Versions", []):
                found = self.s3.get_object(Bucket=self.bucket, Key=one["Key"], VersionId=one["VersionId"])
                yield from _readings(f"bucket {one['Key']}", found["Body"].read())
                yield f"metadata of {one['Key']}", json.dumps(found["Metadata"])
        for queue in QUEUES:
            for message in self.aws.messages(queue):
                yield queue, json.dumps(message["body"], ensure_ascii=False) + message["Body"]
                yield queue, json.dumps(message.get("MessageAttributes", {}), default=str)
        for table in TABLES:
            for item in self.aws.client("dynamodb").scan(TableName=self.aws.name(table))["Items"]:
                yield f"table {table}", repr(item)
        yield "log", "\n".join(self.log.lines)
        self.log.lines.clear()

    def assert_clean(self, *secrets: str) -> None:
        found = [(where, secret) for where, text in self.places() for secret in secrets if secret in text]
        assert found == []


def _readings(where: str, content: bytes) -> Iterator[tuple[str, str]]:
    for encoding in ("utf-8", "utf-16-le", "utf-16-be", "utf-32-le"):
        yield where, content.decode(encoding, errors="replace")
    yield where, content.decode("unicode-escape", errors="replace")


class _Lines(logging.Handler):
    """What the functions log, at every level, with the traces."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record) + repr(record.__dict__))


@pytest.fixture(scope="module")
def door(aws) -> Iterator[Door]:
    logger, lines = logging.getLogger("flowforge"), _Lines()
    level = logger.level
    logger.addHandler(lines)
    logger.setLevel(logging.DEBUG)
    with pytest.MonkeyPatch.context() as environment:
        aws.use("SubmitQueue", "SubmitDeadLetters", environment)
        environment.setenv("FLOWFORGE_MAX_ATTEMPTS", str(ATTEMPTS))
        environment.setenv("FLOWFORGE_DEAD_LETTER_QUEUES", f"submit={aws.name('SubmitDeadLetters')}")
        for queue in QUEUES:
            aws.messages(queue)
        yield Door(aws, lines)
    logger.removeHandler(lines)
    logger.setLevel(level)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be", "utf-32", "utf-16-le"])
def test_should_read_a_request_file_in_the_encodings_that_windows_writes(door, encoding):
    secret, name = make_secret(), "日次ジョブ"
    text = json.dumps(request(secret) | {"job_name": name}, ensure_ascii=False)
    door.deliver(door.drop(text.encode(encoding)))
    assert (door.run()["status"], door.kept()["job_name"]) == ("accepted", name)
    assert len(door.aws.messages("IngestQueue")) == 1
    door.assert_clean(secret)


def test_should_refuse_a_file_in_a_code_page_with_the_way_out(door):
    secret = make_secret()
    door.deliver(door.drop((json.dumps(request(secret))[:-1] + ', "job_name": "Übernahme"}').encode("cp1252")))
    (mistake,) = door.run()["mistakes"]
    assert "save it as UTF-8" in mistake["problem"]
    assert set(door.kept()) == {"notKept"}
    door.assert_clean(secret)


def test_should_take_a_password_out_that_is_written_with_escapes(door):
    secret = make_secret()
    text = json.dumps(request(secret)).replace('"password"', '"pass\\u0077ord"').replace(secret, f"\\u0048{secret[1:]}")
    door.deliver(door.drop(text.encode()))
    assert door.run()["status"] == "accepted"
    assert door.kept()["source_config"]["connection"].keys() == {"host", "port", "database", "secretId"}
    door.assert_clean(secret)


def test_should_take_a_file_with_its_suffix_in_capitals(door):
    secret = make_secret()
    door.deliver(door.drop(json.dumps(request(secret)).encode(), key="requests/JOB.JSON"))
    assert door.run()["status"] == "accepted"
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


UNREADABLE = {
    "cut in the value": lambda text, secret: text[: text.index(secret) + len(secret)],
    "single quotes": lambda text, secret: text.replace('"', "'"),
    "a field twice": lambda text, secret: text[:-1] + f', "job_name": "a", "job_name": "{secret}"}}',
    "something after it": lambda text, secret: text + text,
    "deep lists": lambda text, secret: "[" * 200_000 + json.dumps(secret),
    "deep objects": lambda text, secret: text[:-1] + ', "x": ' + '{"a":' * 500 + json.dumps(secret) + "}" * 501,
    "a text": lambda text, secret: json.dumps(text),
    "half a character": lambda text, secret: text[:-1] + ', "x": "\\ud800"}',
    "NaN": lambda text, secret: text[:-1] + ', "x": NaN}',
    "more values than a request has": lambda text, secret: text[:-1] + ', "x": [' + "1," * 100_000 + f'"{secret}"]}}',
    "a number of 5,000 digits": lambda text, secret: text[:-1] + f', "x": {"9" * 5000}}}',
    "a comment": lambda text, secret: f"// {secret}\n{text}",
}


@pytest.mark.parametrize("what", UNREADABLE)
def test_should_replace_what_cannot_be_read_by_a_note_of_its_hash_and_the_reason(door, what):
    secret = make_secret()
    door.deliver(door.drop(UNREADABLE[what](json.dumps(request(secret)), secret).encode()))
    note = door.kept()["notKept"]
    assert (door.run()["status"], door.run()["mistakes"]) == ("rejected", note["reason"])
    assert len(note["sha256"]) == 64
    door.assert_clean(secret)


@pytest.mark.parametrize("content", ["large", "gzip"])
def test_should_not_keep_a_file_that_is_no_request(door, content):
    secret = make_secret()
    text = json.dumps(request(secret))
    padded = (" " * (MOST_BYTES + 1)).encode() + text.encode()
    door.deliver(door.drop(padded if content == "large" else gzip.compress(text.encode()) + secret.encode()))
    assert door.kept()["notKept"]["bytes"] > 0
    assert door.run()["status"] == "rejected"
    door.assert_clean(secret)


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


@dataclass(frozen=True)
class Hiding:
    """Where and how a secret is hidden in a request."""

    path: tuple[int, ...]
    name: str
    shape: str
    encoding: str
    cut: float | None
    door: str


HIDINGS = st.builds(
    Hiding,
    path=st.lists(st.integers(0, 5), max_size=4).map(tuple),
    name=st.sampled_from((*SECRET_NAMES, "password", "note", "job_name", "x" * 300, "")),
    shape=st.sampled_from(["text", "list", "object", "key", "connection string", "address", "json"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"]),
    cut=st.none() | st.floats(0.05, 0.99),
    door=st.sampled_from(["file", "minio", "bus", "bus text", "http"]),
)


def hide(hiding: Hiding, secret: str) -> dict[str, Any]:
    document = request(secret)
    place: Any = document
    for step in hiding.path:
        inner = [value for value in place.values() if isinstance(value, dict)]
        if inner:
            place = inner[step % len(inner)]
    shapes = {
        "text": secret,
        "list": [1, [secret]],
        "object": {"value": {"deep": secret}},
        "key": {f"{secret} is the password": None},
        "connection string": f"Data Source=x;Password={secret};",
        "address": f"mssql+pymssql://sa:{secret}@host/db",
        "json": json.dumps({"Password": secret}),
    }
    is_known_text = (
        hiding.name == "job_name" and hiding.shape == "text"
    )  # nobody can tell that it is one; but see below
    place[hiding.name] = f"pwd: {secret}" if is_known_text else shapes[hiding.shape]
    return document


@given(HIDINGS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_should_leave_a_hidden_secret_nowhere(door, hiding):
    secret = make_secret()
    content = json.dumps(hide(hiding, secret), ensure_ascii=False).encode(hiding.encoding)
    content = content[: int(len(content) * hiding.cut)] if hiding.cut else content
    text = content.decode("latin-1")
    if hiding.door == "http":
        handler(http("POST", "/api/workflows/wf_001/run", ROUTE, text), Context())
    elif hiding.door.startswith("bus"):
        detail = {"request": text} if hiding.door == "bus text" else hide(hiding, secret)
        door.deliver(eventbridge("JobRequested", detail, event_id=str(uuid.uuid4())))
    else:
        notice = door.drop(content)
        if hiding.door == "minio":
            notice = minio(door.bucket, door.key)
        door.deliver(notice)
    door.assert_clean(secret)
