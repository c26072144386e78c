"""Alerts on their way: facts of the bus given to send_alerts, and a receiver that keeps what it is sent."""

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from events.envelopes import eventbridge, http, sqs
from events.facts import SilverRefined, StepFailed
from functions.send_alerts.handler import handler
from tests.helpers.alert_receiver import AlertReceiver, receiving_alerts
from tests.helpers.function_calls import Context

KEY = "a key of many more signs"


@pytest.fixture
def alert_queues(aws, monkeypatch):
    aws.use("AlertQueue", "AlertDeadLetters", monkeypatch)
    monkeypatch.setenv("FLOWFORGE_MAX_ATTEMPTS", "2")
    for queue in ("AlertQueue", "AlertDeadLetters"):
        aws.messages(queue)


@pytest.fixture(scope="module")
def alert_server() -> Iterator[AlertReceiver]:
    with receiving_alerts() as found:
        yield found


@pytest.fixture
def receiver(alert_server, monkeypatch) -> AlertReceiver:
    alert_server.taken.clear()
    alert_server.answers.clear()
    monkeypatch.setenv("FLOWFORGE_ALERT_WEBHOOK", f"{alert_server.url}/alerts?to=ops")
    monkeypatch.setenv("FLOWFORGE_ALERT_LOOPBACK", "true")
    return alert_server


@pytest.fixture
def batch(unique) -> dict[str, Any]:
    table = unique("bronze_t")
    return {"run_id": unique("run"), "bronze_table": table, "source_key": f"k>{table}", "generation": 1, "seq": 1}


def secret(aws, document: dict[str, str]) -> str:
    name = f"flowforge/alerts/{uuid.uuid4().hex}"
    aws.client("secretsmanager").create_secret(Name=name, SecretString=json.dumps(document))
    return name


def deliver(fact: Any, attempt: int = 1, at: str = "2026-11-08T06:12:08Z", event_id: str = "") -> dict[str, Any]:
    """One event of the bus, as the queue gives it."""
    event = eventbridge(type(fact).__name__, fact.model_dump(mode="json"), event_id=event_id or uuid.uuid4().hex)
    return handler(sqs(event | {"time": at}, queue="flowforge-AlertQueue", attempt=attempt), Context())


def failed(batch: dict[str, Any], **more: Any) -> StepFailed:
    told: dict[str, Any] = {
        "step": "ingest",
        "error": "UnknownTable",
        "cause": "no <table> & no view",
        "remedy": "check it",
    }
    return StepFailed(**{name: batch[name] for name in ("run_id", "bronze_table")}, **told | more)


def refined(batch: dict[str, Any], **more: Any) -> SilverRefined:
    return SilverRefined(**batch, silver_table="t", version=1, inserted=1, updated=0, silver_rows=1, **more)


def ask(method: str, path: str, **query: str) -> tuple[int, dict[str, Any]]:
    answer = handler(http(method, path, path, query=query), Context())
    return answer["statusCode"], json.loads(answer["body"])


def kinds(receiver: AlertReceiver) -> list[str]:
    return [taken.document["kind"] for taken in receiver.taken]
