"""Puts one object into the bucket, in parts while it is still being written.

Guarantees: the object appears whole or not at all, and only if no object of that key was there (If-None-Match); an upload that
fails is aborted; a small object takes one call. Bytes come from another thread through a bounded queue, so memory is bounded by
PART_BYTES times PARTS_AT_ONCE, whatever the object's size.
"""

import asyncio
import io
import queue
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from flowforge.cloud.clients import error_code, unavailable
from flowforge.errors import StoreUnavailable

PART_BYTES = 8 * 2**20  # S3 wants at least 5 MiB for all but the last, and at most 10,000 parts
PARTS_AT_ONCE = 3
TAKEN = ("PreconditionFailed", "412")


class KeyTaken(Exception):
    """An object of that key exists already."""


class ObjectWriter:
    """A file-like object for the encoder's thread: collects bytes and hands over full parts."""

    closed = False

    def __init__(self) -> None:
        self.parts: queue.Queue[io.BytesIO | None] = queue.Queue(maxsize=1)
        self.bytes = 0
        self._part = io.BytesIO()
        self._abandoned = False

    def write(self, data: Any) -> int:
        rest = memoryview(data).cast("B")
        self.bytes += len(rest)
        written = len(rest)
        while len(rest):
            taken = self._part.write(rest[: PART_BYTES - self._part.tell()])
            rest = rest[taken:]
            if self._part.tell() == PART_BYTES:
                self._hand_over_part()
        return written

    def finish(self) -> None:
        """Hands over what is left."""
        if self._part.tell() or not self.bytes:
            self._hand_over_part()
        self._hand_over(None)

    def _hand_over_part(self) -> None:
        full, self._part = self._part, io.BytesIO()
        full.seek(0)
        self._hand_over(full)

    def abandon(self) -> None:
        """Lets a writer that waits for a free place fail instead."""
        self._abandoned = True

    def _hand_over(self, part: io.BytesIO | None) -> None:
        while not self._abandoned:
            try:
                self.parts.put(part, timeout=0.5)
                return
            except queue.Full:
                continue
        raise StoreUnavailable("the upload ended before the object was written")

    def take(self) -> io.BytesIO | None:
        """The next part, None at the end; raises StoreUnavailable when the writer was abandoned."""
        while True:
            try:
                return self.parts.get(timeout=0.5)
            except queue.Empty:
                if self._abandoned:
                    raise StoreUnavailable("the object was not written to its end") from None

    def tell(self) -> int:
        return self.bytes

    def flush(self) -> None:
        """Parts go when they are full."""

    def close(self) -> None:
        self.closed = True

    def readable(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False


@dataclass
class _Upload:
    """A multipart upload under way."""

    s3: Any
    bucket: str
    key: str
    upload_id: str
    etags: dict[int, str] = field(default_factory=dict)

    async def part(self, number: int, body: io.BytesIO) -> None:
        where = {"Bucket": self.bucket, "Key": self.key, "UploadId": self.upload_id}
        answer = await self.s3.upload_part(**where, PartNumber=number, Body=body)
        self.etags[number] = answer["ETag"]

    async def complete(self) -> str:
        parts = [{"PartNumber": n, "ETag": self.etags[n]} for n in sorted(self.etags)]
        answer = await self.s3.complete_multipart_upload(
            Bucket=self.bucket,
            Key=self.key,
            UploadId=self.upload_id,
            MultipartUpload={"Parts": parts},
            IfNoneMatch="*",
        )
        return answer["ETag"]

    async def abort(self) -> None:
        await self.s3.abort_multipart_upload(Bucket=self.bucket, Key=self.key, UploadId=self.upload_id)


async def upload(s3: Any, bucket: str, key: str, writer: ObjectWriter) -> str:
    """Uploads what the writer hands over; returns the object's ETag.

    Raises KeyTaken when the key is taken, StoreUnavailable when S3 fails; nothing stays behind in either case.
    """
    try:
        parts = [await asyncio.to_thread(writer.take)]
        if parts[0] is not None:
            parts.append(await asyncio.to_thread(writer.take))
        if parts[-1] is None:
            answer = await s3.put_object(Bucket=bucket, Key=key, Body=parts[0] or b"", IfNoneMatch="*")
            return answer["ETag"]
        started = await s3.create_multipart_upload(Bucket=bucket, Key=key)
        return await _upload_parts(_Upload(s3, bucket, key, started["UploadId"]), parts, writer)
    except (ClientError, BotoCoreError) as error:
        if isinstance(error, ClientError) and error_code(error) in TAKEN:
            raise KeyTaken(key) from error
        raise unavailable("S3", error) from error
    finally:
        writer.abandon()


async def _upload_parts(target: _Upload, parts: list[io.BytesIO | None], writer: ObjectWriter) -> str:
    """Uploads `parts`, which it empties so that no part outlives its upload, and then what the writer hands over."""
    slots = asyncio.Semaphore(PARTS_AT_ONCE)

    async def send(number: int, body: io.BytesIO) -> None:
        try:
            await target.part(number, body)
        finally:
            slots.release()

    try:
        async with asyncio.TaskGroup() as group:
            number = 0
            while True:
                body = parts.pop(0) if parts else await asyncio.to_thread(writer.take)
                if body is None:
                    break
                await slots.acquire()
                number += 1
                group.create_task(send(number, body))
                del body  # no part outlives its upload
        return await target.complete()
    except BaseException as error:
        await asyncio.shield(target.abort())
        if isinstance(error, BaseExceptionGroup):
            raise error.exceptions[0] from error
        raise
