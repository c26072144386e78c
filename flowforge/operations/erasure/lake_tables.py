# ruff: noqa: S608 - SQL text of quoted names
"""A lake table without the rows of the person: in its newest version, and in no earlier one, since there is none any more.

Guarantees: rows go in one commit, on the very version that was read. Earlier versions go after it: files that they needed, and
their entries of the log, whose statistics tell least and greatest values. A file that is in no version and was written within
the last hour is left: it may be somebody's who is about to commit.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from flowforge.aws.clients import aws_errors, client
from flowforge.domain.given import given
from flowforge.engines.base import Session
from flowforge.engines.registry import ENGINE
from flowforge.operations.erasure.bronze_objects import keys_below, rows_in
from flowforge.operations.erasure.subject import Subject
from flowforge.tables.base import UPKEEP, LakeTable, once
from flowforge.tables.lake import commit, open_table
from flowforge.tables.rows import PLACED_FILE, column_types, rows_in_place, rows_query, write_files

UNCOMMITTED_HOURS = 1  # longer than a function runs
ERASED = "flowforge.erased"  # in a commit's metadata: how many rows went


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
        entries=len(_older_entries(log, table.version())),
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
    older = _older_entries(log, version)
    with aws_errors("S3"):
        for start in range(0, len(older), 1000):
            entries = [{"Key": key} for key in older[start : start + 1000]]
            client("s3").delete_objects(Bucket=bucket, Delete={"Objects": entries, "Quiet": True})
    return gone + len(older)


def _is_alone(bucket: str, uri: str, table: LakeTable) -> bool:
    """Whether an erasure has made the newest version, and nothing is left of those before."""
    told = table.commit_of(table.version())
    _, log = _objects_below(bucket, uri)
    return told is not None and told.info.get(UPKEEP) == "erasure" and not _older_entries(log, table.version())


def _objects_below(bucket: str, uri: str) -> tuple[list[str], list[str]]:
    """The data objects below a table as addresses, and the keys of its log."""
    prefix = uri.removeprefix(f"s3://{bucket}/") + "/"
    keys = [one["Key"] for one in keys_below(bucket, prefix)]
    log = [key for key in keys if key.startswith(f"{prefix}_delta_log/")]
    data = [f"s3://{bucket}/{key}" for key in keys if key.endswith(".parquet") and "/_delta_log/" not in key]
    return data, log


def _older_entries(log: list[str], version: int) -> list[str]:
    """Entries and checkpoints of the log of versions before this one."""
    names: Mapping[str, str] = {key: key.rpartition("/")[2].partition(".")[0] for key in log}
    return [key for key, name in names.items() if name.isdecimal() and int(name) < version]
