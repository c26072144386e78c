"""The lake's own copy of lineage: every event once, and the newest successful one of each table.

    lineage/events/<layer>/<table>/<run id>.json      for ever, or as long as the bucket's lifecycle keeps it
    lineage/latest/<layer>/<table>.json               what `flowforge lineage` reads; of bronze one for each source

Guarantees: an event is written once and never replaced, whoever tells it again. The newest one is replaced only by a later one,
by compare-and-set, so events may come in any order. A worker that has put it there itself tries to replace that very object
before it looks what is there: the comparison fails where anybody else was there in between.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from flowforge.aws.clients import aws_errors, client, error_code
from flowforge.aws.objects import CHANGED, GONE, find_object
from flowforge.runtime.deployment import current

EVENTS, LATEST = "lineage/events/", "lineage/latest/"
MOST_NOTED = 1_000  # tables whose newest event a worker remembers

Event = Mapping[str, Any]


class Noted(NamedTuple):
    """A newest event that this process has put in its place: how it is ordered, and the object's ETag."""

    order: tuple[str, list[int]]
    etag: str


def _noted() -> dict[tuple[str, str], Noted]:
    """What this process has put in its place for its deployment, by (bucket, key); the oldest is forgotten first."""
    return current().once("newest lineage events", dict)


def keep(bucket: str, event: Event) -> tuple[Event, bool]:
    """Keeps an event; returns it as it is kept, and whether it was not there before. Raises StoreUnavailable."""
    key = f"{EVENTS}{event['outputs'][0]['name']}/{event['run']['runId']}.json"
    if _put(bucket, key, event, IfNoneMatch="*") is not None:
        return event, True
    kept, _ = _get(bucket, key)
    return kept or event, False


def note_latest(bucket: str, event: Event) -> None:
    """Makes an event the newest of its table, unless a later one is. Raises StoreUnavailable."""
    key = f"{LATEST}{_place(event)}.json"
    noted = _noted().pop((bucket, key), None)
    if noted is not None and noted.order < _order(event) and _replaces(bucket, key, event, noted.etag):
        return
    while True:
        latest, etag = _get(bucket, key)
        if latest is not None and _order(latest) >= _order(event):
            return
        if _replaces(bucket, key, event, etag):
            return


def _replaces(bucket: str, key: str, event: Event, etag: str) -> bool:
    """Puts an event in the place of the object with this ETag ("": of none); False where it is another one by now."""
    put = _put(bucket, key, event, **({"IfMatch": etag} if etag else {"IfNoneMatch": "*"}))
    if put is None:
        return False
    known = _noted()
    if len(known) >= MOST_NOTED:
        del known[next(iter(known))]
    known[bucket, key] = Noted(_order(event), put)
    return True


def latest_keys(bucket: str) -> list[str]:
    """The keys of the newest events of all tables. Raises StoreUnavailable."""
    with aws_errors("s3"):
        pages = client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=LATEST)
        return [item["Key"] for page in pages for item in page.get("Contents", [])]


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


def _put(bucket: str, key: str, event: Event, **condition: str) -> str | None:
    """Writes an event if the condition holds; returns the object's ETag, None where it does not hold."""
    body = json.dumps(event, ensure_ascii=False, sort_keys=True).encode()
    with aws_errors("s3"):
        try:
            put = client("s3").put_object(
                Bucket=bucket, Key=key, Body=body, ContentType="application/json", **condition
            )
            return str(put["ETag"])
        except ClientError as error:
            if error_code(error) in CHANGED or ("IfMatch" in condition and error_code(error) in GONE):
                return None
            raise
