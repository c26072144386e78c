"""The doors of requests, and every place in which one could leave its secret behind."""

import copy
import json
import logging
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from events.envelopes import s3_object_created, sqs
from events.sample_messages import FULL
from flowforge.state.run_list import list_runs
from functions.submit_job.handler import handler
from tests.helpers.function_calls import Context

ROUTE = "/api/workflows/{id}/run"


ATTEMPTS = 3


QUEUES = ("SubmitQueue", "IngestQueue", "TrackQueue", "SubmitDeadLetters")


TABLES = ("Runs", "Watermarks", "Connections")


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
