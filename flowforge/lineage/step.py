"""The lineage step: from what the bus tells to events in the lake, and to the receiver where one is set.

Guarantees: takes no part in the chain; whatever goes wrong here, tables and runs know nothing of it. The lake's copy comes first,
so a receiver that is down loses nothing. A run that is told of again is not kept again where it is its table's newest, and sent
again only as long as it may not have arrived.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from events import facts
from events.dispatch import opened, read_message
from events.model import Message
from flowforge.domain.alone import each_alone
from flowforge.domain.errors import FlowForgeError
from flowforge.lineage.archive import keep, note_latest, text_of
from flowforge.lineage.endpoint import Endpoint, open_endpoint
from flowforge.lineage.run_events import Step, run_event, start_of
from flowforge.lineage.steps import know_batches, steps_of
from flowforge.runtime.settings import settings

HEARD = (
    facts.BronzeLanded,
    facts.IntervalEmpty,
    facts.SilverRefined,
    facts.GoldPublished,
    facts.ModelsPublished,
    facts.StepFailed,
)

Envelope = Mapping[str, Any]


class RunEvent(NamedTuple):
    """A step's event as it is told: its text, the step's seconds, whether it is told for the first time, and whether the receiver
    may lack it."""

    text: bytes
    seconds: float
    is_new: bool
    may_lack: bool


class Kept(NamedTuple):
    """An event of the bus, and the run events of it that the lake has."""

    envelope: Envelope
    run_events: Sequence[RunEvent]


def keep_together(envelopes: Sequence[Envelope]) -> list[Kept]:
    """Keeps the run events of several events of the bus, that are delivered for the first time, by one object. Where anything
    goes wrong with one, it is left out: its own turn (`record_event`) keeps it, or says why not."""
    read, _ = each_alone(envelopes, lambda envelope: read_message(opened(envelope), *HEARD))
    know_batches(fact for _, fact in read)
    told, _ = each_alone(read, lambda one: list(_run_events(*one)))
    try:
        keep(settings().bucket, [event.text for _, events in told for event in events if event.is_new])
    except FlowForgeError:
        return []
    return [Kept(envelope, events) for (envelope, _), events in told]


def record_event(envelope: Envelope, kept: Iterable[Kept] = ()) -> None:
    """Records what one event of the bus tells; `kept` are those whose run events the lake has.

    Raises Retriable errors when the message is to come again, EndpointRefused when the receiver does not take it,
    UnknownMessage for an event that is none of those that have lineage.
    """
    events = next((one.run_events for one in kept if one.envelope == envelope), None)
    if events is None:  # its first delivery may have ended before they were kept
        events = list(_run_events(envelope, read_message(opened(envelope), *HEARD)))
        keep(settings().bucket, [event.text for event in events])
    with open_endpoint() as endpoint:
        for event in events:
            if endpoint is not None and event.may_lack:
                _send(endpoint, event)


def _run_events(envelope: Envelope, fact: Message) -> Iterable[RunEvent]:
    told_at = envelope.get("time") or datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    bucket = settings().bucket
    for step in steps_of(fact, str(envelope.get("id")), told_at):
        event = run_event(step, f"flowforge/{bucket}")
        text, before = text_of(event), None
        if step.output.types and step.state == "COMPLETE":
            before = note_latest(bucket, event, text)
        yield RunEvent(before or text, step.seconds, before is None, before is None or _same_run(before, step))


def _same_run(before: bytes, step: Step) -> bool:
    """Whether what was told before may not have been sent: a gold table that is unchanged was told of by an earlier run."""
    tags = {tag["key"]: tag["value"] for tag in json.loads(before)["run"]["facets"]["tags"]["tags"]}
    return tags.get("run") == step.tags.get("run")


def _send(endpoint: Endpoint, told: RunEvent) -> None:
    """A run has a beginning and an end, says OpenLineage; a receiver tells by them how long it took."""
    event = json.loads(told.text)
    endpoint.send(start_of(event, told.seconds))
    endpoint.send(event)
