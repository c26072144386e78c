"""Lands one batch: reading, encoding and uploading overlap, each in its own thread or task, with bounded queues between.

    reader thread ──batches──► encoder thread ──parts──► upload (event loop)

Guarantees: an error in any stage ends the others and raises; a batch without rows lands nothing; an object that a dead attempt
has completed is adopted when its footer is this batch's, and refused otherwise.
"""

import asyncio
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import Any, NamedTuple

import pyarrow as pa
from botocore.exceptions import BotoCoreError, ClientError

from flowforge.bronze.parquet import Encoder, read_footer, same_batch
from flowforge.bronze.upload import KeyTaken, ObjectWriter, upload
from flowforge.cloud.async_clients import async_client
from flowforge.cloud.clients import unavailable
from flowforge.errors import ConflictingTarget
from flowforge.settings import settings
from flowforge.source.sql_types import cursor_kind
from flowforge.state.batch import Batch, BronzeObject, Manifest, SourceColumn

BYTES_AHEAD = 24 * 2**20  # read but not yet encoded: reading goes on while a row group of 131,072 rows is encoded
FOOTER_BYTES = 4 * 2**20  # more than a footer takes


class Landed(NamedTuple):
    """An object in bronze, and the newest cursor value in it."""

    object: BronzeObject
    max_cursor: str | None


def bronze_key(batch: Batch, index: int | None = None) -> str:
    """The object key of a batch, or of one of its slices."""
    stem = f"bronze/{batch.command.bronze.table}/{batch.label}"
    if index is None or batch.slices is None:
        return f"{stem}.parquet"
    return f"{stem}/part-{index:05d}-of-{len(batch.slices.ranges):05d}.parquet"


async def land(
    batch: Batch,
    columns: list[SourceColumn],
    source_file: str,
    open_reader: Callable[[], Any],
    even_empty: bool = False,
    index: int | None = None,
) -> Landed | None:
    """Reads a batch, or the slice `index` of it, and puts it into bronze.

    Returns None when it has no rows, unless `even_empty` wants an object without rows. `open_reader` opens the ArrowReader.
    Raises what the reader raises, StoreUnavailable, or ConflictingTarget.
    """
    landing = _Landing(batch, columns, source_file, open_reader, even_empty, index)
    async with async_client("s3") as s3:
        return await landing.run(s3)


def manifest_of(
    batch: Batch, columns: list[SourceColumn], primary_key: list[str], landed: Sequence[Landed]
) -> Manifest:
    """The manifest of a batch whose objects are all in bronze."""
    newest = [one.max_cursor for one in landed if one.max_cursor is not None]
    numbers = cursor_kind(batch.interval.sql_type) == "integer" if batch.interval.sql_type else False
    return Manifest(
        bucket=settings().bucket,
        objects=[one.object for one in landed],
        rows=sum(one.object.rows for one in landed),
        bytes=sum(one.object.bytes for one in landed),
        columns=columns,
        primary_key=primary_key,
        audit_columns=batch.command.bronze.audit_columns,
        max_cursor_value=max(newest, key=int if numbers else str, default=None),
    )


class _BytesAhead(queue.Queue):
    """A queue that is full when the batches in it hold `maxsize` bytes."""

    def _init(self, maxsize: int) -> None:
        super()._init(maxsize)
        self._bytes = 0

    def _qsize(self) -> int:
        return self._bytes

    def _put(self, item: Any) -> None:
        super()._put(item)
        self._bytes += _size(item)

    def _get(self) -> Any:
        item = super()._get()
        self._bytes -= _size(item)
        return item


def _size(item: Any) -> int:
    return max(1, item.nbytes) if isinstance(item, pa.RecordBatch) else 1


def _fitting(batch: pa.RecordBatch) -> pa.RecordBatch:
    """A copy without what a driver's buffers have to spare: they can be twice as large as what is in them."""
    return pa.RecordBatch.from_arrays([pa.concat_arrays([column]) for column in batch.columns], schema=batch.schema)


