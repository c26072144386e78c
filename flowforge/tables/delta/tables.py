# ruff: noqa: S608 - SQL text of quoted names and counted values; no cell or request text is pasted in
"""Delta tables by layer and name: open, create, read, and commit exactly once.

Guarantees: `commit` runs an attempt until its Delta commit goes through without any other commit in between (no silent
rebase: `once` allows no retry inside delta-rs), so what an attempt read on its handle is what it committed on. Two writers
that create a table at once end up with one table.
"""

import json
import random
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

import duckdb
from arro3.core import RecordBatchReader
from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties, TableFeatures, Transaction
from deltalake.exceptions import CommitFailedError, DeltaError, SchemaMismatchError, TableNotFoundError

from flowforge.aws.clients import TRY_AGAIN
from flowforge.aws.objects import find_object
from flowforge.domain.errors import StoreUnavailable, TransformRejected
from flowforge.engines.duckdb.sql import identifier, read_parquet
from flowforge.engines.duckdb.storage import storage_options

PREFIXES: dict[str, str] = {"silver": "silver", "gold": "gold", "quarantine": "silver/_quarantine"}
UPKEEP = "flowforge.upkeep"  # in the metadata of a commit that changes no row
UPKEEP_OPERATIONS = ("OPTIMIZE", "VACUUM START", "VACUUM END")
UPKEEP_COMMITS = 50  # that are looked through, at most, for the last commit that changed rows
NO_CLEANUP = PostCommitHookProperties(cleanup_expired_logs=False)  # it lists the log after each commit; upkeep does it
ATTEMPTS = 12
LONGEST_PAUSE_SECONDS = 2.0

T = TypeVar("T")


class Moved(Exception):
    """An attempt saw that somebody else was faster: reload, look again, recompute."""


class Handle(DeltaTable):
    """A table as of one version, that remembers what it was asked: delta-rs reads the log after the last checkpoint anew for
    every application transaction, and what is asked for most stands in the newest commit."""

    def __init__(self, table_uri: str, **options: Any):
        super().__init__(table_uri, **options)
        self._asked: dict[tuple[int | None, str], int | None] = {}
        self.empty_version: int | None = None  # one that is known to have no transactions
        self._commits: dict[int, Commit | None] = {}

    def transaction_version(self, app_id: str) -> int | None:
        """The version of an application transaction as of the handle's version."""
        if self.version() == self.empty_version:
            return None
        asked = (self.version(), app_id)
        if asked not in self._asked:
            newest = self.in_newest_commit(app_id)
            self._asked[asked] = super().transaction_version(app_id) if newest is None else newest
        return self._asked[asked]

    def in_newest_commit(self, app_id: str) -> int | None:
        """The same where the commit that made the handle's version names it: no later one can. None where it does not."""
        version = self.version()
        try:
            found = None if version == self.empty_version else self.commit_of(version)
        except (
            StoreUnavailable
        ):  # also what S3 says of a commit that is gone, to who may not list: delta-rs is asked then
            found = None
        return found.transactions.get(app_id) if found else None

    def commit_of(self, version: int) -> "Commit | None":
        """What a version's commit holds beside files; None where its log was cleaned up."""
        if version not in self._commits:
            self._commits[version] = read_commit(self.table_uri, version)
        return self._commits[version]


class Commit(NamedTuple):
    """What a commit tells of itself, and the application transactions that it names (id -> version)."""

    info: dict[str, Any]
    transactions: dict[str, int]


def table_uri(bucket: str, layer: str, table: str) -> str:
    """Where a layer's table is; a layer is one of PREFIXES."""
    return f"s3://{bucket}/{PREFIXES[layer]}/{table}"


def open_table(uri: str, version: int | None = None) -> DeltaTable | None:
    """The table at its latest version or an earlier one, or None where there is none."""
    try:
        return Handle(uri, version=version, storage_options=storage_options())
    except TableNotFoundError:
        return None


def open_or_create(uri: str, rows: duckdb.DuckDBPyRelation, configuration: Mapping[str, str]) -> DeltaTable:
    """The table at its latest version; where there is none, an empty one with the columns of `rows` first."""
    return open_table(uri) or create_table(uri, rows, configuration)


def create_table(uri: str, rows: duckdb.DuckDBPyRelation, configuration: Mapping[str, str]) -> DeltaTable:
    """An empty table with the columns of `rows`, where a moment ago was none.

    The creation is a commit of its own, so that the first batch is applied on a handle like any other. Raises Moved when somebody
    else was faster.
    """
    schema = RecordBatchReader.from_arrow(rows.limit(0)).schema
    try:
        table = Handle.create(
            uri,
            schema,
            mode="error",
            configuration=dict(configuration),
            storage_options=storage_options(),
            raise_if_key_not_exists=False,
            commit_properties=once(),
            post_commithook_properties=NO_CLEANUP,
        )
    except DeltaError as error:
        if open_table(uri) is not None:
            raise Moved from error
        raise
    if isinstance(table, Handle):  # always: the class makes its own kind, only its signature does not say so
        table.empty_version = 0
    return table


def data_version(table: DeltaTable) -> int:
    """The handle's newest version that changed rows: compaction and vacuum make versions, too, and nothing follows from them.

    Reads the log itself: `DeltaTable.history` misnumbers its entries when somebody has committed since the handle was opened.
    """
    version = table.version()
    for earlier in range(version, max(-1, version - UPKEEP_COMMITS), -1):
        info = _info_of(table, earlier)
        if info is None:  # cleaned up behind a checkpoint
            return version
        if UPKEEP not in info and info.get("operation") not in UPKEEP_OPERATIONS:
            return earlier
    return version


