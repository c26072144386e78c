"""Files in S3, each read as the version that was found: by ranges, in little memory, however large.

Guarantees: all bytes of a stream are of one version, since every call asks for it by ETag, and by version id where there is
one; a file that was replaced or deleted raises FileChanged. A connection that breaks is taken up again at the byte where it
broke. A stream never ends before the file's size.
"""

import io
from collections.abc import Iterator
from contextlib import suppress
from typing import IO, Any, cast

from botocore.exceptions import BotoCoreError, ClientError

from flowforge.aws.clients import aws_errors, client, error_code, unavailable
from flowforge.aws.objects import VERSION_GONE
from flowforge.domain.errors import FileChanged, StoreUnavailable
from flowforge.domain.file_version import FileVersion

RANGE_BYTES = 16 * 2**20  # one GET each: what is sent and not taken after a seek stays small
SKIPPED_BYTES = 256 * 2**10  # so far ahead, reading on costs less than another GET
BUFFER_BYTES = 2**20
ATTEMPTS = 5  # without a byte in between; those of boto, for a call that fails before its answer, come on top
CHANGED = (*VERSION_GONE, "PreconditionFailed", "412", "InvalidRange", "416")


def find_file(bucket: str, key: str) -> FileVersion | None:
    """The file as it is now, None where there is none. Raises StoreUnavailable."""
    with aws_errors("S3"):
        try:
            found = client("s3").head_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if error_code(error) in VERSION_GONE:
                return None
            raise
    return _version(bucket, key, found, found["ContentLength"], found.get("VersionId"))


def list_files(bucket: str, prefix: str, after: str = "") -> Iterator[FileVersion]:
    """The files below a prefix in the order of their keys' bytes, behind a key if one is given, without version ids. Folders that
    consoles make (a key that ends in /, of no bytes) are none. Raises StoreUnavailable."""
    with aws_errors("S3"):
        start = {"StartAfter": after} if after else {}
        for page in client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, **start):
            for found in page.get("Contents", []):
                if found["Size"] or not found["Key"].endswith("/"):
                    yield _version(bucket, found["Key"], found, found["Size"], None)


def open_file(version: FileVersion) -> IO[bytes]:
    """The bytes of exactly this version, seekable. Raises FileChanged and StoreUnavailable where they are read."""
    return cast(IO[bytes], io.BufferedReader(_Stream(version), BUFFER_BYTES))


def _version(bucket: str, key: str, found: dict[str, Any], size: int, version_id: str | None) -> FileVersion:
    return FileVersion(
        bucket=bucket,
        key=key,
        etag=found["ETag"].strip('"'),
        size=size,
        modified=found["LastModified"].isoformat(),
        version_id=version_id,
    )


class _Stream(io.RawIOBase):
    """Holds one connection at most, between `readinto` and the end of its range, a seek or `close`."""

    def __init__(self, version: FileVersion):
        super().__init__()
        self._version = version
        self._at = 0  # where the next byte is read
        self._body: Any = None
        self._body_at = self._body_end = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._version.size}[whence]
        if start + offset < 0:
            raise ValueError(f"negative position {start + offset}")
        self._at = start + offset
        return self._at

    def readinto(self, buffer: memoryview) -> int:
        wanted = min(len(buffer), self._version.size - self._at)
        if wanted <= 0:
            return 0
        found = self._read(wanted)
        buffer[: len(found)] = found
        self._at += len(found)
        return len(found)

    def close(self) -> None:
        self._leave()
        super().close()

    def _read(self, wanted: int) -> bytes:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                self._go_to(self._at)
                found = self._body.read(min(wanted, self._body_end - self._body_at))
                self._body_at += len(found)
                if found:
                    return found
                self._leave()
            except BotoCoreError as error:
                self._leave()
                if attempt == ATTEMPTS:
                    raise unavailable("S3", error) from error
        raise StoreUnavailable(
            f"S3: {self._version.address} ended at byte {self._at:,} of {self._version.size:,}",
            "The message is delivered again by itself.",
        )

    def _go_to(self, place: int) -> None:
        """Has the body at `place`: by reading on where that is near, else by a GET of its own."""
        if self._body is not None and 0 <= place - self._body_at <= SKIPPED_BYTES and place < self._body_end:
            while ahead := place - self._body_at:
                skipped = self._body.read(ahead)
                self._body_at += len(skipped)
                if not skipped:
                    break
        if self._body is None or self._body_at != place or place >= self._body_end:
            self._leave()
            self._body_at, self._body_end = place, min(place + RANGE_BYTES, self._version.size)
            self._body = self._get(self._body_at, self._body_end)

    def _get(self, start: int, end: int) -> Any:
        version = self._version
        arguments = {"Bucket": version.bucket, "Key": version.key, "IfMatch": f'"{version.etag}"'}
        if version.version_id:
            arguments["VersionId"] = version.version_id
        try:
            found = client("s3").get_object(**arguments, Range=f"bytes={start}-{end - 1}")
        except ClientError as error:
            if error_code(error) in CHANGED:
                raise _changed(version, gone=error_code(error) in VERSION_GONE) from error
            raise unavailable("S3", error) from error
        if found["ETag"].strip('"') != version.etag:  # a store that takes no notice of If-Match
            raise _changed(version, gone=False)
        return found["Body"]

    def _leave(self) -> None:
        body, self._body = self._body, None
        if body is not None:
            with suppress(BotoCoreError, OSError):
                body.close()


def _changed(version: FileVersion, gone: bool) -> FileChanged:
    what = "was deleted" if gone else "was replaced"
    return FileChanged(
        f"{version.address} {what} after it was found (ETag {version.etag}, {version.size:,} bytes)",
        "Ask again: what is there then is read. In a bucket with versions a replaced file is still read as it was found.",
    )
