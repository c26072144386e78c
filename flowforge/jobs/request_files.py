"""Request files in the bucket: read with what identifies their delivery, replaced by what may be kept of them.

Guarantees: what replaces a file starts nothing by itself, and is found again by a notice of the file that it has replaced,
so that a run can still be started whose worker died, or whose source could not be reached, after the file was replaced.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from events.documents import MOST_BYTES
from flowforge.aws.clients import aws_errors, client, error_code
from flowforge.aws.objects import VERSION_GONE
from flowforge.jobs.notice import Notice

MARK, RUN = "flowforge-redacted", "flowforge-run"
NOT_KEPT = "notKept"


@dataclass(frozen=True)
class RequestFile:
    """One version of a dropped file. `content` is None where it is larger than a request may be; `taken_by` is the run that a
    replaced file was taken by."""

    bucket: str
    key: str
    version: str | None
    etag: str
    modified: str
    size: int
    content: bytes | None
    taken_by: str | None

    def note(self, mistakes: list[dict[str, str]]) -> dict[str, Any]:
        """What is kept in place of a file that cannot be kept: what identifies it, and why."""
        digest = {"sha256": hashlib.sha256(self.content).hexdigest()} if self.content is not None else {}
        return {NOT_KEPT: {"reason": mistakes, "bytes": self.size, "etag": self.etag.strip('"'), **digest}}


def read_request_file(notice: Notice) -> RequestFile | None:
    """The file that a notice tells of, or what has replaced it; None when it is gone, when another one was dropped in its place
    (which has a notice of its own), and for the notice of a replacement itself."""
    with aws_errors("S3"):
        found = _find(notice.bucket, notice.key, notice.version)
        by_version = found is not None
        if found is None and notice.version:
            found = _find(notice.bucket, notice.key, None)
        if found is None:
            return None
        is_replaced = found["Metadata"].get(MARK) == _mark(notice.key)
        if found["ETag"].strip('"') == notice.etag if is_replaced else not by_version:
            return None
        size = found["ContentLength"]
        content = found["Body"].read() if size <= MOST_BYTES else None
    taken_by = found["Metadata"].get(RUN) if is_replaced else None
    version, modified = found.get("VersionId"), found["LastModified"].isoformat()
    return RequestFile(notice.bucket, notice.key, version, found["ETag"], modified, size, content, taken_by)


def replace(file: RequestFile, document: Any, run_id: str) -> None:
    """Puts what may be kept in the file's place, and deletes the versions before it.

    A file that was dropped anew meanwhile is left to its own notice; only the version that was read goes.
    """
    with aws_errors("S3"):
        kept = _put(file, json.dumps(document, indent=2), run_id)
        _delete_others(file, kept)


def _find(bucket: str, key: str, version: str | None) -> dict[str, Any] | None:
    try:
        return client("s3").get_object(Bucket=bucket, Key=key, **({"VersionId": version} if version else {}))
    except ClientError as error:
        if error_code(error) in VERSION_GONE:
            return None
        raise


def _put(file: RequestFile, text: str, run_id: str) -> str | None:
    """The version that it became ('' in a bucket without versions); None where the file is not what it was."""
    try:
        written = client("s3").put_object(
            Bucket=file.bucket,
            Key=file.key,
            Body=text.encode(),
            ContentType="application/json",
            Metadata={MARK: _mark(file.key), RUN: run_id},
            IfMatch=file.etag,
        )
    except ClientError as error:
        if error_code(error) not in ("PreconditionFailed", "412", *VERSION_GONE):
            raise
        return None
    return written.get("VersionId", "")


def _delete_others(file: RequestFile, kept: str | None) -> None:
    s3 = client("s3")
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=file.bucket, Prefix=file.key)
    versions = [one for page in pages for one in page.get("Versions", []) if one["Key"] == file.key]
    for version in versions:
        is_read = version["VersionId"] == (file.version or "null") and version["ETag"] == file.etag
        if version["VersionId"] != kept if kept else kept is None and is_read:
            s3.delete_object(Bucket=file.bucket, Key=file.key, VersionId=version["VersionId"])


def _mark(key: str) -> str:
    """Bound to the key, so that a copy of the replacement under another name is a request of its own."""
    return hashlib.sha256(key.encode()).hexdigest()[:16]
