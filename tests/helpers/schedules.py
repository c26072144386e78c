"""Schedules as people set them and the clock looks after them: the calls, the clock's event, and the orders that follow."""

import copy
import json
from datetime import datetime
from typing import Any

import pytest

from events.envelopes import eventbridge, http, sqs
from events.facts import StepFailed
from events.sample_messages import FULL
from flowforge.state import run_stories, runs
from functions.schedules.handler import handler
from functions.submit_job.handler import handler as submit
from tests.helpers.function_calls import Context

ROUTE = "/api/schedules/{id}"


@pytest.fixture
def schedule_queues(aws, monkeypatch):
    aws.use("SubmitQueue", "SubmitDeadLetters", monkeypatch)
    for queue in ("SubmitQueue", "IngestQueue", "TrackQueue"):
        aws.messages(queue)


def ask(method: str, workflow: str, body: Any = None, action: str = "") -> tuple[int, Any]:
    place, route = f"/api/schedules/{workflow}{action}", ROUTE + action
    answer = handler(http(method, place, route, body), Context())
    return answer["statusCode"], json.loads(answer["body"]) if answer["body"] else None


def request(workflow: str, **changes: Any) -> dict[str, Any]:
    document = copy.deepcopy(FULL) | {"workflow_id": workflow}
    del document["batch_id"]
    return document | changes


def set_up(workflow: str, **when: Any) -> dict[str, Any]:
    status, answer = ask("PUT", workflow, {"request": request(workflow)} | when)
    assert status == 200, answer
    return answer


def tick(at: datetime | str) -> dict[str, int]:
    """The clock's event, at a moment of its own."""
    moment = datetime.fromisoformat(at) if isinstance(at, str) else at
    event = eventbridge("Scheduled Event", {}, source="aws.events") | {"time": f"{moment:%Y-%m-%dT%H:%M:%SZ}"}
    return handler(event, Context())


class Orders:
    """What the clock has put into submit_job's queue for one workflow, and its runs."""

    def __init__(self, aws, workflow: str):
        self.aws, self.workflow = aws, workflow

    def waiting(self) -> list[dict[str, Any]]:
        found = [message["body"] for message in self.aws.messages("SubmitQueue")]
        return [body for body in found if body.get("workflow_id") == self.workflow]

    def take(self) -> list[str]:
        """Gives each order to submit_job; returns the runs."""
        orders = self.waiting()
        for order in orders:
            assert submit(sqs(order, queue="flowforge-SubmitQueue"), Context()) == {"batchItemFailures": []}
        return [order["new_run_id"] for order in orders]


def end(run_id: str) -> None:
    """Lets a run come to its end."""
    (table,) = runs.tables_of(run_id)
    run_stories.record(StepFailed(run_id=run_id, bronze_table=table, step="ingest", error="UnknownTable", cause="gone"))


@pytest.fixture
def workflow(unique):
    return unique("wf")


@pytest.fixture
def orders(aws, workflow):
    return Orders(aws, workflow)
