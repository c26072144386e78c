"""What the messages of one invocation tell, ahead of their turns: what they ask for can be asked, or written, together."""

from contextlib import suppress
from typing import Any, TypeVar

from events.dispatch import opened, read_message
from events.documents import read_json
from events.model import Dispatched
from flowforge.aws.message import is_queued

M = TypeVar("M", bound=Dispatched)


def facts_ahead(event: dict[str, Any], *models: type[M]) -> list[M]:
    """The facts of these types that a queue's event of several messages brings; none where there is but one, which has its turn
    at once. What is none is passed over, and is given up in its turn."""
    records = event["Records"] if is_queued(event) else []
    found = list[M]()
    for record in records if len(records) > 1 else ():
        with suppress(ValueError, RecursionError):
            found.append(read_message(opened(read_json(record["body"])), *models))
    return found


def first_deliveries(event: dict[str, Any]) -> list[dict[str, Any]]:
    """The bodies of a queue's messages that are delivered for the first time. What is no JSON object is passed over, and is given
    up in its turn."""
    found = list[dict[str, Any]]()
    for record in event["Records"] if is_queued(event) else ():
        if int(record["attributes"]["ApproximateReceiveCount"]) == 1:
            with suppress(ValueError, RecursionError):
                found.append(read_json(record["body"]))
    return [body for body in found if isinstance(body, dict)]
