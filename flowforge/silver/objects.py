"""The bronze objects of a batch, as its manifest names them: compared before they are read.

Small ones are fetched, by one call each: what is compared is then what is read, and the engine need not ask for their size first.
Resource management: the copies are in a folder of `readable_objects`, and go with it.
"""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from flowforge.aws.clients import aws_errors
from flowforge.domain.batch import Batch
from flowforge.domain.errors import TransformRejected
from flowforge.domain.given import given
from flowforge.domain.manifest import BronzeObject

BRING_BACK = (
    "delete what lies over it in the bucket's versions, which brings back the object that was landed (a copy has another ETag), "
    "and replay the batch (flowforge replay --run RUN)"
)


# Metadata of an object that was rewritten without the rows of a person: the ETags that it had before, the newest first.
LANDED_AS = "landed-as"
SMALL_BYTES = 4 * 2**20  # of all objects of a batch: what is held and copied at most


def uris_of(batch: Batch) -> list[str]:
    """The batch's bronze objects in the bucket."""
    manifest = given(batch.manifest)
    return [f"s3://{manifest.bucket}/{item.key}" for item in manifest.objects]


@contextmanager
def readable_objects(batch: Batch, s3: Any) -> Iterator[list[str]]:
    """For the block, where the engine reads the batch's objects, which have been compared with the manifest: copies where they
    are small, else the objects in the bucket. Raises TransformRejected where they differ."""
    sizes = [item.bytes for item in _objects(batch)]
    if not all(sizes) or sum(sizes) > SMALL_BYTES:
        check_objects(batch, s3)
        yield uris_of(batch)
        return
    with tempfile.TemporaryDirectory(prefix="flowforge-batch-") as folder:
        paths = [Path(folder) / f"{number}.parquet" for number in range(len(sizes))]
        for path, item in zip(paths, _objects(batch), strict=True):
            path.write_bytes(_compared(batch, item, s3.get_object, whole=True))
        yield [str(path) for path in paths]


def check_objects(batch: Batch, s3: Any) -> None:
    """Compares every object of the manifest with what is in the bucket; raises TransformRejected where they differ."""
    for item in _objects(batch):
        _compared(batch, item, s3.head_object)


def _objects(batch: Batch) -> list[BronzeObject]:
    objects = given(batch.manifest).objects
    if not objects:
        raise TransformRejected(f"{batch.name} has no objects in its manifest", load_anew(batch))
    return objects


def _compared(batch: Batch, item: BronzeObject, ask: Any, whole: bool = False) -> bytes:
    """What an object holds where it is `whole` that is asked for, of the very object whose ETag the manifest has, or of what an
    erasure has left of it."""
    bucket = given(batch.manifest).bucket
    with aws_errors("s3"):
        try:
            found = ask(Bucket=bucket, Key=item.key)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                raise TransformRejected(f"{item.key} of {batch.name} is gone from {bucket}", _mend(batch)) from error
            raise
        if item.etag.strip('"') not in (found["ETag"].strip('"'), *etags_before(found["Metadata"])):
            raise TransformRejected(
                f"{item.key} is not the object that {batch.name} landed: its ETag differs", _mend(batch)
            )
        return found["Body"].read() if whole else b""


def etags_before(metadata: Mapping[str, str]) -> list[str]:
    """The ETags that an object had before it was rewritten, by its metadata."""
    return metadata.get(LANDED_AS, "").split()


def _mend(batch: Batch) -> str:
    return f"{BRING_BACK}; where there is none, {load_anew(batch)}"


def load_anew(batch: Batch) -> str:
    """What brings rows of a batch that cannot be read any more: only the source has them."""
    return f"load what the source has now: flowforge watermark reset {batch.command.bronze.table} --yes, then submit the request"
