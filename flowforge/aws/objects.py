"""Looks for small objects of S3 that may not be there, and reads them whole."""

from typing import NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from flowforge.aws.clients import client, error_code, unavailable

GONE = ("NoSuchKey", "404")


class FoundObject(NamedTuple):
    """An object's bytes, and the ETag by which it can be replaced if nobody else has done so."""

    body: bytes
    etag: str


def is_any(bucket: str, prefix: str) -> bool:
    """Whether there is an object whose key begins so. Raises StoreUnavailable."""
    try:
        return bool(client("s3").list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1).get("Contents"))
    except (ClientError, BotoCoreError) as error:
        raise unavailable("s3", error) from error


def find_object(bucket: str, key: str) -> FoundObject | None:
    """The object, or None where there is none. Raises StoreUnavailable."""
    try:
        found = client("s3").get_object(Bucket=bucket, Key=key)
        return FoundObject(found["Body"].read(), found["ETag"])
    except ClientError as error:
        if error_code(error) in GONE:
            return None
        raise unavailable("s3", error) from error
    except BotoCoreError as error:
        raise unavailable("s3", error) from error
