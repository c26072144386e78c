"""The lake's own copy of lineage: every event once, and the newest successful one of each table.

    lineage/events/<layer>/<table>/<run id>.json      for ever, or as long as the bucket's lifecycle keeps it
    lineage/latest/<layer>/<table>.json               what `flowforge lineage` reads; of bronze one for each source

Guarantees: an event is written once and never replaced, whoever tells it again. The newest one is replaced only by a later one,
by compare-and-set, so events may come in any order.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from flowforge.aws.clients import client, error_code, unavailable
from flowforge.aws.objects import GONE, find_object

EVENTS, LATEST = "lineage/events/", "lineage/latest/"
TAKEN = ("PreconditionFailed", "412", "ConditionalRequestConflict", "409")

Event = Mapping[str, Any]


def keep(bucket: str, event: Event) -> tuple[Event, bool]:
    """Keeps an event; returns it as it is kept, and whether it was not there before. Raises StoreUnavailable."""
    key = f"{EVENTS}{event['outputs'][0]['name']}/{event['run']['runId']}.json"
    if _put(bucket, key, event, IfNoneMatch="*"):
        return event, True
    kept, _ = _get(bucket, key)
    return kept or event, False


def note_latest(bucket: str, event: Event) -> None:
    """Makes an event the newest of its table, unless a later one is. Raises StoreUnavailable."""
    key = f"{LATEST}{_place(event)}.json"
    while True:
        latest, etag = _get(bucket, key)
        if latest is not None and _order(latest) >= _order(event):
            return
        if _put(bucket, key, event, **({"IfMatch": etag} if etag else {"IfNoneMatch": "*"})):
            return


def latest_keys(bucket: str) -> list[str]:
    """The keys of the newest events of all tables. Raises StoreUnavailable."""
    try:
        pages = client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=LATEST)
        return [item["Key"] for page in pages for item in page.get("Contents", [])]
    except (ClientError, BotoCoreError) as error:
        raise unavailable("s3", error) from error


def read_event(bucket: str, key: str) -> Event | None:
    """An event by its key; None when it is gone. Raises StoreUnavailable."""
    return _get(bucket, key)[0]


def _place(event: Event) -> str:
    """Two sources may land in one bronze table; each other table has one maker."""
    output = event["outputs"][0]["name"]
    if not output.startswith("bronze/"):
        return output
    source = "/".join(f"{one['namespace']}/{one['name']}" for one in event["inputs"])
    return f"{output}.{hashlib.sha256(source.encode()).hexdigest()[:12]}"


def _order(event: Event) -> tuple[str, list[int]]:
    """By the time of the announcement, which has whole seconds; then by the version that was made."""
    version = event["outputs"][0]["facets"].get("version", {}).get("datasetVersion", "0")
    return event["eventTime"], [int(part) for part in version.split(".")]


def _get(bucket: str, key: str) -> tuple[Event | None, str]:
    found = find_object(bucket, key)
    return (json.loads(found.body), found.etag) if found else (None, "")


def _put(bucket: str, key: str, event: Event, **condition: str) -> bool:
    """Writes an event if the condition holds."""
    body = json.dumps(event, ensure_ascii=False, sort_keys=True).encode()
    try:
        client("s3").put_object(Bucket=bucket, Key=key, Body=body, ContentType="application/json", **condition)
        return True
    except ClientError as error:
        if error_code(error) in TAKEN or ("IfMatch" in condition and error_code(error) in GONE):
            return False
        raise unavailable("s3", error) from error
    except BotoCoreError as error:
        raise unavailable("s3", error) from error
