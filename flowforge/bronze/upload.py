"""Puts one object into the bucket, in parts while it is still being written.

Guarantees: the object appears whole or not at all, and only if no object of that key was there (If-None-Match), or the one that
the caller names (If-Match); an upload that fails is aborted; a small object takes one call. Full parts go up in threads of their
own while the next is written, and memory is bounded by PART_BYTES times (PARTS_AT_ONCE + 1), whatever the object's size.

boto3 in threads, not an async client: botocore's import is paid by every ingest anyway for the key-value table, an async
client's would add a fifth of a second to each cold start, and the process's own client keeps its connections while it is warm.
"""

import threading
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Self

from botocore.exceptions import ClientError

from flowforge.aws.clients import aws_errors, error_code
from flowforge.domain.errors import StoreUnavailable
from flowforge.domain.given import given

PART_BYTES = 8 * 2**20  # S3 wants at least 5 MiB for all but the last, and at most 10,000 parts
PARTS_AT_ONCE = 3
NONE_THERE = {"IfNoneMatch": "*"}
# An object of that key is there, or another one than was named; or our own completion succeeded, its reply was lost, and the
# upload is gone by now.
TAKEN = ("PreconditionFailed", "412", "NoSuchUpload")


class KeyTaken(Exception):
    """An object of that key exists already, or another one than was to be replaced."""


class ObjectWriter:
    """A file-like object whose bytes become the object `key` when `finish` is called.

    Every method raises StoreUnavailable when S3 fails, KeyTaken when the key is taken. Resource management: leaving the block
    without `finish` aborts; nothing stays behind.
    """

    closed = False

    def __init__(
        self,
        s3: Any,
        bucket: str,
        key: str,
        condition: Mapping[str, str] = NONE_THERE,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        self._s3, self._where = s3, {"Bucket": bucket, "Key": key}
        self._condition, self._told = condition, {"Metadata": dict(metadata)} if metadata else {}
        self.bytes = 0
        self._part = bytearray()
        self._upload: dict[str, str] | None = None
        self._sent: list[Future[str]] = []
        self._free = threading.Semaphore(PARTS_AT_ONCE)
        self._pool = ThreadPoolExecutor(PARTS_AT_ONCE, thread_name_prefix="upload")
        self._complete = self._ended = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._pool.shutdown(cancel_futures=True)
        self._ended = True
        if self._upload and not self._complete:
            # What made it end is the news; when S3 refuses even this, the bucket's lifecycle rule removes the parts.
            with suppress(StoreUnavailable, KeyTaken):
                _call(self._s3.abort_multipart_upload, **self._upload)

    def write(self, data: Any) -> int:
        rest = memoryview(data).cast("B")
        written = len(rest)
        if self._ended:  # a Parquet writer that is given up writes its footer when it is collected
            return written
        while len(rest):
            if len(self._part) == PART_BYTES:
                self._send()
            taken = rest[: PART_BYTES - len(self._part)]
            self._part += taken
            rest = rest[len(taken) :]
        self.bytes += written
        return written

    def finish(self) -> str:
        """Completes the object and returns its ETag."""
        if self._upload is None:
            answer = _call(self._s3.put_object, **self._where, Body=self._part, **self._told, **self._condition)
        else:
            self._send()
            parts = [{"PartNumber": n, "ETag": sent.result()} for n, sent in enumerate(self._sent, 1)]
            whole = {"MultipartUpload": {"Parts": parts}, **self._condition}
            answer = _call(self._s3.complete_multipart_upload, **self._upload, **whole)
        self._complete = True
        return answer["ETag"]

    def _send(self) -> None:
        """Starts to upload the part that is full; waits for a free place, and raises what an earlier part met."""
        if self._upload is None:
            started = _call(self._s3.create_multipart_upload, **self._where, **self._told)
            self._upload = self._where | {"UploadId": started["UploadId"]}
        self._free.acquire()
        for sent in self._sent:
            if sent.done():
                sent.result()
        full, self._part = self._part, bytearray()
        self._sent.append(self._pool.submit(self._send_part, len(self._sent) + 1, [full]))

    def _send_part(self, number: int, holder: list[bytearray]) -> str:
        """Uploads the part in `holder`, which it empties: the pool keeps its arguments, and no part may outlive its upload."""
        try:
            where = given(self._upload)
            return _call(self._s3.upload_part, **where, PartNumber=number, Body=holder.pop())["ETag"]
        finally:
            self._free.release()

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


def _call(operation: Any, **arguments: Any) -> dict[str, Any]:
    with aws_errors("S3"):
        try:
            return operation(**arguments)
        except ClientError as error:
            if error_code(error) in TAKEN:
                raise KeyTaken(arguments["Key"]) from error
            raise
