"""The lake's own copy of lineage: every event, and the newest successful one of each table.

    lineage/events/date=<day>/<hash>.ndjson.gz        what was told together, one event a line; ends with the bucket's lifecycle
    lineage/latest/<layer>/<table>.json               what `flowforge lineage` reads; of bronze one for each source

Guarantees: no event is left out of the first, and none is replaced there; one that a worker could not finish with may be there
twice, with the same run id. The newest one is replaced only by a later run's, by compare-and-set, so events may come in any
order, and a run that is told of again stays as it was told first. A worker that has put the newest there itself tries to replace
that very object before it looks what is there: the comparison fails where anybody else was there in between.
"""

import gzip
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from flowforge.aws.clients import aws_errors, client, error_code
from flowforge.aws.objects import CHANGED, GONE, find_object, put_whole
from flowforge.aws.small_objects import read_below
from flowforge.runtime.deployment import current

EVENTS, LATEST = "lineage/events/", "lineage/latest/"
MOST_NOTED = 30_000  # tables whose newest event a worker remembers: with fewer it would have forgotten each by its turn

Event = Mapping[str, Any]


class Noted(NamedTuple):
    """A newest event that this process has put in its place: how it is ordered, its run, and the object's ETag."""

    order: tuple[str, list[int]]
    run: str
    etag: str


def _noted() -> dict[tuple[str, str], Noted]:
    """What this process has put in its place for its deployment, by (bucket, key); the oldest is forgotten first."""
    return current().once("newest lineage events", dict)


def text_of(event: Event) -> bytes:
    """The event on one line, as both places hold it."""
    return json.dumps(event, ensure_ascii=False, sort_keys=True).encode()


def keep(bucket: str, texts: Sequence[bytes]) -> None:
    """Adds events to the archive, by one object; none where there are none. Raises StoreUnavailable."""
    if not texts:
        return
    lines = b"".join(text + b"\n" for text in texts)
    day, name = json.loads(texts[0])["eventTime"][:10], hashlib.sha256(lines).hexdigest()[:32]
    # The same events make the same object, whoever keeps them again.
    put_whole(f"s3://{bucket}/{EVENTS}date={day}/{name}.ndjson.gz", gzip.compress(lines, 1, mtime=0))


def note_latest(bucket: str, event: Event, text: bytes) -> bytes | None:
    """Makes an event the newest of its table, unless a later one is. Returns the event of the same run as it was told before,
    where that is the newest; else None. Raises StoreUnavailable."""
    key, run = f"{LATEST}{_place(event)}.json", event["run"]["runId"]
    noted = _noted().pop((bucket, key), None)
    is_later = noted is not None and noted.order < _order(event) and noted.run != run
    if noted is not None and is_later and _replaces(bucket, key, event, text, noted.etag):
        return None
    while True:
        found = find_object(bucket, key)
        if found is not None:
            latest = json.loads(found.body)
            if latest["run"]["runId"] == run:
                return found.body
            if _order(latest) >= _order(event):
                return None
        if _replaces(bucket, key, event, text, found.etag if found else ""):
            return None


def _replaces(bucket: str, key: str, event: Event, text: bytes, etag: str) -> bool:
    """Puts an event in the place of the object with this ETag ("": of none); False where it is another one by now."""
    condition = {"IfMatch": etag} if etag else {"IfNoneMatch": "*"}
    with aws_errors("s3"):
        try:
            put = client("s3").put_object(
                Bucket=bucket, Key=key, Body=text, ContentType="application/json", **condition
            )
        except ClientError as error:
            if error_code(error) in CHANGED or (etag and error_code(error) in GONE):
                return False
            raise
    known = _noted()
    if len(known) >= MOST_NOTED:
        del known[next(iter(known))]
    known[bucket, key] = Noted(_order(event), event["run"]["runId"], str(put["ETag"]))
    return True


def newest_events(bucket: str) -> dict[str, bytes]:
    """The texts of the newest events of all tables, by their keys. Raises StoreUnavailable."""
    return {key: body or b"" for key, body in read_below(bucket, LATEST)}


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