class _Landing:
    """One object on its way from the source to the bucket."""

    def __init__(
        self,
        batch: Batch,
        columns: list[SourceColumn],
        source_file: str,
        open_reader: Callable[[], Any],
        even_empty: bool,
        index: int | None,
    ) -> None:
        self.batch, self.columns, self.source_file, self.open_reader = batch, columns, source_file, open_reader
        self.even_empty, self.index, self.key = even_empty, index, bronze_key(batch, index)
        self.batches: queue.Queue[pa.RecordBatch | BaseException | None] = _BytesAhead(BYTES_AHEAD)
        self.writer = ObjectWriter()
        self.stop = threading.Event()
        self.encoder: Encoder | None = None

    async def run(self, s3: Any) -> Landed | None:
        reading = asyncio.create_task(asyncio.to_thread(self._read))
        first = await asyncio.to_thread(self.batches.get)
        try:
            if isinstance(first, BaseException):
                raise first
            if first is None:
                return None
            encoding = asyncio.create_task(asyncio.to_thread(self._encode, first))
            uploading = asyncio.create_task(upload(s3, settings().bucket, self.key, self.writer))
            return await self._finish(s3, encoding, uploading)
        finally:
            self.stop.set()
            await asyncio.gather(reading, return_exceptions=True)

    async def _finish(self, s3: Any, encoding: asyncio.Task, uploading: asyncio.Task) -> Landed:
        try:
            await asyncio.wait({encoding, uploading}, return_when=asyncio.FIRST_EXCEPTION)
            if encoding.done() and encoding.exception():
                raise encoding.exception()
            if not encoding.done() and uploading.done():
                self.writer.abandon()
            etag = await uploading
            await encoding
        except KeyTaken:
            await asyncio.gather(encoding, return_exceptions=True)
            return await _adopt(s3, settings().bucket, self.key, self.batch, self.index)
        finally:
            self.writer.abandon()
            if not uploading.done():
                uploading.cancel()
            await asyncio.gather(encoding, uploading, return_exceptions=True)
        found = BronzeObject(key=self.key, etag=etag, rows=self.encoder.rows, bytes=self.writer.bytes)
        return Landed(found, self.encoder.newest)

    def _read(self) -> None:
        try:
            with closing(self.open_reader()) as reader:
                if self.even_empty:
                    self._put(pa.RecordBatch.from_pylist([], reader.schema))
                for batch in reader:
                    if batch.num_rows and not self._put(_fitting(batch)):
                        return
            self._put(None)
        except BaseException as error:
            self._put(error)

    def _put(self, value: Any) -> bool:
        while not self.stop.is_set():
            try:
                self.batches.put(value, timeout=0.5)
                return True
            except queue.Full:
                continue
        return False

    def _encode(self, first: pa.RecordBatch) -> None:
        self.encoder = Encoder(self.writer, first.schema, self.batch, self.columns, self.source_file, self.index)
        for batch in self._rest(first):
            self.encoder.write(batch)
        self.encoder.close()
        self.writer.finish()

    def _rest(self, first: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        value: Any = first
        while value is not None:
            if isinstance(value, BaseException):
                raise value
            yield value
            value = self.batches.get()


async def _adopt(s3: Any, bucket: str, key: str, batch: Batch, index: int | None) -> Landed:
    """Takes the object that is already there, when it is this batch's own. Reads its tail only: the footer says it all."""
    try:
        answer = await s3.get_object(Bucket=bucket, Key=key, Range=f"bytes=-{FOOTER_BYTES}")
        tail = await answer["Body"].read()
    except (ClientError, BotoCoreError) as error:
        raise unavailable("S3", error) from error
    size = int(answer["ContentRange"].rpartition("/")[2]) if "ContentRange" in answer else len(tail)
    found = await asyncio.to_thread(_footer_of, tail)
    if not (found and same_batch(found, batch, index)):
        raise ConflictingTarget(
            f"s3://{bucket}/{key} exists and is not {batch.name}", "Move that object away, or send another batch_id."
        )
    adopted = BronzeObject(key=key, etag=answer["ETag"], rows=found["rows"], bytes=size)
    return Landed(adopted, found.get("max_cursor_value"))


def _footer_of(body: bytes) -> dict[str, Any] | None:
    try:
        return read_footer(pa.BufferReader(body))
    except pa.ArrowInvalid:
        return None