def _info_of(table: DeltaTable, version: int) -> dict[str, Any] | None:
    commit = table.commit_of(version) if isinstance(table, Handle) else read_commit(table.table_uri, version)
    return commit and commit.info


def commit_info(uri: str, version: int) -> dict[str, Any] | None:
    """What a version's commit tells of itself; None where its log was cleaned up."""
    commit = read_commit(uri, version)
    return commit and commit.info


def read_commit(uri: str, version: int) -> Commit | None:
    """One commit of a table's log; None where its log was cleaned up."""
    bucket, _, prefix = uri.removeprefix("s3://").rstrip("/").partition("/")
    found = find_object(bucket, f"{prefix}/_delta_log/{version:020}.json")
    if found is None:
        return None
    info, transactions = {}, {}
    for line in found.body.splitlines():
        entry = json.loads(line) if b'"commitInfo"' in line or b'"txn"' in line else {}
        info = entry.get("commitInfo", info)
        if "txn" in entry:
            transactions[entry["txn"]["appId"]] = entry["txn"]["version"]
    return Commit(info, transactions)


def allow_naive_timestamps(table: DeltaTable, types: list[str]) -> None:
    """Adds the table feature timestampNtz where `types` need it: delta-rs adds such a column without it, and the table
    could never be opened again."""
    if "TIMESTAMP" in types and "timestampNtz" not in (table.protocol().reader_features or []):
        table.alter.add_feature(TableFeatures.TimestampWithoutTimezone, allow_protocol_versions_increase=True)


def relation(connection: duckdb.DuckDBPyConnection, table: DeltaTable) -> duckdb.DuckDBPyRelation:
    """The table's rows."""
    return connection.sql(rows_query(connection, table))


def create_view(connection: duckdb.DuckDBPyConnection, layer: str, table: str, query: str) -> None:
    """Makes a query readable as layer.table on this connection."""
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {identifier(layer)}")
    connection.execute(f"CREATE VIEW {identifier(layer)}.{identifier(table)} AS {query}")


def column_types(connection: duckdb.DuckDBPyConnection, table: DeltaTable) -> dict[str, str]:
    """The table's columns in order, with their DuckDB types."""
    empty = connection.from_arrow(RecordBatchReader.from_batches(table.schema().to_arrow(), []))
    return dict(zip(empty.columns, map(str, empty.types), strict=True))


def delta_types(table: DeltaTable) -> dict[str, str]:
    """The table's columns in order, with their types in Delta's own words (of a nested one its kind)."""
    return {field.name: field.type.type for field in table.schema().fields}


def rows_query(connection: duckdb.DuckDBPyConnection, table: DeltaTable, files: list[str] | None = None) -> str:
    """The query over the table's files of this version, or over `files` of any of its versions, with the table's columns also
    where no file has them (yet)."""
    items = [f"CAST(NULL AS {kind}) AS {identifier(name)}" for name, kind in column_types(connection, table).items()]
    query = f"SELECT {', '.join(items)} WHERE false"
    if uris := table.file_uris() if files is None else files:
        query += f" UNION ALL BY NAME SELECT * FROM {read_parquet(uris)}"
    return query


def once(transactions: Mapping[str, int] | None = None, metadata: dict[str, Any] | None = None) -> CommitProperties:
    """A commit that fails on any concurrent commit, and carries application transactions (id -> version)."""
    return CommitProperties(
        app_transactions=[Transaction(app_id, version) for app_id, version in (transactions or {}).items()],
        custom_metadata=metadata,
        max_commit_retries=0,
    )


def commit_marks(table: DeltaTable, properties: CommitProperties) -> None:
    """A commit that changes no row and carries `properties` only."""
    table.create_write_transaction(
        [], "append", table.schema(), commit_properties=properties, post_commithook_properties=NO_CLEANUP
    )


def commit(name: str, attempt: Callable[[], T]) -> T:
    """Runs `attempt` again, from its look at the table on, as long as others commit in between.

    Raises StoreUnavailable when the table is too busy; the same message may be tried later.
    """
    for number in range(ATTEMPTS):
        try:
            with store_errors(name):
                return attempt()
        except (CommitFailedError, Moved):
            time.sleep(random.uniform(0, min(LONGEST_PAUSE_SECONDS, 0.05 * 2**number)))  # noqa: S311
    raise StoreUnavailable(
        f"{name}: {ATTEMPTS} commits in a row met another writer",
        "it is tried again; give the table's loads times of their own if this persists",
    )


@contextmanager
def store_errors(name: str) -> Iterator[None]:
    """Translates what deltalake and DuckDB raise while they read and write `name`."""
    try:
        yield
    except CommitFailedError:
        raise
    except SchemaMismatchError as error:
        remedy = "another writer has changed its columns: take that change back, or load into a table of another name"
        raise TransformRejected(f"{name}: the columns do not fit: {error}", remedy) from error
    except duckdb.OutOfMemoryException as error:
        raise TransformRejected(
            f"{name}: more memory is needed than the function has",
            "raise its MemorySize in the template, deploy, and replay the message (flowforge replay --run RUN)",
        ) from error
    except (DeltaError, OSError, duckdb.IOException) as error:
        raise StoreUnavailable(f"{name}: {_plain(error)}", TRY_AGAIN) from error


def _plain(error: Exception) -> str:
    """The message on one line; delta-rs colours its own and spreads it over several."""
    return " ".join(re.sub(r"\x1b\[[0-9;]*m", "", str(error)).split())[:400] or type(error).__name__
