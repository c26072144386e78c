"""The event bus: announces facts. Guarantees that every entry was accepted, since PutEvents answers 200 with failed entries."""

import os

from botocore.exceptions import BotoCoreError, ClientError

from events.model import Message
from flowforge.cloud.clients import client, unavailable
from flowforge.errors import StoreUnavailable
from flowforge.settings import settings

SOURCE = "flowforge"
ENTRIES_PER_CALL = 10  # PutEvents' limit


def announce(*facts: Message) -> None:
    """Puts events on the bus, under their class names as detail-type.

    Raises StoreUnavailable when the bus refuses one; announcing all of them again does no harm.
    """
    trace = os.environ.get("_X_AMZN_TRACE_ID")
    entries = [
        {
            "Source": SOURCE,
            "DetailType": type(fact).__name__,
            "Detail": fact.model_dump_json(),
            "EventBusName": settings().bus,
            **({"TraceHeader": trace} if trace else {}),
        }
        for fact in facts
    ]
    for start in range(0, len(entries), ENTRIES_PER_CALL):
        _put(entries[start : start + ENTRIES_PER_CALL])


def _put(entries: list[dict]) -> None:
    try:
        answer = client("events").put_events(Entries=entries)
    except (ClientError, BotoCoreError) as error:
        raise unavailable("EventBridge", error) from error
    if answer.get("FailedEntryCount"):
        failed = next(e for e in answer["Entries"] if "ErrorCode" in e)
        raise StoreUnavailable(f"EventBridge refused an event: {failed['ErrorCode']} {failed.get('ErrorMessage', '')}")
