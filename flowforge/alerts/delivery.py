"""Sends alerts and keeps what became of each; and sends a test when a person asks for one."""

import uuid
from datetime import UTC, datetime
from typing import Any

from flowforge.alerts.alert import Alert, trial
from flowforge.alerts.receivers import receivers, send, send_to
from flowforge.domain.errors import EndpointRefused, FlowForgeError
from flowforge.runtime.settings import settings
from flowforge.state import alert_log

SHOWN = {"id", "kind", "at", "table", "run_id", "title"}
NO_RECEIVER = "no receiver of alerts is set"
SET_ONE = (
    "Set the parameter AlertWebhook or AlertSlackSecret of the deployment; of the local stack:"
    " flowforge up --parameter NAME=VALUE."
)


def deliver(made: Alert, now: datetime) -> None:
    """Sends an alert and keeps that it was sent, or why a receiver did not take it; raises what `receivers.send` does."""
    try:
        send(made, now)
    except FlowForgeError as error:
        alert_log.note_failed(_shown(made), str(error))
        raise
    alert_log.note_sent(_shown(made), _text(now))


def list_alerts(limit: int, cursor: str | None = None) -> dict[str, Any]:
    """The newest alerts, at most `limit`, with the receivers that are set and what is told. Raises InvalidRequest for a cursor
    that is none."""
    told = {"kinds": settings().alert_kinds.split(","), "quiet_hours": settings().alert_quiet_hours}
    return {"receivers": receivers(), **told, **alert_log.newest(limit, cursor)}


def try_receivers(now: datetime | None = None) -> dict[str, Any]:
    """Sends a test to each receiver that is set; returns its `id` and for each receiver what became of it. Raises
    EndpointRefused where none is set."""
    now = now or datetime.now(UTC)
    made = trial(f"alert_test_{uuid.uuid4().hex}", _text(now), settings().bucket)
    tried = [one | _tried(one["name"], made, now) for one in receivers()]
    if not tried:
        raise EndpointRefused(NO_RECEIVER, SET_ONE)
    problems = [one["problem"] for one in tried if one["problem"]]
    if problems:
        alert_log.note_failed(_shown(made), "; ".join(problems))
    else:
        alert_log.note_sent(_shown(made), made.at)
    return {"id": made.id, "receivers": tried}


def _tried(receiver: str, made: Alert, now: datetime) -> dict[str, Any]:
    try:
        send_to(receiver, made, now)
    except FlowForgeError as error:
        return {"status": "failed", "problem": str(error), "remedy": error.remedy or None}
    return {"status": "sent", "problem": None, "remedy": None}


def _shown(made: Alert) -> dict[str, Any]:
    return made.model_dump(include=SHOWN, exclude_none=True)


def _text(now: datetime) -> str:
    return now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
