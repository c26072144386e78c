"""Upkeep of one Delta table: small files are merged, files that no version needs any more are deleted, the log gets a checkpoint.

Guarantees: no row changes; no version younger than the retention loses a file, so that a run, a reader or a time travel that
began within it finds what it needs. The retention is longer than the longest run (a function's 15 minutes), which also protects
files that are written and not yet committed. Batch marks stay: a batch that comes again after the upkeep is still known. Every
step may be repeated, and may run beside merges and other upkeep.
"""

import time
from dataclasses import dataclass

from flowforge.aws.clients import aws_errors, client
from flowforge.aws.objects import place_of
from flowforge.domain.errors import QueryRefused
from flowforge.domain.given import given
from flowforge.domain.names import TableName
from flowforge.operations.query import no_table, tables_present
from flowforge.tables.base import UPKEEP, LakeTable
from flowforge.tables.compaction import compact, small_files
from flowforge.tables.lake import commit, open_table, store_errors, table_uri

LAYERS = ("silver", "gold", "quarantine")
LEAST_RETENTION_HOURS = 24
CHECKPOINT_COMMITS = 20  # for tables whose commits write a checkpoint less often than that


@dataclass(frozen=True)
class Files:
    """A table's files as of one version; `objects` counts all data objects below the table, those of older versions too."""

    files: int
    small: int
    bytes: int
    objects: int


@dataclass(frozen=True)
class Upkeep:
    """What was done to one table."""

    table: str
    before: Files
    after: Files
    compacted: int
    deleted: int
    checkpoint: bool
    seconds: float


def maintain(name: TableName, bucket: str, retention_hours: int, least_files: int = 2) -> Upkeep:
    """Keeps one table in order; files are merged where at least `least_files` are small.

    Raises NotFound when there is no such table, QueryRefused for a retention below 24 hours, StoreUnavailable when S3 fails or
    the table is too busy.
    """
    if retention_hours < LEAST_RETENTION_HOURS:
        raise QueryRefused(
            f"{name}: a retention of {retention_hours} h is too short",
            f"keep at least {LEAST_RETENTION_HOURS} h: longer than any run or reader that still needs old files",
        )
    return tidy(name, bucket, retention_hours, least_files)


def maintained_tables(bucket: str) -> list[TableName]:
    """The tables of the lake that upkeep is for."""
    return [name for name in tables_present(bucket) if name.layer in LAYERS]


def tidy(name: TableName, bucket: str, retention_hours: int, least_files: int = 2) -> Upkeep:
    """`maintain` without a lower bound of the retention: for a table that nobody else reads or writes."""
    started = time.monotonic()
    uri = table_uri(bucket, name.layer, name.table)
    table = open_table(uri)
    if table is None:
        raise no_table(name, bucket)
    before = _files(table, uri)
    compacted = compact(str(name), uri, least_files)
    with store_errors(str(name)):
        table = given(open_table(uri))
        deleted = table.vacuum_files(retention_hours, {UPKEEP: "vacuum"})
    checkpoint, table = commit(str(name), lambda: _with_short_log(uri))
    seconds = round(time.monotonic() - started, 3)
    return Upkeep(str(name), before, _files(table, uri), compacted, deleted, checkpoint, seconds)


def _with_short_log(uri: str) -> tuple[bool, LakeTable]:
    table = given(open_table(uri))
    return table.checkpoint(CHECKPOINT_COMMITS, {UPKEEP: "checkpoints"}), table


def _files(table: LakeTable, uri: str) -> Files:
    sizes = [file.size for file in table.data_files()]
    return Files(len(sizes), len(small_files(table)), sum(sizes), _objects(uri))


def _objects(uri: str) -> int:
    bucket, prefix = place_of(uri)
    with aws_errors("s3"):
        pages = client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/")
        return sum(item["Key"].endswith(".parquet") and "/_delta_log/" not in item["Key"]
                   for page in pages for item in page.get("Contents", []))  # fmt: skip
