"""The entries of a Delta table's log, as S3 has them: what a commit tells, and which objects there are.

An erasure leaves no earlier version. Where entries go, a writer that has opened the table before would find the next version's
name free, and its commit would be made below the newest one and seen by nobody. So names of young entries stay taken, by
entries that tell nothing (`erased_entry`).
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote

from flowforge.aws.clients import aws_errors, client
from flowforge.aws.objects import FoundObject, find_object, place_of
from flowforge.tables.base import Commit

TOLD = (b'"commitInfo"', b'"txn"', b'"add"')
DIGITS = 20  # of a version in the name of its entry
CHECKPOINT_COMMITS = 10  # from one checkpoint to the next; delta-rs' own is 100, and an open reads each entry since
ERASED = "ERASED"  # the operation of an entry that only keeps its name taken


class LogEntry(NamedTuple):
    """One commit: `added` are the paths of its files as the log writes them; `etag` is that of its object."""

    commit: Commit
    added: frozenset[str]
    etag: str


class ToldTransactions:
    """What a log was asked of its application transactions. delta-rs reads all of the log for each, 2 ms of CPU; here commits are
    looked at that have come since it was asked."""

    def __init__(self) -> None:
        self._told: dict[str, tuple[int, int | None]] = {}  # by application id, as of a commit

    def version_of(
        self,
        app_id: str,
        version: int,
        named_by: Callable[[int], Mapping[str, int] | None],
        ask: Callable[[str], int | None],
    ) -> int | None:
        """The transaction's version as of a version of the table. `named_by` tells what a commit names, None where that is not
        known; then, and the first time, `ask` is asked."""
        since, found = self._told.get(app_id, (version + 1, None))
        later = [named_by(one) for one in range(version, since, -1)]
        named = [one for one in later if one is not None]
        if since > version or len(named) < len(later):
            found = ask(app_id)
        else:
            found = next((one[app_id] for one in named if app_id in one), found)
        if version >= since or app_id not in self._told:
            self._told[app_id] = version, found
        return found


class Listed(NamedTuple):
    """An object of a log."""

    etag: str
    size: int


class Listing(NamedTuple):
    """Objects of a log by their names below it, in order; `whole` is false where there are more."""

    objects: Mapping[str, Listed]
    whole: bool

    def commits(self) -> dict[int, str]:
        """The ETags of the commits among them, by version."""
        return {int(name[:DIGITS]): found.etag for name, found in self.objects.items() if _is_commit(name)}


def read_entry(uri: str, version: int) -> LogEntry | None:
    """One commit of a table's log; None where its log was cleaned up or erased. Raises StoreUnavailable."""
    bucket, log = place_of_log(uri)
    found = find_object(bucket, f"{log}{commit_name(version)}")
    entry = None if found is None else entry_of(found)
    return None if entry is None or entry.commit.info.get("operation") == ERASED else entry


def erased_entry() -> bytes:
    """What takes the place of an entry that is erased; shorter than any commit, and always as long."""
    return b'{"commitInfo":{"timestamp":%013d,"operation":"%s"}}' % (time.time() * 1000, ERASED.encode())


def entry_of(found: FoundObject) -> LogEntry:
    """What an object of the log tells."""
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


def commits_from(uri: str, version: int) -> Listing:
    """The log's objects from the commit of a version on, the next thousand at most. Raises StoreUnavailable."""
    return list_log(uri, f"{version:0{DIGITS}}.j")  # behind a checkpoint of that version, before its commit


def list_log(uri: str, after: str = "", most: int = 1_000) -> Listing:
    """The log's objects whose names come after `after`, the next ones up to `most`. Raises StoreUnavailable."""
    bucket, log = place_of_log(uri)
    with aws_errors("s3"):
        found = client("s3").list_objects_v2(Bucket=bucket, Prefix=log, StartAfter=f"{log}{after}", MaxKeys=most)
    items = found.get("Contents", [])
    objects = {item["Key"].removeprefix(log): Listed(item["ETag"], item["Size"]) for item in items}
    return Listing(objects, not found.get("IsTruncated"))


def commit_name(version: int) -> str:
    """The name of a version's commit below the log."""
    return f"{version:0{DIGITS}}.json"


def place_of_log(uri: str) -> tuple[str, str]:
    """The bucket of a table's log, and what the keys of its objects begin with."""
    bucket, prefix = place_of(uri)
    return bucket, f"{prefix}/_delta_log/"


def files_of(commit: bytes) -> Iterator[str]:
    """The data files that a commit adds, as paths below the table."""
    for line in commit.splitlines():
        if line.startswith(b'{"add"'):
            yield unquote(json.loads(line)["add"]["path"])


def _is_commit(name: str) -> bool:
    return name[:DIGITS].isdigit() and name[DIGITS:] == ".json"
