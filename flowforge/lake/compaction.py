"""Compaction: the small files of a Delta table become few large ones, in one commit that changes no row.

delta-rs' own `optimize.compact` is not used: of two that run at once both go through (1.6.6), each adds its file, and every row
is there twice. Here the new files are written beside the table, and one commit swaps them for the old ones on the very version
that was read; any other commit in between (a merge, another compaction) makes it fail, and it starts again from what is there
then.

Guarantees: rows, columns and types stay; so do file statistics, by which merges prune. Files of a commit that failed belong to
nobody and go with the next vacuum.
"""

import json
import time
import uuid

from deltalake import DeltaTable, write_deltalake
from deltalake.transaction import AddAction, RemoveAction

from flowforge.cloud.clients import client
from flowforge.lake.storage import duckdb_connection, storage_options
from flowforge.lake.tables import UPKEEP, commit, once, open_table, relation_of_files

TARGET_BYTES = 128 * 1024 * 1024
SMALL_BYTES = TARGET_BYTES // 4
MOST_BYTES = 1024 * 1024 * 1024  # rewritten by one commit: an attempt that loses is not long


def small_files(table: DeltaTable) -> dict[str, int]:
    """The files that are worth merging with others: path below the table -> bytes."""
    actions = table.get_add_actions(flatten=True)
    sizes = zip(actions["path"].to_pylist(), actions["size_bytes"].to_pylist(), strict=True)
    return {path: size for path, size in sizes if size < SMALL_BYTES}


def compact(name: str, uri: str, least_files: int) -> int:
    """Merges the small files of a table, if it has at least `least_files` of them; returns how many went.

    Raises StoreUnavailable when S3 fails or the table is too busy.
    """

    def attempt() -> int:
        table = open_table(uri)
        chosen = _at_most(small_files(table)) if table is not None else {}
        if len(chosen) < max(2, least_files):
            return 0
        _swap(table, uri, list(chosen))
        return len(chosen)

    return commit(name, attempt)


def _at_most(files: dict[str, int]) -> dict[str, int]:
    chosen, total = {}, 0
    for path, size in files.items():
        if total + size > MOST_BYTES:
            break
        chosen[path], total = size, total + size
    return chosen


def _swap(table: DeltaTable, uri: str, old: list[str]) -> None:
    folder = f"compacted-{uuid.uuid4().hex}"
    written = _write(table, uri, folder, old)
    now = int(time.time() * 1000)
    gone = [RemoveAction(path, False, now) for path in old]
    new = [
        AddAction(f"{folder}/{add['path']}", add["size"], {}, add["modificationTime"], False, add["stats"])
        for add in written
    ]
    properties = once(metadata={UPKEEP: "compaction"})
    table.create_write_transaction([*gone, *new], "append", table.schema(), commit_properties=properties)


def _write(table: DeltaTable, uri: str, folder: str, old: list[str]) -> list[dict]:
    """Writes the rows of the `old` files below `folder`, as a table that nobody reads; returns the log's entries of its files."""
    with duckdb_connection() as connection:
        rows = relation_of_files(connection, table, [f"{uri}/{path}" for path in old])
        write_deltalake(
            f"{uri}/{folder}", rows, mode="error", target_file_size=TARGET_BYTES, storage_options=storage_options()
        )
    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    key = f"{prefix}/{folder}/_delta_log/{0:020}.json"
    lines = client("s3").get_object(Bucket=bucket, Key=key)["Body"].read().splitlines()
    client("s3").delete_object(Bucket=bucket, Key=key)
    return [entry["add"] for entry in map(json.loads, lines) if "add" in entry]
