"""Small objects of S3: looks for them where they may not be there, reads and writes them whole."""

from typing import NamedTuple

from botocore.exceptions import ClientError

from flowforge.aws.clients import aws_errors, client, error_code

GONE = ("NoSuchKey", "404")
CHANGED = ("PreconditionFailed", "412", "ConditionalRequestConflict", "409")  # what a conditional write answers
VERSION_GONE = (*GONE, "NoSuchVersion", "MethodNotAllowed")  # the last: the version is a delete marker


class FoundObject(NamedTuple):
    """An object's bytes, and the ETag by which it can be replaced if nobody else has done so."""

    body: bytes
    etag: str


def place_of(uri: str) -> tuple[str, str]:
    """The bucket and key of an address s3://bucket/key, a folder's without a slash at its end."""
    bucket, _, key = uri.removeprefix("s3://").rstrip("/").partition("/")
    return bucket, key


def put_whole(uri: str, body: bytes) -> None:
    """Writes an object. Raises StoreUnavailable."""
    bucket, key = place_of(uri)
    with aws_errors("s3"):
        client("s3").put_object(Bucket=bucket, Key=key, Body=body)


def is_any(bucket: str, prefix: str) -> bool:
    """Whether there is an object whose key begins so. Raises StoreUnavailable."""
    with aws_errors("s3"):
        return bool(client("s3").list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1).get("Contents"))


def find_object(bucket: str, key: str, most_bytes: int | None = None) -> FoundObject | None:
    """The object, or its first `most_bytes`; None where there is none. Raises StoreUnavailable."""
    with aws_errors("s3"):
        try:
            found = client("s3").get_object(Bucket=bucket, Key=key)
            return FoundObject(found["Body"].read(most_bytes), found["ETag"])
        except ClientError as error:
            if error_code(error) in GONE:
                return None
            raise
