"""send_alerts: tells a webhook or Slack what a person should hear of; shows what was told, and sends a test."""

import os
from datetime import UTC, datetime
from typing import Annotated, Any

from aws_lambda_powertools.event_handler.openapi.params import Query

from events.api.alerts import AlertLimit, Alerts, AlertTest
from events.api.base import Cursor
from flowforge.alerts.delivery import list_alerts, try_receivers
from flowforge.alerts.step import look_for_quiet, tell
from flowforge.aws.message import is_http, is_queued, process_envelopes
from flowforge.runtime.entry_point import entry_point
from flowforge.runtime.http import resolver, told

app = resolver()


@app.get("/api/alerts")
def list_all(limit: Annotated[AlertLimit, Query()] = 50, cursor: Annotated[Cursor, Query()] = None) -> Alerts:
    """A page of the alerts that were sent or were not taken, the newest first; and who is told what."""
    return told(list_alerts(limit, cursor))


@app.post("/api/alerts/test")
def test() -> AlertTest:
    """Sends a test, signed as every alert, to each receiver that is set."""
    return told(try_receivers())


def send(envelope: dict, context: object) -> None:
    """Handles one event of the bus, or one order of the clock."""
    tell(envelope)


@entry_point
def handler(event: dict, context: Any) -> dict:
    """The function's entry point: HTTP calls, messages of the alert queue, and the clock, whose event tells the time."""
    if is_http(event):
        return app.resolve(event, context)
    if not is_queued(event) and event.get("detail-type") == "Scheduled Event":
        now = datetime.fromisoformat(event["time"]) if "time" in event else datetime.now(UTC)
        return look_for_quiet(now, os.environ["FLOWFORGE_QUEUE_URL"])
    return process_envelopes(event, context, "alerts", send)
