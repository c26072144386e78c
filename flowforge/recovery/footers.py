"""The footers of bronze objects: what each object says about the batch that it belongs to.

Reads the tail of every object, never its rows; several at once. Needs ListBucket and GetObject on bronze/.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from botocore.exceptions import BotoCoreError, ClientError

from flowforge.bronze.parquet import read_footer
from flowforge.cloud.clients import client, unavailable

TAIL_BYTES = 256 * 2**10  # more than most footers take; one that is larger is read again, whole
READERS = 16


@dataclass(frozen=True)
class FoundObject:
    """An object in bronze with its footer's `flowforge` entry; None where it has none or is no Parquet file."""

    key: str
    etag: str
    bytes: int
    footer: dict[str, Any] | None


def read_footers(bucket: str, bronze_table: str | None = None) -> Iterator[FoundObject]:
    """The objects of one bronze table, or of all, in the order of their keys. Raises StoreUnavailable."""
    prefix = f"bronze/{bronze_table}/" if bronze_table else "bronze/"
    try:
        pages = client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        listed = [entry for page in pages for entry in page.get("Contents", []) if entry["Key"].endswith(".parquet")]
        with ThreadPoolExecutor(READERS) as pool:
            yield from pool.map(lambda entry: _found(bucket, entry), listed)
    except (ClientError, BotoCoreError) as error:
        raise unavailable("S3", error) from error


def _found(bucket: str, entry: dict[str, Any]) -> FoundObject:
    tail = _tail(bucket, entry["Key"], TAIL_BYTES)
    if tail[-4:] == b"PAR1" and (size := int.from_bytes(tail[-8:-4], "little") + 8) > len(tail):
        tail = _tail(bucket, entry["Key"], size)
    try:
        footer = read_footer(pa.BufferReader(tail))
    except pa.ArrowInvalid:
        footer = None
    return FoundObject(entry["Key"], entry["ETag"], entry["Size"], footer)


def _tail(bucket: str, key: str, size: int) -> bytes:
    return client("s3").get_object(Bucket=bucket, Key=key, Range=f"bytes=-{size}")["Body"].read()
