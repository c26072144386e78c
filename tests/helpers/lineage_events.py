"""Facts told to record_lineage, and what it keeps and sends of them."""

import gzip
import json
from typing import Any

import pytest

from events import facts
from events.envelopes import eventbridge, sqs
from events.model import Message
from flowforge.bronze.announcements import about
from flowforge.runtime.settings import settings
from flowforge.state import batches
from functions.record_lineage.handler import handler
from tests.helpers.batches import claim, manifest
from tests.helpers.receiver import receiving

NOON, ONE, TWO = (f"2026-11-23T{hour}:00:00Z" for hour in (12, 13, 14))


@pytest.fixture
def lineage_queues(aws, monkeypatch):
    aws.use("LineageQueue", "LineageDeadLetters", monkeypatch)
    aws.messages("LineageDeadLetters")


@pytest.fixture
def set_lineage_endpoint(monkeypatch):
    """Sets the receiver's address, and whatever else, for this process."""

    def use(url: str, **more: str) -> None:
        for name, value in {"endpoint": url, **more}.items():
            monkeypatch.setenv(f"FLOWFORGE_LINEAGE_{name.upper()}", value)

    return use


@pytest.fixture
def lineage_receiver(set_lineage_endpoint):
    with receiving() as running:
        set_lineage_endpoint(running.url)
        yield running


@pytest.fixture
def landed_batch(unique):
    """A batch that has landed."""
    return landed(unique("t"), unique("run"))


def landed(name: str, run_id: str) -> Any:
    claimed = claim(name, run_id)
    return batches.land(claimed, manifest(claimed))


def refined(batch: Any, version: int = 1, **known: Any) -> facts.SilverRefined:
    counts = {"inserted": 3, "updated": 0, "silver_rows": 3, "seconds": 2.5}
    types = {"id": "integer", "_seq": "long", "_sk_id": "string"}
    table = batch.command.silver.table
    return facts.SilverRefined(
        **{**about(batch), "silver_table": table, "version": version, "column_types": types, **counts, **known}
    )


def published(batch: Any, table: str, how: str = "full", **known: Any) -> facts.GoldPublished:
    silver = f"silver.{batch.command.silver.table}"
    model = {"table": table, "how": how, "rows": 3, "version": 4, "inputs": {silver: 1}, "definition": 7} | known
    return facts.GoldPublished(**about(batch), models=[facts.PublishedModel(**model)])


def tell(context, fact: Message, at: str = NOON, event_id: str = "e1", attempt: int = 1) -> bool:
    """Delivers an event as the queue does; whether its message is settled."""
    envelope = eventbridge(type(fact).__name__, json.loads(fact.model_dump_json()), event_id=event_id) | {"time": at}
    return handler(sqs(envelope, attempt=attempt), context) == {"batchItemFailures": []}


def archived(s3: Any, bucket: str) -> list[dict[str, Any]]:
    """The events of the lake's archive, as often as they are there."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="lineage/events/")
    keys = [item["Key"] for page in pages for item in page.get("Contents", [])]
    texts = [gzip.decompress(s3.get_object(Bucket=bucket, Key=key)["Body"].read()) for key in keys]
    return [json.loads(line) for text in texts for line in text.splitlines()]


def kept(aws, table: str) -> list[dict[str, Any]]:
    return [one for one in archived(aws.client("s3"), settings().bucket) if one["job"]["name"] == table]


def objects(aws, prefix: str) -> dict[str, dict[str, Any]]:
    """The newest events of tables, by their keys."""
    s3, bucket = aws.client("s3"), settings().bucket
    found = s3.list_objects_v2(Bucket=bucket, Prefix=f"lineage/latest/{prefix}").get("Contents", [])
    return {o["Key"]: json.loads(s3.get_object(Bucket=bucket, Key=o["Key"])["Body"].read()) for o in found}


def latest(aws, table: str) -> dict[str, Any]:
    (event,) = objects(aws, table.replace(".", "/")).values()
    return event


def dead_letter(aws) -> str:
    (letter,) = aws.messages("LineageDeadLetters")
    return letter["MessageAttributes"]["reason"]["StringValue"]
