"""Small files that a caller of the API puts where a job finds them, as `flowforge files put` does for files of any size."""

import base64
import binascii
from typing import Any

from events.api.files import MOST_UPLOAD_BYTES, Upload
from events.request import InvalidRequest
from events.request.files import LANDING
from flowforge.aws.clients import aws_errors, client
from flowforge.runtime.settings import settings

LONGEST_KEY_BYTES = 1_024  # S3's limit


def key_of(workflow_id: str, job_id: str, name: str) -> str:
    """Where a job finds a file of that name."""
    return f"{LANDING}{workflow_id}/{job_id}/{name}"


def put(upload: Upload) -> dict[str, Any]:
    """Puts the file; one of that name is replaced, as a newer version of it. Raises InvalidRequest, StoreUnavailable."""
    content, key = _content(upload), key_of(upload.workflow_id, upload.job_id, upload.name)
    if len(key.encode()) > LONGEST_KEY_BYTES:
        raise InvalidRequest(
            [{"field": "name", "problem": f"{LONGEST_KEY_BYTES:,} bytes at most, with its workflow and job"}]
        )
    bucket = settings().bucket
    with aws_errors("S3"):
        client("s3").put_object(Bucket=bucket, Key=key, Body=content)
    return {"bucket": bucket, "key": key, "bytes": len(content)}


def _content(upload: Upload) -> bytes:
    try:
        content = base64.b64decode(upload.content, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidRequest([{"field": "content", "problem": "expected the file's bytes in base64"}]) from None
    if len(content) > MOST_UPLOAD_BYTES:
        problem = f"{MOST_UPLOAD_BYTES:,} bytes at most: put a larger file with `flowforge files put FILE JOB`"
        raise InvalidRequest([{"field": "content", "problem": problem}])
    return content
