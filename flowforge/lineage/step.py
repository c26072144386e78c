"""The lineage step: from what the bus tells to events in the lake, and to the receiver where one is set.

Guarantees: takes no part in the chain; whatever goes wrong here, tables and runs know nothing of it. The lake's copy comes first,
so a receiver that is down loses nothing. An event that is told twice is kept once, and sent again only as long as it may not
have arrived.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from events import facts
from events.dispatch import opened, read_message
from flowforge.lineage.archive import Event, keep, note_latest
from flowforge.lineage.endpoint import Endpoint, open_endpoint
from flowforge.lineage.run_events import Step, run_event, start_of
from flowforge.lineage.steps import steps_of
from flowforge.runtime.settings import settings

HEARD = (
    facts.BronzeLanded,
    facts.IntervalEmpty,
    facts.SilverRefined,
    facts.GoldPublished,
    facts.ModelsPublished,
    facts.StepFailed,
)


def record_event(envelope: Mapping[str, Any]) -> None:
    """Records what one event of the bus tells.

    Raises Retriable errors when the message is to come again, EndpointRefused when the receiver does not take it,
    UnknownMessage for an event that is none of those that have lineage.
    """
    fact = read_message(opened(envelope), *HEARD)
    told_at = envelope.get("time") or datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    bucket = settings().bucket
    with open_endpoint() as endpoint:
        for step in steps_of(fact, str(envelope.get("id")), told_at):
            event, new = keep(bucket, run_event(step, f"flowforge/{bucket}"))
            if step.output.types and step.state == "COMPLETE":
                note_latest(bucket, event)
            if endpoint is not None and (new or _same_run(event, step)):
                _send(endpoint, event, step)


def _same_run(event: Event, step: Step) -> bool:
    """Whether a kept event may be one that could not be sent: a gold table that is unchanged was told of by an earlier run."""
    tags = {tag["key"]: tag["value"] for tag in event["run"]["facets"]["tags"]["tags"]}
    return tags.get("run") == step.tags.get("run")


def _send(endpoint: Endpoint, event: Event, step: Step) -> None:
    """A run has a beginning and an end, says OpenLineage; a receiver tells by them how long it took."""
    endpoint.send(start_of(event, step.seconds))
    endpoint.send(event)
