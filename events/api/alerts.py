"""Alerts: what was sent, what a receiver did not take, and a test of the receivers."""

from typing import Annotated, Literal

from pydantic import Field

from events.api.base import Answer, Page, unless_empty

MOST_ALERTS = 200
AlertLimit = Annotated[int, Field(ge=0, le=MOST_ALERTS), unless_empty(50)]


class AlertReceiver(Answer):
    """Where alerts go. The rest of its address may be a secret, and is not told."""

    name: Literal["webhook", "slack"]
    host: str = Field(description="of the webhook; of Slack none is told")
    signed: bool


class SentAlert(Answer):
    """An alert as it was last tried: `sent_at` once every receiver has taken it, else `problem`."""

    id: str
    kind: str
    at: str
    table: str
    run_id: str | None = None
    title: str
    attempts: int
    sent_at: str | None
    problem: str | None = Field(description="why it was not taken the last time; it comes again, then is a dead letter")


class Alerts(Page):
    """The newest alerts, and what is told to whom."""

    receivers: list[AlertReceiver]
    kinds: list[str] = Field(description="what is told")
    quiet_hours: int = Field(description="a table without new rows for so long is told of; 0: never")
    alerts: list[SentAlert]


class TestedReceiver(AlertReceiver):
    """What a receiver made of a test."""

    status: Literal["sent", "failed"]
    problem: str | None
    remedy: str | None


class AlertTest(Answer):
    """A test message: its id, as receivers see it, and what became of it."""

    id: str
    receivers: list[TestedReceiver]
