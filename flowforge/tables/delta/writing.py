"""The commits of a Delta table's handle: each goes through on the very version that was read, or raises Moved.

delta-rs rebases a commit that met another one of its own accord where it thinks that they do not touch; here nothing is rebased:
what was read is what is committed on.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from arro3.core import RecordBatch, RecordBatchReader, Table
from deltalake import (
    CommitProperties,
    DeltaTable,
    PostCommitHookProperties,
    Schema,
    TableFeatures,
    Transaction,
    write_deltalake,
)
from deltalake.exceptions import CommitFailedError
from deltalake.transaction import AddAction, RemoveAction

from flowforge.engines.base import ArrowStream
from flowforge.tables.base import Commit, Moved, NewFile
from flowforge.tables.delta.statistics import delta_statistics

FEW_BYTES = 8 * 2**20  # in memory; more goes to S3 while it is made
NO_CLEANUP = PostCommitHookProperties(cleanup_expired_logs=False)  # it lists the log after each commit; upkeep does it


class Writes(DeltaTable):
    """A handle that commits."""

    is_copied = False  # whether the handle is on a copy of the log

    @property
    def uri(self) -> str:
        """Where the table is, without a slash at the end."""
        return self.table_uri.rstrip("/")

    def reach_store(self) -> None:
        """Has what follows read and write the table where it is, and not a copy of its log."""

    def settle(self, version: int) -> None:
        """Makes the commit that was made last one of the table, where it was made on a copy. Raises Moved."""

    def swap(self, removed: Iterable[str], added: Iterable[NewFile], commit: Commit, changes_rows: bool = True) -> None:
        """Commits that files go (paths below the table) and others come; either may be none. The handle stays as it is."""
        now = int(time.time() * 1000)
        actions = [
            *(RemoveAction(path, changes_rows, now) for path in removed),
            *(_add_action(file, now, changes_rows) for file in added),
        ]
        self._commit_actions(actions, "append", self.schema(), commit)

    def replace_files(self, added: Iterable[NewFile], columns: ArrowStream, commit: Commit) -> None:
        """Commits that these are all files of the table, in these columns. The handle stays as it is."""
        now = int(time.time() * 1000)
        schema = Schema.from_arrow(RecordBatchReader.from_arrow(columns).schema)
        self._commit_actions([_add_action(file, now, True) for file in added], "overwrite", schema, commit)

    def append(self, rows: ArrowStream, commit: Commit, new_columns: bool = False) -> None:
        """Commits rows; with `new_columns` they may have some that the table lacks."""
        self.reach_store()
        with _moved():
            write_deltalake(
                self,
                rows,
                mode="append",
                schema_mode="merge" if new_columns else None,
                commit_properties=properties_of(commit),
                post_commithook_properties=NO_CLEANUP,
            )

    def overwrite(self, rows: ArrowStream, commit: Commit) -> None:
        """Commits rows and their columns in place of all that is there. `rows` may be read twice."""
        few = _few(rows) if self.is_copied else None
        if few is None:
            self.reach_store()
        with _moved():
            write_deltalake(
                self,
                rows if few is None else few,
                mode="overwrite",
                schema_mode="overwrite",
                commit_properties=properties_of(commit),
                post_commithook_properties=NO_CLEANUP,
            )
        self.settle(self.version())

    def apply_rows(
        self, rows: ArrowStream, same: str, removed: str, commit: Commit, values: Mapping[str, str] | None = None
    ) -> int:
        """Commits what rows `s` do to the table's rows `t` that they meet by `same`; see `LakeTable`. delta-rs makes no version
        where nothing changes."""
        self.reach_store()
        merge = self.merge(
            rows,
            same,
            source_alias="s",
            target_alias="t",
            streamed_exec=False,
            commit_properties=properties_of(commit),
            post_commithook_properties=NO_CLEANUP,
        ).when_matched_delete(predicate=removed)
        if values is not None:
            merge = merge.when_matched_update(dict(values), predicate=f"NOT ({removed})")
            merge = merge.when_not_matched_insert(dict(values), predicate=f"NOT ({removed})")
        with _moved():
            return merge.execute()["num_target_rows_deleted"]

    def add_columns(self, columns: ArrowStream, commit: Commit) -> None:
        """Commits new columns, NULL in every row."""
        self.reach_store()
        fields = Schema.from_arrow(RecordBatchReader.from_arrow(columns).schema).fields
        with _moved():
            self.alter.add_columns(fields, commit_properties=properties_of(commit))

    def set_properties(self, properties: Mapping[str, str], commit: Commit) -> None:
        """Commits table properties; the others stay."""
        self.reach_store()
        with _moved():
            self.alter.set_table_properties(
                dict(properties), raise_if_not_exists=False, commit_properties=properties_of(commit)
            )

    def allow_naive_timestamps(self) -> None:
        """Adds the table feature timestampNtz: delta-rs adds such a column without it, and the table could never be opened
        again."""
        if "timestampNtz" not in (self.protocol().reader_features or []):
            self.reach_store()
            with _moved():
                self.alter.add_feature(TableFeatures.TimestampWithoutTimezone, allow_protocol_versions_increase=True)

    def new_file(
        self, uri: str, rows: int, size: int, types: Mapping[str, str], statistics: Mapping[str, Mapping[str, str]]
    ) -> NewFile:
        """A file that DuckDB has written below the table, with statistics as the log has them."""
        return NewFile(uri.removeprefix(f"{self.uri}/"), rows, size, delta_statistics(rows, types, statistics))

    def _commit_actions(self, actions: list[Any], mode: Any, schema: Schema, commit: Commit) -> None:
        with _moved():
            self.create_write_transaction(
                actions, mode, schema, commit_properties=properties_of(commit), post_commithook_properties=NO_CLEANUP
            )
        self.settle(self.version() + 1)


def properties_of(commit: Commit) -> CommitProperties:
    """The same for delta-rs: a commit that fails on any other in between."""
    return CommitProperties(
        app_transactions=[Transaction(app_id, version) for app_id, version in commit.transactions.items()],
        custom_metadata=dict(commit.info) or None,
        max_commit_retries=0,
    )


def _few(rows: ArrowStream) -> Table | None:
    """The rows where they are few, to be written in this process's folder first; None where they are many."""
    reader = RecordBatchReader.from_arrow(rows)
    batches, size = list[RecordBatch](), 0
    for batch in reader:
        size += batch.nbytes
        if size > FEW_BYTES:
            return None
        batches.append(batch)
    return Table.from_batches(batches, schema=reader.schema)


def _add_action(file: NewFile, now: int, changes_rows: bool) -> AddAction:
    return AddAction(file.path, file.size, {}, now, changes_rows, file.statistics)


@contextmanager
def _moved() -> Iterator[None]:
    try:
        yield
    except CommitFailedError as error:
        raise Moved from error
