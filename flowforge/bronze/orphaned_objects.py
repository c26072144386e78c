"""Objects of batches that were given up: some slices may have landed, though the batch never will.

Guarantees: deleted are only objects that a voided batch without a manifest has written itself, as their footers say, and only
when no worker of it can still be alive. What somebody else has put under such a key stays.
"""

import json
import time
from collections.abc import Iterator

from botocore.exceptions import ClientError

from flowforge.aws.clients import aws_errors, client, error_code
from flowforge.aws.objects import VERSION_GONE
from flowforge.bronze.keys import CLAIM, bronze_keys, rejected_keys
from flowforge.domain.batch import Batch
from flowforge.runtime.settings import settings

WORKER_SECONDS = (
    1_000  # a worker that had begun before the batch was voided has ended: a function runs for at most 900 s
)
TAIL_BYTES = 2**20  # where Parquet keeps what the footer says; plain text, so that nothing need be decoded


def remove_orphaned_objects(batch: Batch, idle_seconds: float = WORKER_SECONDS) -> bool:
    """Deletes what a voided batch has landed; False while it was voided less than `idle_seconds` ago.

    Raises StoreUnavailable when S3 fails; deleting again does no harm.
    """
    if batch.manifest is not None:
        return True
    if batch.updated_at > time.time() - idle_seconds:
        return False
    with aws_errors("S3"):
        for key in (*_written_by(batch), *_rejected_of(batch)):
            client("s3").delete_object(Bucket=settings().bucket, Key=key)
    return True


def _rejected_of(batch: Batch) -> Iterator[str]:
    """The records of its files that did not fit; the object tells whose they are."""
    if not batch.interval.files:
        return
    for key in rejected_keys(batch):
        try:
            found = client("s3").head_object(Bucket=settings().bucket, Key=key)
        except ClientError as error:
            if error_code(error) in VERSION_GONE:
                continue
            raise
        if found["Metadata"].get(CLAIM) == batch.claim:
            yield key


def _written_by(batch: Batch) -> Iterator[str]:
    s3, bucket, keys = client("s3"), settings().bucket, bronze_keys(batch)
    prefix = keys[0].rpartition("/")[0] + "/" if batch.slices else keys[0]
    identity = f'"source_key": {json.dumps(batch.source_key)}, "generation": {batch.generation}, "seq": {batch.seq},'
    identity += f' "claim": {json.dumps(batch.claim)},' if batch.claim else ""
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for key in (found["Key"] for found in page.get("Contents", [])):
            if key in keys:
                tail = s3.get_object(Bucket=bucket, Key=key, Range=f"bytes=-{TAIL_BYTES}")["Body"].read()
                if identity.encode() in tail:
                    yield key
