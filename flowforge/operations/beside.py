"""A silver table that is being made beside the one it is for, in a folder of its own.

Guarantees: nothing but this folder is written, and it goes with the object; what a process left behind that died is removed a day
later by the next rebuild of the same table. Rows that were kept in quarantine the first time are kept out again, whatever the
rules say by now.
"""

import time
import uuid
from collections.abc import Callable

from botocore.exceptions import ClientError

from flowforge.aws.clients import aws_errors, client
from flowforge.domain.batch import Batch
from flowforge.domain.errors import StoreUnavailable, TransformRejected
from flowforge.silver.decisions import ACCEPTED, KEEPS_KEY, KEY, TYPES
from flowforge.silver.objects import check_objects
from flowforge.silver.refine import Target, refine
from flowforge.silver.release import RELEASED
from flowforge.tables.base import LakeTable, Moved

PREFIX = "rebuild"
LEFT_BEHIND_SECONDS = 24 * 3600
DECISIONS = (TYPES, ACCEPTED, KEEPS_KEY, KEY)

Progress = Callable[[str], None]


class TableBeside:
    """The table that is being made; a context manager, which removes it."""

    def __init__(self, bucket: str, name: str, table: LakeTable | None):
        self._bucket, self._folder = bucket, f"{PREFIX}/{name}/"
        self._own = f"{self._folder}{int(time.time())}-{uuid.uuid4().hex[:12]}/"
        self.uri = f"s3://{bucket}/{self._own.rstrip('/')}"
        self._name = name
        self._done: set[str] = set()
        self._decided = _decisions(table)
        self._target = Target(self.uri, self._decided)
        self._seen = table.version() if table is not None else -1

    def __enter__(self) -> "TableBeside":
        oldest = time.time() - LEFT_BEHIND_SECONDS
        for key in _keys(self._bucket, self._folder):
            begun = key.removeprefix(self._folder).partition("-")[0]
            if begun.isdigit() and int(begun) < oldest:
                _delete(self._bucket, [key])
        return self

    def __exit__(self, *reason: object) -> None:
        _delete(self._bucket, _keys(self._bucket, self._own))

    def follow(self, known: list[Batch], progress: Progress) -> None:
        """Applies the batches that are not yet in it, oldest first; their objects are looked at before the first one is."""
        waiting = [batch for batch in known if batch.application_id not in self._done]
        for batch in waiting:
            check_objects(batch, client("s3"))
        for number, batch in enumerate(waiting, start=1):
            progress(f"batch {number:,} of {len(waiting):,} …")
            try:
                refine(batch, self._bucket, rules=(), target=self._target)
            except TransformRejected as error:
                raise TransformRejected(f"silver.{self._name} cannot be made anew: {error}", error.remedy) from error
            self._done.add(batch.application_id)

    def become(self, uri: str) -> int:
        """Copies the table to a place that has none, data first, then its versions in order; returns the last one.

        A process that dies in between leaves a table that says of itself which batches it holds. Raises Moved when somebody else
        has made a table there.
        """
        target = uri.removeprefix(f"s3://{self._bucket}/") + "/"
        keys = _keys(self._bucket, self._own)
        log = sorted(key for key in keys if "/_delta_log/" in key and key.endswith(".json"))
        with aws_errors("S3"):
            try:
                for key in (key for key in keys if "/_delta_log/" not in key):
                    client("s3").copy(
                        {"Bucket": self._bucket, "Key": key}, self._bucket, target + key.removeprefix(self._own)
                    )
                for key in log:
                    body = client("s3").get_object(Bucket=self._bucket, Key=key)["Body"].read()
                    place = {"Bucket": self._bucket, "Key": target + key.removeprefix(self._own)}
                    client("s3").put_object(**place, Body=body, IfNoneMatch="*")
            except ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] in (409, 412):
                    raise Moved from error
                raise
        return len(log) - 1

    def check_unchanged(self, table: LakeTable | None) -> None:
        """Stops where a person has decided something, or released rows from quarantine, since the table was begun."""
        released = False
        if table is not None:
            later = range(self._seen + 1, table.version() + 1)
            released = any(RELEASED in commit.info for version in later if (commit := table.commit_of(version)))
            self._seen = table.version()
        if released or _decisions(table) != self._decided:
            what = "rows were released from quarantine" if released else "a decision about its columns was made"
            raise StoreUnavailable(f"silver.{self._name}: {what} meanwhile", "Run the command again.")


def _decisions(table: LakeTable | None) -> dict[str, str]:
    stored = table.properties() if table is not None else {}
    return {name: stored[name] for name in DECISIONS if name in stored}


def _keys(bucket: str, prefix: str) -> list[str]:
    with aws_errors("S3"):
        pages = client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return [item["Key"] for page in pages for item in page.get("Contents", [])]


def _delete(bucket: str, keys: list[str]) -> None:
    with aws_errors("S3"):
        for start in range(0, len(keys), 1000):
            entries = [{"Key": key} for key in keys[start : start + 1000]]
            client("s3").delete_objects(Bucket=bucket, Delete={"Objects": entries, "Quiet": True})
