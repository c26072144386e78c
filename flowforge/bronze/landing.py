"""Lands one batch: reading, encoding and uploading overlap in threads of their own, and none gets far ahead.

    reader thread ──batches──► encoder (the caller's thread) ──parts──► upload threads

Guarantees: an error in any stage ends the others and raises; a batch without rows lands nothing; an object that a dead attempt
has completed is adopted when its footer is this batch's, and refused otherwise.
"""

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, NamedTuple

import pyarrow as pa
from botocore.exceptions import ClientError

from events.files import FileColumn
from flowforge.aws.clients import aws_errors, client, error_code
from flowforge.aws.objects import VERSION_GONE
from flowforge.bronze.keys import CLAIM, bronze_key, rejected_key
from flowforge.bronze.last_rows import new_rows
from flowforge.bronze.parquet import FACTS_OF_READ, Encoder, read_footer, same_batch
from flowforge.bronze.read_ahead import ReadAhead
from flowforge.bronze.upload import KeyTaken, ObjectWriter
from flowforge.domain.batch import Batch
from flowforge.domain.errors import ConflictingTarget
from flowforge.domain.manifest import BronzeObject, Manifest
from flowforge.domain.source_columns import SourceColumn
from flowforge.runtime.settings import settings
from flowforge.sources.base import BatchReader
from flowforge.sources.registry import source_at
from flowforge.sources.reports import FileRead, ReadReport

FOOTER_BYTES = 4 * 2**20  # more than a footer takes


class Landed(NamedTuple):
    """An object in bronze (None: there was no row, and so no object), the newest cursor value in it, and what the read told.
    `columns` are those of an object that was there already."""

    object: BronzeObject | None
    max_cursor: str | None = None
    read: ReadReport = ReadReport()
    columns: Sequence[SourceColumn] = ()


def land(
    batch: Batch,
    columns: list[SourceColumn],
    source_file: str,
    open_reader: Callable[[], BatchReader],
    even_empty: bool = False,
    index: int | None = None,
    count: Callable[[int], None] = lambda rows: None,
) -> Landed:
    """Reads a batch, or the slice `index` of it, and puts it into bronze. `count` is told how many rows there are so far.

    There is no object when it has no rows, or only such as are known to be landed, unless `even_empty` wants one without rows.
    The records that a source has rejected are there before the rows are. Raises what the reader raises, StoreUnavailable, or
    ConflictingTarget.
    """
    bucket, key = settings().bucket, bronze_key(batch, index)
    with ReadAhead(open_reader, even_empty) as read_ahead:
        batches = new_rows(read_ahead, batch.interval)
        first = next(batches, None)
        if first is None:
            return Landed(None, read=_settled(read_ahead, batch, index))
        s3 = client("s3")
        try:
            with ObjectWriter(s3, bucket, key) as writer:
                encoder = Encoder(writer, first.schema, batch, columns, source_file, index)
                for rows in chain([first], batches):
                    encoder.write(rows)
                    count(encoder.rows)
                told = _settled(read_ahead, batch, index)
                encoder.close(told)
                etag = writer.finish()
        except KeyTaken:
            return _adopt(s3, bucket, key, batch, index)._replace(read=told)
    facts = encoder.facts_of_read(told)
    landed = BronzeObject(key=key, etag=etag, rows=encoder.rows, bytes=writer.bytes, **facts)
    return Landed(landed, encoder.newest, told)


def _settled(read: ReadAhead, batch: Batch, index: int | None) -> ReadReport:
    """What a read that is done tells, with its rejects stored: each attempt stores the same."""
    told = read.report()
    if told.rejects is None:
        return told
    bucket, key = settings().bucket, rejected_key(batch, index)
    with told.rejects as file, aws_errors("S3"):
        client("s3").put_object(Bucket=bucket, Key=key, Body=file, Metadata={CLAIM: batch.claim})
    return told._replace(rejects=None, notes=[*told.notes, f"rejected records are in s3://{bucket}/{key}"])


def manifest_of(
    batch: Batch, columns: list[SourceColumn], primary_key: list[str], landed: Sequence[Landed]
) -> Manifest:
    """The manifest of a batch whose objects are all in bronze."""
    objects = [one.object for one in landed if one.object is not None]
    newest = [one.max_cursor for one in landed if one.max_cursor is not None]
    order = source_at(batch.command.connection).order(batch.interval.sql_type)
    return Manifest(
        bucket=settings().bucket,
        objects=objects,
        rows=sum(one.rows for one in objects),
        bytes=sum(one.bytes for one in objects),
        columns=columns,
        primary_key=primary_key,
        unique_keys=batch.identity.get("unique_keys", []),
        audit_columns=batch.command.bronze.audit_columns,
        max_cursor_value=max(newest, key=order, default=None),
    )


def landed_before(batch: Batch, index: int | None = None) -> Landed | None:
    """The object of a batch of files, or of one of its slices, that an attempt before has completed: its files may have been
    replaced since they were read. None where there is none. Raises StoreUnavailable or ConflictingTarget."""
    s3, bucket, key = client("s3"), settings().bucket, bronze_key(batch, index)
    with aws_errors("S3"):
        try:
            s3.head_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if error_code(error) in VERSION_GONE:
                return None
            raise
    return _adopt(s3, bucket, key, batch, index)


def _adopt(s3: Any, bucket: str, key: str, batch: Batch, index: int | None) -> Landed:
    """Takes the object that is already there, when it is this batch's own. Reads its tail only: the footer says it all."""
    with aws_errors("S3"):
        answer = s3.get_object(Bucket=bucket, Key=key, Range=f"bytes=-{FOOTER_BYTES}")
        tail = answer["Body"].read()
    size = int(answer["ContentRange"].rpartition("/")[2]) if "ContentRange" in answer else len(tail)
    found = _footer_of(tail)
    if not (found and same_batch(found, batch, index)):
        raise _taken(f"s3://{bucket}/{key}", batch, found)
    known = {name: found[name] for name in FACTS_OF_READ if name in found}
    adopted = BronzeObject(key=key, etag=answer["ETag"], rows=found["rows"], bytes=size, **known)
    files = [FileRead(file, *one) for file, one in zip(batch.interval.files, found.get("files", []), strict=True)]
    columns = [SourceColumn(**column) for column in found["columns"]]
    types = [FileColumn.model_validate(one) for one in found.get("types", [])]
    return Landed(adopted, found.get("max_cursor_value"), ReadReport(files=files, types=types), columns)


def _taken(where: str, batch: Batch, found: dict[str, Any] | None) -> ConflictingTarget:
    """The error for an object name that something else has: what it is decides what may be done with it."""
    if not found:
        return ConflictingTarget(
            f"{where} exists and is no bronze object",
            "Move that file out of bronze/, then replay the message (flowforge replay --run RUN).",
        )
    known = {name: found.get(name) for name in ("seq", "generation", "source_key", "run_id")}
    whose = "batch {seq} (generation {generation}) of {source_key}, run {run_id}".format(**known)
    return ConflictingTarget(
        f"{where} holds {whose}, which the state of {batch.source_key} does not know",
        "Keep it: its rows may be nowhere else. If the watermark table was lost or restored: flowforge watermark "
        f"rebuild --table {batch.command.bronze.table} --write. "
        "If another deployment fills this bucket, give one of both another bronzeConfig.tableName.",
    )


def _footer_of(body: bytes) -> dict[str, Any] | None:
    try:
        return read_footer(pa.BufferReader(body))
    except pa.ArrowInvalid:
        return None
