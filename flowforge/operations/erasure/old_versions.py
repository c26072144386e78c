"""Noncurrent versions of objects, where a bucket keeps them: what was overwritten or deleted there is still to be read.

Guarantees: below the given prefixes none is left, or it is told how many are. Delete markers stay: they hold nothing, and without
one the version below it would be there again.
"""

from collections.abc import Iterable, Iterator

from botocore.exceptions import ClientError

from flowforge.aws.clients import aws_errors, client, error_code

DENIED = ("AccessDenied", "403", "NotImplemented", "MethodNotAllowed")


def noncurrent_versions(bucket: str, prefixes: Iterable[str]) -> list[dict[str, str]] | None:
    """Each as delete_objects takes it; none where the bucket keeps no versions, None where the store does not tell. Raises
    StoreUnavailable."""
    with aws_errors("S3"):
        try:
            return [found for prefix in prefixes for found in _below(bucket, prefix)]
        except ClientError as error:
            if error_code(error) in DENIED:
                return None
            raise


def delete_versions(bucket: str, versions: list[dict[str, str]]) -> int:
    """Deletes versions; returns how many are left since the store refuses it."""
    left = 0
    with aws_errors("S3"):
        for start in range(0, len(versions), 1000):
            portion = versions[start : start + 1000]
            try:
                answer = client("s3").delete_objects(Bucket=bucket, Delete={"Objects": portion, "Quiet": True})
                left += len(answer.get("Errors", []))
            except ClientError as error:
                if error_code(error) not in DENIED:
                    raise
                left += len(portion)
    return left


def _below(bucket: str, prefix: str) -> Iterator[dict[str, str]]:
    pages = client("s3").get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix)
    for page in pages:
        for found in page.get("Versions", []):
            if not found["IsLatest"]:
                yield {"Key": found["Key"], "VersionId": found["VersionId"]}
