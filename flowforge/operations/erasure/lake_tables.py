# ruff: noqa: S608 - SQL text of quoted names
"""A lake table without the rows of the person: in its newest version, and in no earlier one, since there is none any more.

Guarantees: rows go in one commit, on the very version that was read. Earlier versions go after it: files that they needed, and
their entries of the log, whose statistics tell least and greatest values. A file that is in no version and was written within
the last hour is left: it may be somebody's who is about to commit. Names of the log's entries of that hour stay taken, so that
who commits on an earlier version finds that it has moved.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from flowforge.aws.clients import aws_errors, client
from flowforge.domain.given import given
from flowforge.engines.base import Session
from flowforge.engines.registry import ENGINE
from flowforge.operations.erasure.bronze_objects import keys_below, rows_in
from flowforge.operations.erasure.subject import Subject
from flowforge.tables.base import UPKEEP, LakeTable, once
from flowforge.tables.delta.log import erased_entry
from flowforge.tables.lake import commit, open_table
from flowforge.tables.rows import PLACED_FILE, column_types, rows_in_place, rows_query, write_files

UNCOMMITTED_HOURS = 1  # longer than a function runs
ERASED = "flowforge.erased"  # in a commit's metadata: how many rows went

Listed = list[dict[str, Any]]  # objects, as a listing tells of them


@dataclass(frozen=True)
class Held:
    """What data objects below a table hold: rows of the person in its newest version, and in objects of earlier ones or of none.

    `objects` are all, `earlier` those not in the newest version, `entries` the log's that are older than it. `unknown`: the table
    has not the columns of the key.
    """

    objects: int
    earlier: int
    rows: int
    holding: int
    earlier_rows: int
    earlier_holding: int
    entries: int
    unread: int = 0
    unknown: bool = False


def held_by(session: Session, subject: Subject, bucket: str, uri: str) -> Held | None:
    """Looks through all data objects below a table, of whatever version; None where there is no table."""
    table = open_table(uri)
    if table is None:
        return None
    uris, log = _objects_below(bucket, uri)
    now = set(table.file_uris())
    found, unread, _ = rows_in(session, subject, uris)
    current = {file: rows for file, rows in found.items() if file in now}
    unknown = not set(subject.types) <= set(table.column_words())
    return Held(
        objects=len(uris),
        earlier=len(set(uris) - now),
        rows=sum(current.values()),
        holding=len(current),
        earlier_rows=sum(found.values()) - sum(current.values()),
        earlier_holding=len(found) - len(current),
        entries=len(_telling(_older_entries(log, table.version()))),
        unread=len(unread),
        unknown=unknown,
    )


def erase_rows(name: str, uri: str, subject: Subject) -> int:
    """Takes the person's rows out of the newest version; returns how many."""

    def attempt() -> int:
        table = open_table(uri)
        if table is None:
            return 0
        with ENGINE.session() as session:
            subject.prepare(session)
            return _erase(session, table, subject)

    return commit(name, attempt)


def _erase(session: Session, table: LakeTable, subject: Subject) -> int:
    condition = subject.condition(column_types(session, table))
    return 0 if condition is None else swap_rows(session, table, condition)


def swap_rows(session: Session, table: LakeTable, condition: str) -> int:
    """Takes the rows out for which the condition is true, in one commit; returns how many. Other files stay as they are."""
    files = table.file_uris()
    if not files:
        return 0
    _, placed = rows_in_place(session, files)
    counted = f"SELECT {PLACED_FILE}, count(*) FROM {placed} WHERE {condition} GROUP BY 1"
    found = {files[index]: rows for index, rows in session.execute(counted).fetchall()}
    if not found:
        return 0
    rows = rows_query(session, table, list(found))
    new = write_files(session, table, f"SELECT * FROM ({rows}) WHERE NOT coalesce({condition}, false)")
    paths = {f"{table.uri}/{one.path}": one.path for one in table.data_files()}
    gone = sum(found.values())
    table.swap([paths[file] for file in found], new, once(metadata={ERASED: str(gone)}))
    return gone


def forget_versions(name: str, bucket: str, uri: str) -> int:
    """Makes the newest version the only one; returns how many objects went."""

    def attempt() -> tuple[int, int]:
        table = given(open_table(uri))
        gone = table.vacuum_files(0, {UPKEEP: "vacuum"}, replaced_only=True)
        table = given(open_table(uri))
        gone += table.vacuum_files(UNCOMMITTED_HOURS, {UPKEEP: "vacuum"})
        table = given(open_table(uri))
        if _is_alone(bucket, uri, table):
            return gone, table.version()
        table.swap([], [], once(metadata={UPKEEP: "erasure"}), changes_rows=False)
        table = given(open_table(uri))
        table.checkpoint(0, {UPKEEP: "checkpoints"})
        return gone, table.version()

    if open_table(uri) is None:
        return 0
    gone, version = commit(name, attempt)
    _, log = _objects_below(bucket, uri)
    return gone + _forget_entries(bucket, log, version)


def _forget_entries(bucket: str, log: Listed, version: int) -> int:
    """Leaves nothing in the log of what is older than a version; returns how many entries told something. Their names are put
    out of use as long as a worker may have opened the table before: the next commit's name must not be free."""
    older, young = _older_entries(log, version), datetime.now(UTC) - timedelta(hours=UNCOMMITTED_HOURS)
    taken = {one["Key"] for one in older if one["LastModified"] >= young and one["Key"].endswith(".json")}
    gone = [{"Key": one["Key"]} for one in older if one["Key"] not in taken]
    told = [one["Key"] for one in _telling(older)]
    with aws_errors("S3"):
        for key in taken.intersection(told):
            client("s3").put_object(Bucket=bucket, Key=key, Body=erased_entry())
        for start in range(0, len(gone), 1000):
            client("s3").delete_objects(Bucket=bucket, Delete={"Objects": gone[start : start + 1000], "Quiet": True})
    return len(told)


def _is_alone(bucket: str, uri: str, table: LakeTable) -> bool:
    """Whether an erasure has made the newest version, and nothing is left of those before."""
    told = table.commit_of(table.version())
    _, log = _objects_below(bucket, uri)
    is_last = told is not None and told.info.get(UPKEEP) == "erasure"
    return is_last and not _telling(_older_entries(log, table.version()))


def _objects_below(bucket: str, uri: str) -> tuple[list[str], Listed]:
    """The data objects below a table as addresses, and the objects of its log as they are listed."""
    prefix = uri.removeprefix(f"s3://{bucket}/") + "/"
    found = list(keys_below(bucket, prefix))
    log = [one for one in found if one["Key"].startswith(f"{prefix}_delta_log/")]
    keys = [one["Key"] for one in found if "/_delta_log/" not in one["Key"]]
    return [f"s3://{bucket}/{key}" for key in keys if key.endswith(".parquet")], log


def _older_entries(log: Listed, version: int) -> Listed:
    """Entries and checkpoints of the log of versions before this one."""
    names = [(one, one["Key"].rpartition("/")[2].partition(".")[0]) for one in log]
    return [one for one, name in names if name.isdecimal() and int(name) < version]


def _telling(log: Iterable[dict[str, Any]]) -> Listed:
    """Those but for the entries that an erasure has emptied."""
    return [one for one in log if one["Size"] != len(erased_entry())]
