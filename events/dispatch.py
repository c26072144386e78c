"""Which message a JSON object is: by the type that it names, never by which of its fields are there.

A command and a fact carry `type`. What comes from elsewhere says it in its own way: an event of the bus by its detail-type, S3's
and MinIO's notices by their form. Messages of versions that wrote no type may still lie in queues, dead letters and the outbox:
`type_of` alone says what those are.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

from events.model import Dispatched

JOB_REQUESTED, OBJECT_CREATED = "JobRequested", "Object Created"  # detail-types that are not ours
LOAD_FILES, START_WORKFLOW, COMPARE_KEYS = "LoadFiles", "StartWorkflow", "CompareKeys"
OBJECT_RECORDS = "object records"  # S3's and MinIO's own notices, past the bus
TEST_OF_NOTICES = "s3:TestEvent"  # S3 sends it when a queue is made the receiver of notices
MOST_CHARACTERS = 100  # of a type, in an error

# Type -> fields that together told it apart before messages named their type.
_BY_FIELDS = {
    "IngestTable": {"connection", "bronze"},
    "IngestSlice": {"source_key", "index"},
    "BronzeLanded": {"source_key", "bronze_key"},
    "SilverRefined": {"silver_table", "version"},
    "ReleaseQuarantine": {"silver_table", "source_key"},
    "MaintainTable": {"layer", "table"},
}

M = TypeVar("M", bound=Dispatched)


class UnknownMessage(ValueError):
    """A message is none of those that its reader takes."""


def type_of(body: Mapping[str, Any]) -> str:
    """The type of a message, or of the envelope around one; '' where nothing tells it."""
    if "detail-type" in body:
        return str(body["detail-type"])
    if "type" in body:
        return str(body["type"])
    if body.get("Records"):
        return OBJECT_RECORDS
    if body.get("Event") == TEST_OF_NOTICES:
        return TEST_OF_NOTICES
    return next((name for name, fields in _BY_FIELDS.items() if fields <= set(body)), "")


def opened(body: Any) -> Any:
    """What is inside an event of the bus, with the event's type where it names none; anything else as it is."""
    if not (isinstance(body, dict) and "detail-type" in body and "detail" in body):
        return body
    detail = body["detail"]
    return {"type": body["detail-type"], **detail} if isinstance(detail, dict) else detail


def read_message(body: Any, *models: type[M]) -> M:
    """The message, as the model of its type; raises UnknownMessage unless that is one of `models`, ValidationError where the
    fields do not fit."""
    known = {model.model_fields["type"].default: model for model in models}
    name = type_of(body) if isinstance(body, Mapping) else ""
    if name not in known:
        raise unknown(name, *known)
    return known[name].model_validate(body)


def unknown(name: str, *taken: str) -> UnknownMessage:
    """The error for a message of a type that is not among those that are taken."""
    told = f"a message of type {name[:MOST_CHARACTERS]!r}" if name else "a message without a type that its fields tell"
    return UnknownMessage(f"{told} is not taken here; taken are {', '.join(taken)}")
