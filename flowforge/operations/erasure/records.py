"""What is remembered of batches, once objects of theirs were rewritten: manifests, footers, and the key values among them.

Key values are in the records as sentinel rows (a few of the newest rows, by which a restored source is noticed) and as bounds of
slices. Guarantees: each record changes by compare-and-set, and says what the bucket has; one that is under way is left alone.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from flowforge.aws import items
from flowforge.aws.clients import aws_errors, client
from flowforge.aws.compact import pack
from flowforge.domain.batch import Batch
from flowforge.domain.errors import StoreUnavailable
from flowforge.domain.given import given
from flowforge.domain.manifest import BronzeObject, Manifest
from flowforge.domain.slice_plan import KeyRange, SlicePlan
from flowforge.engines.base import Session
from flowforge.engines.duckdb.sql import read_parquet
from flowforge.operations.erasure.subject import Subject
from flowforge.runtime.settings import settings
from flowforge.silver.objects import etags_before
from flowforge.state import batch_records
from flowforge.state.table import read_state

SENTINELS = "canaries"  # in what a batch or watermark knows its source by
ATTEMPTS = 5


class Listed(NamedTuple):
    """An object as a listing has it."""

    etag: str
    bytes: int


def without_sentinels(identity: Mapping[str, Any], subject: Subject) -> dict[str, Any]:
    """The same without the sentinel rows whose key may be the person's."""
    kept = [one for one in identity.get(SENTINELS, []) if not subject.is_like(one["key"])]
    return dict(identity) | ({SENTINELS: kept} if SENTINELS in identity else {})


def facts_after(facts: dict[str, Any], rows: int, subject: Subject) -> dict[str, Any]:
    """The entry of a footer once its object has so many rows."""
    changed = facts | {"rows": rows}
    if "identity" in facts:
        changed["identity"] = without_sentinels(facts["identity"], subject)
    if rows != facts.get("rows"):
        changed.pop("last_rows", None)
    if _is_value(facts.get("interval", {}).get("column"), facts.get("max_cursor_value"), subject):
        changed["max_cursor_value"] = None
    return changed


def mend_records(session: Session, subject: Subject, bucket: str, source_key: str, there: Mapping[str, Listed]) -> int:
    """Brings the table's records in line with its objects (key -> as listed); returns how many changed.

    Raises StoreUnavailable where one is changed meanwhile.
    """
    changed = 0
    for item in batch_records.all_stored(source_key):
        batch = batch_records.batch_of(item)
        if batch.state == "claimed":
            continue
        fields = {"identity": without_sentinels(batch.identity, subject)}
        if batch.slices is not None:
            fields["slices"] = _without_bounds(batch.slices, subject).model_dump()
        if batch.manifest is not None:
            fields["manifest"] = _manifest_now(session, subject, bucket, batch, batch.manifest, there).model_dump()
        packed = {name: pack(value) for name, value in fields.items()}
        if any(packed[name] != item.get(name) for name in packed):
            _write(item, packed, batch)
            changed += 1
    return changed + _mend_state(source_key, subject)


def objects_of(source_key: str) -> Iterator[str]:
    """The keys of all objects that the table's records name."""
    for batch in batch_records.all_batches(source_key):
        yield from (one.key for one in (batch.manifest.objects if batch.manifest else []))


def silver_tables(source_key: str) -> set[str]:
    """The silver tables that the source has filled, as far as its records tell."""
    return {batch.command.silver.table for batch in batch_records.all_batches(source_key)}


def sentinels_of(source_key: str, subject: Subject) -> int:
    """How many records hold a sentinel row or the bound of a slice that may be of the person."""
    found = 0
    for batch in batch_records.all_batches(source_key):
        bounds = batch.slices is not None and _without_bounds(batch.slices, subject) != batch.slices
        found += bounds or without_sentinels(batch.identity, subject) != batch.identity
    marks = read_state(source_key).watermarks.values()
    return found + any(without_sentinels(mark.identity, subject) != mark.identity for mark in marks)


def _write(item: items.Item, packed: Mapping[str, str], batch: Batch) -> None:
    names = {f"n{number}": name for number, name in enumerate(packed)}
    values = {f":new{number}": packed[name] for number, name in enumerate(packed)}
    sets = ", ".join(f"#n{number} = :new{number}" for number in range(len(packed)))
    condition = "#state = :state AND updated_at = :was"
    values |= {":state": item["state"], ":was": item["updated_at"]}
    key = batch_records.key_of(batch)
    if not items.update(settings().watermarks_table, key, f"SET {sets}", values, condition, state="state", **names):
        raise StoreUnavailable(f"the record of {batch.name} was changed meanwhile", "Run the command again.")


def _manifest_now(
    session: Session, subject: Subject, bucket: str, batch: Batch, manifest: Manifest, there: Mapping[str, Listed]
) -> Manifest:
    objects = [_object_now(session, bucket, one, there.get(one.key)) for one in manifest.objects]
    newest = manifest.max_cursor_value
    return manifest.model_copy(
        update={
            "objects": objects,
            "rows": manifest.rows - sum(one.rows for one in manifest.objects) + sum(one.rows for one in objects),
            "bytes": manifest.bytes - sum(one.bytes for one in manifest.objects) + sum(one.bytes for one in objects),
            "max_cursor_value": None if _is_value(batch.interval.column, newest, subject) else newest,
        }
    )


def _object_now(session: Session, bucket: str, known: BronzeObject, listed: Listed | None) -> BronzeObject:
    """The object as it is; as it was where it is gone, or is another than an erasure has left."""
    if listed is None or listed.etag.strip('"') == known.etag.strip('"'):
        return known
    with aws_errors("S3"):
        metadata = client("s3").head_object(Bucket=bucket, Key=known.key)["Metadata"]
    if known.etag.strip('"') not in etags_before(metadata):
        return known
    found = read_parquet([f"s3://{bucket}/{known.key}"])
    (rows,) = given(session.execute(f"SELECT count(*) FROM {found}").fetchone())  # noqa: S608
    digest = {} if rows == known.rows else {"last_rows": ""}
    return known.model_copy(update={"etag": listed.etag, "rows": rows, "bytes": listed.bytes, **digest})


def _without_bounds(slices: SlicePlan, subject: Subject) -> SlicePlan:
    """Of slices that are landed only their number is asked for."""
    ranges = [
        one.model_copy(update={end: None for end in ("low", "high") if subject.is_like(getattr(one, end) or ())})
        for one in slices.ranges
    ]
    return slices.model_copy(update={"ranges": [KeyRange.model_validate(one) for one in ranges]})


def _mend_state(source_key: str, subject: Subject) -> int:
    for _ in range(ATTEMPTS):
        state = read_state(source_key)
        marks = {
            column: mark.model_copy(update={"identity": without_sentinels(mark.identity, subject)})
            for column, mark in state.watermarks.items()
        }
        if marks == state.watermarks:
            return 0
        if items.transact([state.model_copy(update={"watermarks": marks}).put_action()]):
            return 1
    raise StoreUnavailable(f"the state of {source_key} changed {ATTEMPTS} times meanwhile", "Run the command again.")


def _is_value(column: str | None, value: str | None, subject: Subject) -> bool:
    return column in subject.types and value is not None and subject.is_like([value])
