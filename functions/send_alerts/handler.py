"""send_alerts: tells a webhook or Slack what a person should hear of."""

import os
from datetime import UTC, datetime
from typing import Any

from flowforge.alerts.step import look_for_quiet, tell
from flowforge.aws.message import is_queued, process_envelopes
from flowforge.runtime.entry_point import entry_point


def send(envelope: dict, context: object) -> None:
    """Handles one event of the bus, or one order of the clock."""
    tell(envelope)


@entry_point
def handler(event: dict, context: Any) -> dict:
    """The function's entry point: messages of the alert queue, and the clock, whose event tells the time."""
    if not is_queued(event) and event.get("detail-type") == "Scheduled Event":
        now = datetime.fromisoformat(event["time"]) if "time" in event else datetime.now(UTC)
        return look_for_quiet(now, os.environ["FLOWFORGE_QUEUE_URL"])
    return process_envelopes(event, context, "alerts", send)
