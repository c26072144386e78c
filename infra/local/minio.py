"""MinIO's bucket notifications, turned into the events that S3 sends to EventBridge.

MinIO posts `{"EventName", "Key", "Records": [...]}` (MinIO, "Publish events to webhook"), each record in the form of
an S3 event notification, with its key URL-encoded. On AWS the same upload puts an "Object Created" event on the
default bus, where keys are plain. What follows from it is up to the template's rules, here as there.
"""

import json
from typing import Any
from urllib.parse import unquote_plus

DETAIL_TYPES = {"ObjectCreated": "Object Created", "ObjectRemoved": "Object Deleted"}


class NotificationError(ValueError):
    """The posted document is no MinIO notification; the message says what is missing."""


def to_bus_entries(notification: Any) -> list[dict[str, Any]]:
    """Return the PutEvents entries that a notification stands for, one per record.

    Empty for a document without records, such as MinIO's probe of the endpoint, and for kinds of event that S3 has no
    counterpart for. Raises NotificationError for records of another shape.
    """
    if not isinstance(notification, dict):
        raise NotificationError("expected a JSON object with Records")
    try:
        entries = [_entry(record) for record in notification.get("Records") or []]
    except (KeyError, TypeError, AttributeError) as error:
        raise NotificationError(f"a record lacks what an S3 event record has: {error}") from error
    return [entry for entry in entries if entry]


def _entry(record: dict[str, Any]) -> dict[str, Any] | None:
    action, _, reason = record["eventName"].removeprefix("s3:").partition(":")
    if action not in DETAIL_TYPES:
        return None
    bucket, source = record["s3"]["bucket"], record["s3"]["object"]
    stored = {
        "key": unquote_plus(source["key"]),
        "size": source.get("size"),
        "etag": source.get("eTag"),
        "version-id": source.get("versionId"),
        "sequencer": source.get("sequencer"),
    }
    detail = {
        "version": "0",
        "bucket": {"name": bucket["name"]},
        "object": {name: value for name, value in stored.items() if value is not None},
        "requester": (record.get("userIdentity") or {}).get("principalId", ""),
        "source-ip-address": (record.get("requestParameters") or {}).get("sourceIPAddress", ""),
        "reason": reason,
    }
    return {
        "Source": "aws.s3",
        "DetailType": DETAIL_TYPES[action],
        "Detail": json.dumps(detail),
        "Resources": [f"arn:aws:s3:::{bucket['name']}"],
    }
