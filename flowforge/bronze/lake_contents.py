"""Asks a lake that has no head for a source what it holds of it: the footers of bronze, and silver's own marks.

For a state that starts empty above a lake that was filled by a version before, or copied in part. Guarantees: no row is read;
the answer is the newest batch that either layer knows, so that whatever comes next can be placed above it. A table that neither
layer has costs two listings.
"""

import io
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from flowforge.aws.clients import aws_errors, client
from flowforge.bronze.keys import folders
from flowforge.bronze.parquet import read_footer
from flowforge.domain.batch import SEQ_BITS, order_of
from flowforge.domain.source_key import bronze_table_of
from flowforge.state.lake_head import Head, Mark

TAIL_BYTES = 256 * 2**10  # more than most footers take; one that is larger is read again, whole
OBJECTS_AT_ONCE = 8  # as many connections as the client keeps
COMMITS = 500  # of silver's log that are looked through before its last checkpoint is


def ask_lake(bucket: str, source_key: str, silver_table: str) -> Head | None:
    """The newest batch of a source in bronze and silver; None where they have none. Raises StoreUnavailable."""
    with aws_errors("S3"):
        found = _in_bronze(bucket, source_key)
        order = _in_silver(bucket, source_key, silver_table)
    if order is not None and (found is None or order > found.order):
        generation, seq = order >> SEQ_BITS, order & (1 << SEQ_BITS) - 1
        return Head(source_key=source_key, generation=generation, seq=seq, watermarks=found and found.watermarks)
    return found


def _in_bronze(bucket: str, source_key: str) -> Head | None:
    prefixes = folders(bronze_table_of(source_key))
    keys = [key for prefix in prefixes for key in _keys(bucket, prefix) if key.endswith(".parquet")]
    with ThreadPoolExecutor(OBJECTS_AT_ONCE, thread_name_prefix="footers") as pool:
        footers = [found for found in pool.map(lambda key: _footer(bucket, key), keys) if found]
    own = [footer for footer in footers if footer.get("source_key") == source_key]
    if not own:
        return None
    own.sort(key=lambda footer: order_of(footer["generation"], footer["seq"]))
    marks = {}
    for footer in own:
        interval = footer["interval"]
        if interval["column"] and interval["high"]:  # the newest batch may not have been committed
            reached = footer.get("watermark_before") or interval["high"]
            marks[interval["column"]] = Mark(value=reached, sql_type=interval["sql_type"])
    newest = {name: own[-1][name] for name in ("generation", "seq", "run_id")}
    return Head(source_key=source_key, claim=own[-1].get("claim", ""), watermarks=marks, **newest)


def _footer(bucket: str, key: str) -> dict[str, Any] | None:
    tail = _tail(bucket, key, TAIL_BYTES)
    if tail[-4:] == b"PAR1" and (size := int.from_bytes(tail[-8:-4], "little") + 8) > len(tail):
        tail = _tail(bucket, key, size)
    try:
        return read_footer(pa.BufferReader(tail))
    except pa.ArrowInvalid:  # an object that somebody else has put there
        return None


def _tail(bucket: str, key: str, size: int) -> bytes:
    return client("s3").get_object(Bucket=bucket, Key=key, Range=f"bytes=-{size}")["Body"].read()


def _in_silver(bucket: str, source_key: str, table: str) -> int | None:
    """The order of the newest batch that the table's log tells of, from its last commits or its last checkpoint."""
    wanted = f"flowforge/{source_key}/newest"  # as `silver.marks` writes it
    keys = list(_keys(bucket, f"silver/{table}/_delta_log/"))
    commits = [key for key in keys if key.endswith(".json") and key.rpartition("/")[2][:-5].isdecimal()]
    for key in sorted(commits, reverse=True)[:COMMITS]:
        for line in _body(bucket, key).splitlines():
            entry = json.loads(line) if b'"txn"' in line else {}
            if entry.get("txn", {}).get("appId") == wanted:
                return entry["txn"]["version"]
    checkpoints = [key for key in keys if key.endswith(".checkpoint.parquet")]
    for key in sorted(checkpoints, reverse=True)[:1]:
        transactions = pq.read_table(io.BytesIO(_body(bucket, key)), columns=["txn"]).column("txn").to_pylist()
        found = [one["version"] for one in transactions if one and one["appId"] == wanted]
        return max(found, default=None)
    return None


def _body(bucket: str, key: str) -> bytes:
    return client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()


def _keys(bucket: str, prefix: str) -> Iterator[str]:
    for page in client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        yield from (entry["Key"] for entry in page.get("Contents", []))
