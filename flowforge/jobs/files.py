"""Request files in the bucket: read with what identifies their delivery, replaced by a copy without the password."""

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from flowforge.cloud.clients import client, error_code, unavailable

MARK, RUN = "flowforge-redacted", "flowforge-run"
MOST_BYTES = 4 * 2**20  # a job request is a page of JSON
_PASSWORD = re.compile(r'("password"\s*:\s*)"(?:[^"\\]|\\.)*"')


@dataclass(frozen=True)
class RequestFile:
    """One version of a dropped file."""

    bucket: str
    key: str
    version: str | None
    etag: str
    modified: str
    text: str


def read_request_file(bucket: str, key: str, version: str | None) -> RequestFile | None:
    """The file; None when it is gone, or is the redacted copy of a request that was taken already."""
    try:
        found = client("s3").get_object(Bucket=bucket, Key=key, **({"VersionId": version} if version else {}))
        if found["Metadata"].get(MARK) == _mark(key):
            return None
        text = found["Body"].read(MOST_BYTES).decode("utf-8-sig", errors="replace")
    except ClientError as error:
        if error_code(error) in ("NoSuchKey", "NoSuchVersion", "404", "MethodNotAllowed"):
            return None
        raise unavailable("S3", error) from error
    except BotoCoreError as error:
        raise unavailable("S3", error) from error
    return RequestFile(bucket, key, version, found["ETag"], found["LastModified"].isoformat(), text)


def replace_by_redacted(file: RequestFile, run_id: str, redact: Callable[[Any], None]) -> None:
    """Replaces a file that holds a password by a copy without it, and deletes the versions that held it.

    A file that was dropped anew meanwhile is left to its own event; only the version that was read goes.
    """
    text = _redacted_text(file.text, redact)
    if text == file.text:
        return
    try:
        kept = _put_copy(file, text, run_id)
        _delete_older_versions(file, kept)
    except (ClientError, BotoCoreError) as error:
        raise unavailable("S3", error) from error


def _redacted_text(text: str, redact: Callable[[Any], None]) -> str:
    if '"password"' not in text:
        return text
    try:
        document = json.loads(text)
    except ValueError:
        return _PASSWORD.sub(r'\1"***"', text)
    redact(document)
    return _PASSWORD.sub(r'\1"***"', json.dumps(document, indent=2, ensure_ascii=False))


def _put_copy(file: RequestFile, text: str, run_id: str) -> str | None:
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
        if error_code(error) not in ("PreconditionFailed", "412"):
            raise
        return None
    return written.get("VersionId")


def _delete_older_versions(file: RequestFile, kept: str | None) -> None:
    s3 = client("s3")
    if kept is None:
        if file.version:
            s3.delete_object(Bucket=file.bucket, Key=file.key, VersionId=file.version)
        return
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=file.bucket, Prefix=file.key)
    for page in pages:
        for version in page.get("Versions", []):
            if version["Key"] == file.key and version["VersionId"] != kept:
                s3.delete_object(Bucket=file.bucket, Key=file.key, VersionId=version["VersionId"])


def _mark(key: str) -> str:
    """Bound to the key, so that a copy of the redacted file under another name is a request of its own."""
    return hashlib.sha256(key.encode()).hexdigest()[:16]
