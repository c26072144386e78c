"""The event bus: announces facts. Guarantees that every entry was accepted, since PutEvents answers 200 with failed entries.

The last fact about a table tells what its delivery has used of AWS so far (`flowforge.aws.usage`).
"""

import json
import os

from events.facts import TableEvent
from events.model import Message
from flowforge.aws import usage
from flowforge.aws.clients import aws_errors, client
from flowforge.aws.compact import shorten
from flowforge.domain.errors import StoreUnavailable
from flowforge.runtime.settings import settings

SOURCE = "flowforge"
ENTRIES_PER_CALL = 10  # PutEvents' limit
MOST_BYTES = (
    200_000  # of an event, whose limit is 256 KB with its envelope; what is longer is cut where it only informs
)
BYTES_PER_CALL = 240_000  # the same limit is one of all entries of a call


def announce(*facts: Message) -> None:
    """Puts events on the bus, under their class names as detail-type.

    Raises StoreUnavailable when the bus refuses one; announcing all of them again does no harm.
    """
    trace = os.environ.get("_X_AMZN_TRACE_ID")
    entries = [
        {
            "Source": SOURCE,
            "DetailType": type(fact).__name__,
            "Detail": _detail(fact),
            "EventBusName": settings().bus,
            **({"TraceHeader": trace} if trace else {}),
        }
        for fact in _with_usage(facts)
    ]
    group: list[dict] = []
    for entry in entries:
        size = sum(len(one["Detail"].encode()) for one in [*group, entry])
        if group and (len(group) == ENTRIES_PER_CALL or size > BYTES_PER_CALL):
            _put(group)
            group = []
        group.append(entry)
    if group:
        _put(group)


def _with_usage(facts: tuple[Message, ...]) -> list[Message]:
    told = list(facts)
    place = max((n for n, fact in enumerate(told) if isinstance(fact, TableEvent)), default=None)
    if place is not None:
        usage.count("events")  # the call that tells it
        told[place] = told[place].model_copy(update={"usage": usage.take()})
    return told


def _detail(fact: Message) -> str:
    text = fact.model_dump_json()
    if len(text.encode()) <= MOST_BYTES:
        return text
    return json.dumps(shorten(json.loads(text), MOST_BYTES), ensure_ascii=False, separators=(",", ":"))


def _put(entries: list[dict]) -> None:
    with aws_errors("EventBridge"):
        answer = client("events").put_events(Entries=entries)
    if answer.get("FailedEntryCount"):
        failed = next(e for e in answer["Entries"] if "ErrorCode" in e)
        raise StoreUnavailable(f"EventBridge refused an event: {failed['ErrorCode']} {failed.get('ErrorMessage', '')}")
