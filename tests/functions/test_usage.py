"""What a delivery says that it has used of AWS is what has arrived at AWS, as far as it can know that."""

import json
from collections import Counter

import pytest

from events.envelopes import sqs
from functions.ingest_table.handler import handler as ingest_table
from functions.refine_silver.handler import handler as refine_silver


@pytest.fixture
def load(loads):
    return loads()


def told_of(aws, monkeypatch, context, queue, handler, body, follows) -> tuple[dict, Counter[str], dict]:
    """The usage that a step announces, the calls that AWS has counted meanwhile, and the event."""
    aws.use(f"{queue}Queue", f"{queue}DeadLetters", monkeypatch)
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1769")
    before = Counter(aws.calls())
    assert handler(sqs(body), context) == {"batchItemFailures": []}
    calls = Counter(aws.calls()) - before
    (envelope,) = [message["body"] for message in aws.messages(follows)]
    return envelope["detail"]["usage"], calls, envelope


def of(calls: Counter[str], service: str) -> int:
    """Those that are charged for."""
    free = ("S3 Delete", "S3 Abort")
    return sum(n for name, n in calls.items() if name.startswith(f"{service} ") and not name.startswith(free))


def test_should_tell_the_calls_and_seconds_of_a_load_with_its_fact(aws, load, context, monkeypatch):
    for queue in ("Track", "Watermark", "Refine", "Lineage"):
        aws.messages(f"{queue}Queue")
    body = json.loads(load.command("one").model_dump_json())
    used, calls, landed = told_of(aws, monkeypatch, context, "Ingest", ingest_table, body, "RefineQueue")
    counts = used["counts"]
    assert (used["step"], used["attempt"], used["memory_mb"]) == ("ingest", 1, 1769)
    assert used["seconds"] > 0
    assert counts["dynamodb_calls"] == of(calls, "DynamoDB")
    assert counts["dynamodb_writes"] > 0
    assert counts["dynamodb_reads"] > 0
    assert counts["s3_puts"] + counts.get("s3_gets", 0) == of(calls, "S3")
    assert (counts["events"], counts.get("secrets", 0)) == (of(calls, "EventBridge"), of(calls, "Secrets Manager"))

    used, calls, _ = told_of(aws, monkeypatch, context, "Refine", refine_silver, landed, "PublishQueue")
    seen = used["counts"]["s3_puts"] + used["counts"]["s3_gets"]
    assert used["step"] == "silver"
    assert 0 < seen <= of(calls, "S3")  # delta-rs asks for the rest
    assert used["counts"]["dynamodb_calls"] == of(calls, "DynamoDB")
