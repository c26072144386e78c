# ruff: noqa: S608 - SQL text of quoted names and counted values; no cell or request text is pasted in
"""Applies one landed batch to its silver table, once.

Guarantees: reads exactly the objects of the batch's manifest, whose ETags it checks. The batch is recorded in the Delta
commit that applies it, and looked for there first, on the same handle: the same batch twice changes nothing. A row is
replaced only by one of a later (generation, seq), so batches may arrive in any order; one that is older than the last refresh
is recorded and not applied. Rows that cannot be applied are in the quarantine table before the batch is; none is dropped
silently.
"""

from dataclasses import dataclass
from typing import Any

import duckdb
from botocore.exceptions import BotoCoreError, ClientError
from deltalake import CommitProperties, DeltaTable, write_deltalake

from flowforge.cloud.clients import client, unavailable
from flowforge.errors import RefineRefused
from flowforge.lake.sql import identifier, read_parquet
from flowforge.lake.storage import duckdb_connection
from flowforge.lake.tables import (
    allow_naive_timestamps,
    commit,
    once,
    open_or_create,
    open_table,
    store_errors,
    table_uri,
)
from flowforge.silver.columns import admit
from flowforge.silver.plan import APPLIES, GENERATION, SEQ, RefinePlan, plan_refine
from flowforge.silver.staging import irregularities, quarantined_rows, reduced_rows, stored_rows
from flowforge.state.batch import Batch

HISTORY = 200  # commits that are searched for the figures of a batch that was applied before
BATCH = "flowforge.batch"  # in the commit's metadata: which batch it applies
QUARANTINED = "flowforge.quarantined"


@dataclass(frozen=True)
class RefineResult:
    """What a batch did to its silver table; `version` is the Delta version that holds it, counts are rows."""

    silver_table: str
    version: int
    inserted: int
    updated: int
    quarantined: int
    silver_rows: int
    already_applied: bool


@dataclass(frozen=True)
class Staged:
    """A batch's rows, ready to be applied: as relations that are read anew by every attempt."""

    plan: RefinePlan
    rows: duckdb.DuckDBPyRelation
    quarantined: int


def refine(batch: Batch, bucket: str, s3: Any = None) -> RefineResult:
    """Applies `batch` to silver in `bucket`; `s3` is a boto3 client, else the process's own.

    Raises RefineRefused when the batch does not fit (its objects, key or columns), ConflictingTarget when the silver table
    belongs to another source, StoreUnavailable when S3 fails or the table is too busy.
    """
    if batch.manifest is None:
        raise RefineRefused(f"{batch.name} has no manifest: it has not landed")
    name = f"silver.{batch.command.silver.table}"
    uri = table_uri(bucket, "silver", batch.command.silver.table)
    with store_errors(name):
        table = open_table(uri)
        if table is not None and _holds(table, batch):
            return _applied_before(table, batch)
    check_objects(batch, s3 or client("s3"))
    with duckdb_connection() as connection:
        with store_errors(name):
            staged = _stage(connection, batch, bucket)
        looked_at = iter([table] if table is not None else [])
        return commit(
            name, lambda: _apply(connection, batch, staged, next(looked_at, None) or _table(batch, staged, uri))
        )


def check_objects(batch: Batch, s3: Any) -> None:
    """Compares every object of the manifest with what is in the bucket."""
    manifest = batch.manifest
    if not manifest.objects:
        raise RefineRefused(f"{batch.name} has no objects in its manifest")
    for item in manifest.objects:
        try:
            found = s3.head_object(Bucket=manifest.bucket, Key=item.key)["ETag"]
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                raise RefineRefused(f"{item.key} of {batch.name} is gone from {manifest.bucket}") from error
            raise unavailable("s3", error) from error
        except BotoCoreError as error:
            raise unavailable("s3", error) from error
        if found.strip('"') != item.etag.strip('"'):
            raise RefineRefused(f"{item.key} is not the object that {batch.name} landed: its ETag differs")


def _stage(connection: duckdb.DuckDBPyConnection, batch: Batch, bucket: str) -> Staged:
    objects = read_parquet([f"s3://{batch.manifest.bucket}/{item.key}" for item in batch.manifest.objects])
    bronze = connection.sql(f"SELECT * FROM {objects}")
    plan = plan_refine(batch, dict(zip(bronze.columns, map(str, bronze.types), strict=True)))
    if plan.keyless or plan.adds_only or connection.sql(irregularities(plan, objects)).fetchone() == (0, 0):
        return Staged(plan, connection.sql(f"SELECT *, true AS {APPLIES} FROM ({stored_rows(plan, objects)})"), 0)
    rows = connection.sql(quarantined_rows(plan, objects))
    count = rows.count("*").fetchone()[0]
    if count:
        _quarantine(batch, bucket, rows)
    return Staged(plan, connection.sql(reduced_rows(plan, objects)), count)


def _quarantine(batch: Batch, bucket: str, rows: duckdb.DuckDBPyRelation) -> None:
    name = batch.command.silver.table
    uri = table_uri(bucket, "quarantine", name)

    def attempt() -> None:
        table = open_or_create(uri, rows, {"flowforge.sourceKey": batch.source_key})
        if not _holds(table, batch):
            allow_naive_timestamps(table, [str(kind) for kind in rows.types])
            write_deltalake(
                table, rows, mode="append", schema_mode="merge", commit_properties=once({batch.application_id: 1})
            )

    commit(f"silver/_quarantine/{name}", attempt)


