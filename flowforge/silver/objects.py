"""The bronze objects of a batch, as its manifest names them: compared before they are read."""

from typing import Any

from botocore.exceptions import ClientError

from flowforge.aws.clients import aws_errors
from flowforge.domain.batch import Batch
from flowforge.domain.errors import TransformRejected
from flowforge.domain.given import given

BRING_BACK = (
    "delete what lies over it in the bucket's versions, which brings back the object that was landed (a copy has another ETag), "
    "and replay the batch (flowforge replay --run RUN)"
)


def check_objects(batch: Batch, s3: Any) -> None:
    """Compares every object of the manifest with what is in the bucket; raises TransformRejected where they differ."""
    manifest = given(batch.manifest)
    if not manifest.objects:
        raise TransformRejected(f"{batch.name} has no objects in its manifest", load_anew(batch))
    for item in manifest.objects:
        with aws_errors("s3"):
            try:
                found = s3.head_object(Bucket=manifest.bucket, Key=item.key)["ETag"]
            except ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                    raise TransformRejected(
                        f"{item.key} of {batch.name} is gone from {manifest.bucket}", _mend(batch)
                    ) from error
                raise
        if found.strip('"') != item.etag.strip('"'):
            raise TransformRejected(
                f"{item.key} is not the object that {batch.name} landed: its ETag differs", _mend(batch)
            )


def _mend(batch: Batch) -> str:
    return f"{BRING_BACK}; where there is none, {load_anew(batch)}"


def load_anew(batch: Batch) -> str:
    """What brings rows of a batch that cannot be read any more: only the source has them."""
    return f"load what the source has now: flowforge watermark reset {batch.command.bronze.table} --yes, then submit the request"
