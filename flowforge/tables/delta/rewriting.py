# ruff: noqa: S608 - SQL text of quoted names and generated paths
"""Writes data files beside a Delta table's, and swaps them for some of the table's in one commit on the version that was read.

DuckDB writes the files, not delta-rs: a stream into `write_deltalake` goes over in batches of a million rows, and neither that
nor the writer's own memory can be bounded. DuckDB holds a few row groups for each thread, and keeps to its memory limit.

Guarantees: no reader looks at a file before the commit. The commit names what goes and what comes, and fails on any other commit
in between. Files have statistics, by which merges and readers pass by. Files of a commit that failed belong to nobody and go with
the next vacuum.
"""

import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass

import duckdb
from deltalake import CommitProperties, DeltaTable, Schema
from deltalake.transaction import AddAction, RemoveAction

from flowforge.engines.duckdb.sql import identifier, literal
from flowforge.tables.delta.statistics import delta_statistics
from flowforge.tables.delta.tables import NO_CLEANUP, column_types

TARGET_BYTES = 64 * 1024 * 1024
# Longer dictionaries and bloom filters cost half of the writer's time on unique columns, and save no byte.
PARQUET = "FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, DICTIONARY_SIZE_LIMIT 10000, WRITE_BLOOM_FILTER false"


@dataclass(frozen=True)
class NewFile:
    """A data file that is in no version yet; `path` is relative to the table."""

    path: str
    rows: int
    size: int
    statistics: str


def write_files(
    connection: duckdb.DuckDBPyConnection, table: DeltaTable, query: str, types: dict[str, str] | None = None
) -> list[NewFile]:
    """Writes the rows of `query` in the table's columns and types, as files of about TARGET_BYTES; none where there is no row.

    `query` has all columns of the table. `types` are others (name -> DuckDB type), for a commit that changes the table's. Raises
    duckdb.IOException when S3 fails.
    """
    uri, types = table.table_uri.rstrip("/"), types or column_types(connection, table)
    columns = ", ".join(f"CAST({identifier(name)} AS {kind}) AS {identifier(name)}" for name, kind in types.items())
    options = f"{PARQUET}, RETURN_STATS, FILE_SIZE_BYTES {TARGET_BYTES}, OVERWRITE_OR_IGNORE"
    pattern = f"part-{uuid.uuid4().hex}-{{i}}"
    written = connection.execute(
        f"COPY (SELECT {columns} FROM ({query})) TO {literal(uri)} ({options}, FILENAME_PATTERN {literal(pattern)})"
    ).fetchall()
    return [
        NewFile(path.removeprefix(f"{uri}/"), rows, size, delta_statistics(rows, types, found))
        for path, rows, size, _, found, _ in written
        if rows
    ]


def replace_all(table: DeltaTable, new: Iterable[NewFile], schema: Schema, properties: CommitProperties) -> None:
    """Commits that `new` are the table's files, all of them, in the columns of `schema`. The handle stays as it is.

    Raises CommitFailedError when anybody else has committed since the table was opened.
    """
    now = int(time.time() * 1000)
    actions: list[AddAction | RemoveAction] = [_add_action(file, now) for file in new]
    table.create_write_transaction(
        actions, "overwrite", schema, commit_properties=properties, post_commithook_properties=NO_CLEANUP
    )


def _add_action(file: NewFile, now: int, changes_rows: bool = True) -> AddAction:
    return AddAction(file.path, file.size, {}, now, changes_rows, file.statistics)


def swap(
    table: DeltaTable,
    old: Iterable[str],
    new: Iterable[NewFile],
    properties: CommitProperties,
    changes_rows: bool = True,
) -> None:
    """Commits that the files `old` (paths below the table) are replaced by `new`; either may be none. The handle stays as it is.

    Raises CommitFailedError when anybody else has committed since the table was opened.
    """
    now = int(time.time() * 1000)
    actions = [
        *(RemoveAction(path, changes_rows, now) for path in old),
        *(_add_action(file, now, changes_rows) for file in new),
    ]
    table.create_write_transaction(
        actions, "append", table.schema(), commit_properties=properties, post_commithook_properties=NO_CLEANUP
    )