def _table(batch: Batch, staged: Staged, uri: str) -> DeltaTable:
    plan = staged.plan
    columns = staged.rows.project(", ".join(identifier(name) for name in plan.columns))
    return open_or_create(
        uri, columns, {"flowforge.sourceKey": batch.source_key, "flowforge.identity": plan.identity_text}
    )


def _apply(connection: duckdb.DuckDBPyConnection, batch: Batch, staged: Staged, table: DeltaTable) -> RefineResult:
    """One attempt, on a handle whose version is the only one that it may commit on."""
    plan = staged.plan
    if _holds(table, batch):
        return _applied_before(table, batch)
    missing = admit(connection, table, batch, plan)
    last_refresh = table.transaction_version(_refresh_mark(batch)) or 0
    marks = {batch.application_id: 1}
    if plan.refreshes:
        marks[_refresh_mark(batch)] = max(last_refresh, plan.order)
    properties = once(marks, {BATCH: batch.application_id, QUARANTINED: str(staged.quarantined)})
    before, inserted, updated = table.version(), 0, 0
    if plan.strategy == "append" or last_refresh < plan.order:
        fill = "".join(f", CAST(NULL AS {kind}) AS {identifier(name)}" for name, kind in missing.items())
        inserted, updated = _write(table, plan, staged.rows.project("*" + fill), properties)
    if table.version() == before:
        # An older batch, or nothing to change: delta-rs then commits nothing of its own accord.
        table.create_write_transaction([], "append", table.schema(), commit_properties=properties)
    return _result(table, batch, before + 1, inserted, updated, staged.quarantined)


def _write(
    table: DeltaTable, plan: RefinePlan, rows: duckdb.DuckDBPyRelation, properties: CommitProperties
) -> tuple[int, int]:
    """Rows inserted and updated."""
    count = table.count()
    if count and not plan.adds_only:
        figures = _merge(table, plan, rows, properties)
        return figures["num_target_rows_inserted"], figures["num_target_rows_updated"]
    kept = rows.filter(APPLIES).project(f"* EXCLUDE ({APPLIES})")
    write_deltalake(table, kept, mode="append", schema_mode="merge", commit_properties=properties)
    return table.count() - count, 0


def _merge(
    table: DeltaTable, plan: RefinePlan, rows: duckdb.DuckDBPyRelation, properties: CommitProperties
) -> dict[str, Any]:
    """`streamed_exec=False`: delta-rs then reads only files whose key range the batch touches."""
    same = " AND ".join(_same(name, name == plan.cursor) for name in plan.identity)
    older = f"(t.{GENERATION} < {plan.generation} OR (t.{GENERATION} = {plan.generation} AND t.{SEQ} < {plan.seq}))"
    values = {identifier(name, "t"): identifier(name, "s") for name in rows.columns if name != APPLIES}
    merger = table.merge(
        rows,
        same,
        source_alias="s",
        target_alias="t",
        merge_schema=True,
        streamed_exec=False,
        commit_properties=properties,
    ).when_not_matched_insert(values, predicate=f"s.{APPLIES}")
    if plan.strategy != "append":
        merger = merger.when_matched_update(values, predicate=f"s.{APPLIES} AND {older}")
    if plan.refreshes:
        merger = merger.when_not_matched_by_source_delete(predicate=older)
    return merger.execute()


def _same(name: str, may_be_null: bool) -> str:
    ours, theirs = identifier(name, "s"), identifier(name, "t")
    return f"({theirs} = {ours} OR ({theirs} IS NULL AND {ours} IS NULL))" if may_be_null else f"{theirs} = {ours}"


def _refresh_mark(batch: Batch) -> str:
    return f"flowforge/{batch.source_key}/refresh"


def _holds(table: DeltaTable, batch: Batch) -> bool:
    return table.transaction_version(batch.application_id) is not None


def _applied_before(table: DeltaTable, batch: Batch) -> RefineResult:
    """The figures of the commit that applied the batch, where it is still in the recent history."""
    for entry in table.history(HISTORY):
        if entry.get(BATCH) == batch.application_id:
            figures = entry.get("operationMetrics") or {}
            inserted = int(figures.get("num_target_rows_inserted", figures.get("num_added_rows", 0)))
            updated = int(figures.get("num_target_rows_updated", 0))
            quarantined = int(entry.get(QUARANTINED, 0))
            return _result(table, batch, entry["version"], inserted, updated, quarantined, already_applied=True)
    return _result(table, batch, table.version(), 0, 0, 0, already_applied=True)


def _result(
    table: DeltaTable,
    batch: Batch,
    version: int,
    inserted: int,
    updated: int,
    quarantined: int,
    already_applied: bool = False,
) -> RefineResult:
    return RefineResult(
        silver_table=batch.command.silver.table,
        version=version,
        inserted=inserted,
        updated=updated,
        quarantined=quarantined,
        silver_rows=table.count(),
        already_applied=already_applied,
    )
