"""The entries of a Delta table's log, as S3 has them: what a commit tells, and which commits there are."""

import json
from typing import Any, NamedTuple

from flowforge.aws.clients import aws_errors, client
from flowforge.aws.objects import find_object
from flowforge.tables.base import Commit

TOLD = (b'"commitInfo"', b'"txn"', b'"add"')
DIGITS = 20  # of a version in the name of its entry


class LogEntry(NamedTuple):
    """One commit: `added` are the paths of its files as the log writes them; `etag` is that of its object."""

    commit: Commit
    added: frozenset[str]
    etag: str


def read_entry(uri: str, version: int) -> LogEntry | None:
    """One commit of a table's log; None where its log was cleaned up. Raises StoreUnavailable."""
    bucket, log = _place(uri)
    found = find_object(bucket, f"{log}{version:0{DIGITS}}.json")
    if found is None:
        return None
    info: dict[str, Any] = {}
    transactions: dict[str, int] = {}
    added: set[str] = set()
    for line in found.body.splitlines():
        entry = json.loads(line) if any(word in line for word in TOLD) else {}
        info = entry.get("commitInfo", info)
        if "txn" in entry:
            transactions[entry["txn"]["appId"]] = entry["txn"]["version"]
        if "add" in entry:
            added.add(entry["add"]["path"])
    return LogEntry(Commit(info, transactions), frozenset(added), found.etag)


def etags_from(uri: str, version: int) -> dict[int, str]:
    """The ETags of the log's commits from a version on, the next thousand at most. Raises StoreUnavailable."""
    bucket, log = _place(uri)
    start = f"{log}{version:0{DIGITS}}.j"  # behind a checkpoint of that version, before its commit
    with aws_errors("s3"):
        found = client("s3").list_objects_v2(Bucket=bucket, Prefix=log, StartAfter=start)
    names = {item["Key"].removeprefix(log): item["ETag"] for item in found.get("Contents", [])}
    return {int(name[:DIGITS]): etag for name, etag in names.items() if _is_commit(name)}


def _is_commit(name: str) -> bool:
    return name[:DIGITS].isdigit() and name[DIGITS:] == ".json"


def _place(uri: str) -> tuple[str, str]:
    bucket, _, prefix = uri.removeprefix("s3://").rstrip("/").partition("/")
    return bucket, f"{prefix}/_delta_log/"
