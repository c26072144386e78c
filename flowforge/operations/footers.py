"""The footers of bronze objects: what each object says about the batch that it belongs to.

Reads the tail of every object, never its rows; many at once, since each answer is small and
far away. Needs ListBucket and GetObject on bronze/.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from flowforge.aws.async_clients import async_client
from flowforge.aws.clients import aws_errors
from flowforge.bronze.keys import folders
from flowforge.bronze.parquet import read_footer
from flowforge.domain.given import given

TAIL_BYTES = 256 * 2**10  # more than most footers take; one that is larger is read again, whole
OBJECTS_AT_ONCE = 64


@dataclass(frozen=True)
class FoundObject:
    """An object in bronze with its footer's `flowforge` entry; None where it has none or is no Parquet file."""

    key: str
    etag: str
    bytes: int
    footer: dict[str, Any] | None

    @property
    def facts(self) -> dict[str, Any]:
        """The entry of an object that has one."""
        return given(self.footer)


def read_footers(bucket: str, bronze_table: str | None = None) -> list[FoundObject]:
    """The objects of one bronze table, or of all, in the order of their keys. Raises StoreUnavailable."""
    prefixes = folders(bronze_table) if bronze_table else ("bronze/",)
    with aws_errors("S3"):
        found = asyncio.run(_Reading(bucket, asyncio.Semaphore(OBJECTS_AT_ONCE)).all_under(prefixes))
    return sorted(found, key=lambda one: one.key)


@dataclass(frozen=True)
class _Reading:
    bucket: str
    places: asyncio.Semaphore

    async def all_under(self, prefixes: Sequence[str]) -> list[FoundObject]:
        async with async_client("s3") as s3:
            listed: list[dict[str, Any]] = []
            for prefix in prefixes:
                pages = s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
                listed += [entry async for page in pages for entry in page.get("Contents", [])]
            objects = [self._found(s3, entry) for entry in listed if entry["Key"].endswith(".parquet")]
            return await asyncio.gather(*objects)

    async def _found(self, s3: Any, entry: dict[str, Any]) -> FoundObject:
        async with self.places:
            tail = await self._tail(s3, entry["Key"], TAIL_BYTES)
            if tail[-4:] == b"PAR1" and (size := int.from_bytes(tail[-8:-4], "little") + 8) > len(tail):
                tail = await self._tail(s3, entry["Key"], size)
        try:
            footer = read_footer(pa.BufferReader(tail))
        except pa.ArrowInvalid:
            footer = None
        return FoundObject(entry["Key"], entry["ETag"], entry["Size"], footer)

    async def _tail(self, s3: Any, key: str, size: int) -> bytes:
        answer = await s3.get_object(Bucket=self.bucket, Key=key, Range=f"bytes=-{size}")
        return await answer["Body"].read()
