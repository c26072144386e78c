"""Small objects below a prefix, read together: several at once, and each but once by a process for as long as it stays as it is.

A bucket has thousands of them where it has thousands of tables. One after the other they would take as many ways to S3 and back,
for every build of a model and every look at a page.

Guarantees: what is given is at least as new as a listing that begins now. What does not fit into what a process remembers is read
anew each time; what fits is not pushed out by it, however many there are.
"""

import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from flowforge.aws.clients import CONNECTIONS, aws_errors, client
from flowforge.aws.objects import FoundObject, find_object
from flowforge.runtime.deployment import current

MOST_BYTES = 32 * 2**20  # of all that a process remembers, compressed: text takes a fifth to a tenth


class _Remembered:
    """What a process remembers of one deployment's objects."""

    def __init__(self) -> None:
        self._bodies: dict[tuple[str, str], tuple[str, bytes]] = {}  # (bucket, key) -> ETag, compressed
        self._below: dict[tuple[str, str], set[str]] = {}  # (bucket, prefix) -> keys
        self._bytes = 0

    def find(self, bucket: str, key: str, etag: str) -> bytes | None:
        known = self._bodies.get((bucket, key))
        return zlib.decompress(known[1]) if known is not None and known[0] == etag else None

    def keep(self, bucket: str, key: str, read: FoundObject) -> None:
        packed = zlib.compress(read.body, 1)
        self._forget(bucket, key)
        if self._bytes + len(packed) <= MOST_BYTES:
            self._bodies[bucket, key] = read.etag, packed
            self._bytes += len(packed)

    def settle(self, bucket: str, prefix: str, keys: set[str]) -> None:
        """Forgets what has gone from below a prefix since it was listed last."""
        for key in self._below.get((bucket, prefix), set()) - keys:
            self._forget(bucket, key)
        self._below[bucket, prefix] = keys

    def _forget(self, bucket: str, key: str) -> None:
        _, packed = self._bodies.pop((bucket, key), ("", b""))
        self._bytes -= len(packed)


class SmallObject(NamedTuple):
    """An object's bytes; None of one that is larger than the caller takes."""

    key: str
    body: bytes | None


def read_below(
    bucket: str,
    prefix: str,
    is_wanted: Callable[[str], bool] = lambda key: True,
    most_bytes: int | None = None,
) -> list[SmallObject]:
    """The objects below a prefix, in order of their keys, as far as these are wanted. Raises StoreUnavailable."""
    known = current().once("small objects", _Remembered)
    listed = [item for item in list_below(bucket, prefix) if is_wanted(item["Key"])]
    known.settle(bucket, prefix, {item["Key"] for item in listed})
    found: dict[str, bytes | None] = {}
    unread = list[str]()
    for item in listed:
        key = item["Key"]
        too_large = most_bytes is not None and item["Size"] > most_bytes
        found[key] = None if too_large else known.find(bucket, key, item["ETag"])
        if found[key] is None and not too_large:
            unread.append(key)
    with ThreadPoolExecutor(CONNECTIONS) as readers:
        for key, read in zip(unread, readers.map(lambda key: find_object(bucket, key), unread), strict=True):
            if read is None:  # it has gone since
                del found[key]
                continue
            known.keep(bucket, key, read)
            found[key] = read.body
    return [SmallObject(key, body) for key, body in found.items()]


def list_below(bucket: str, prefix: str) -> list[Any]:
    """What a listing tells of the objects below a prefix, in order of their keys. Raises StoreUnavailable."""
    with aws_errors("s3"):
        pages = client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return [item for page in pages for item in page.get("Contents", [])]
