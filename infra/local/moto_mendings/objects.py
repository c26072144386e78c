"""What S3 objects cost in the embedded AWS: moto copies all of an object for each range of it, and again when an upload ends.

A range is read where it lies: DuckDB and delta-rs ask for dozens of a file. The parts of a finished upload become the object as
they are; moto joins them three times, for a checksum that no client here asks for among others (75 MB: 0.25 s, now 0.01 s).
"""

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import Any

from moto.s3.exceptions import EntityTooSmall, InvalidPart, MalformedXML
from moto.s3.models import FakeKey, FakeMultipart
from moto.s3.responses import S3Response
from moto.settings import S3_UPLOAD_PART_MIN_SIZE

from infra.local.moto_mendings.edge import put_in_place

_ranged = threading.local()


class StoredBytes:
    """An object's bytes, of which only those asked for are read."""

    def __init__(self, key: FakeKey) -> None:
        self._key = key

    def __len__(self) -> int:
        return self._key.contentsize

    def __getitem__(self, place: slice) -> bytes:
        with self._key.lock:
            self._key._value_buffer.seek(place.start)
            return self._key._value_buffer.read(place.stop - place.start)

    def __bytes__(self) -> bytes:
        return self[0 : len(self)]


class JoinedParts:
    """The parts of an upload as one file to read."""

    def __init__(self, parts: Sequence[FakeKey]) -> None:
        self._parts = list(parts)
        self._ends = list(accumulate(part.contentsize for part in parts))
        self._place = 0

    def __len__(self) -> int:
        return self._ends[-1]

    def seek(self, place: int) -> None:
        self._place = place

    def read(self, size: int = -1) -> bytes:
        stop = len(self) if size < 0 else min(len(self), self._place + size)
        found = []
        for part, end in zip(self._parts, self._ends, strict=True):
            if self._place < min(end, stop):
                part._value_buffer.seek(self._place - (end - part.contentsize))
                found.append(part._value_buffer.read(min(end, stop) - self._place))
                self._place += len(found[-1])
        return b"".join(found)

    def close(self) -> None:
        for part in self._parts:
            part.dispose()


def complete_joined(upload: FakeMultipart, body: Iterator[tuple[int, str]]) -> tuple[JoinedParts, str, None]:
    """Check the parts of an upload as moto does, and return them joined, the object's ETag, and no checksum of the whole."""
    chosen = [(upload.parts.get(number), etag.replace('"', "")) for number, etag in body]
    if not chosen:
        raise MalformedXML
    if any(part is None or part.etag.replace('"', "") != etag for part, etag in chosen):
        raise InvalidPart
    parts = [part for part, _ in chosen if part is not None]
    if any(part.contentsize < S3_UPLOAD_PART_MIN_SIZE for part in parts[:-1]):
        raise EntityTooSmall
    for number in [number for number, part in upload.parts.items() if part in parts]:
        del upload.parts[number]  # the others go with the upload
    whole = hashlib.md5(b"".join(bytes.fromhex(etag) for _, etag in chosen), usedforsecurity=False)
    return JoinedParts(parts), f"{whole.hexdigest()}-{len(parts)}", None


def value_of(key: FakeKey, _value: Any = FakeKey.value.fget) -> bytes | StoredBytes:
    """Return an object's bytes; while a range is asked for, what reads just that."""
    return StoredBytes(key) if getattr(_ranged, "now", False) else _value(key)


def take_value(key: Any, value: Any, _take: Any = FakeKey.value.fset) -> None:
    """Store an object's bytes, or the parts that they are in."""
    if not isinstance(value, JoinedParts):
        _take(key, value)
        return
    key._value_buffer.close()
    key._value_buffer, key.contentsize = value, len(value)


def answer_range(
    response: S3Response, request: Any, *args: Any, _answer: Callable = S3Response.key_response
) -> tuple[int, dict[str, Any], bytes]:
    """Answer a request for an object; `value_of` knows meanwhile whether it is for a range."""
    _ranged.now = request.method == "GET" and bool(request.headers.get("range"))
    try:
        status, headers, content = _answer(response, request, *args)
        return status, headers, bytes(content) if isinstance(content, StoredBytes) else content
    finally:
        _ranged.now = False


def store_without_copies() -> None:
    """Put the replacements of this module in place, in this process."""
    put_in_place(FakeMultipart, complete=complete_joined)
    put_in_place(FakeKey, value=property(value_of, take_value))
    put_in_place(S3Response, key_response=answer_range)
