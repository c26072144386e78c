"""Applies one landed batch to its silver table, once.

Guarantees: reads exactly the objects of the batch's manifest, whose ETags it checks. The batch is recorded in the Delta
commit that applies it, and looked for there first, on the same handle: the same batch twice changes nothing. A row is
replaced only by one of a later (generation, seq), so batches may arrive in any order; one that is older than the last refresh
is recorded and not applied (a history takes it in at its place). Rows that cannot be applied are in the quarantine table before
the batch is; none is dropped silently.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import chain, repeat
from typing import Any

from events.quality import QualityFigure, Rule
from flowforge.aws.clients import client
from flowforge.domain.batch import Batch
from flowforge.domain.cut import Cut
from flowforge.domain.errors import TransformRejected
from flowforge.domain.figures import quality_of, to_metadata
from flowforge.domain.given import given
from flowforge.engines.base import Session
from flowforge.engines.duckdb.sql import identifier, read_parquet
from flowforge.engines.registry import ENGINE
from flowforge.silver.columns import admit, check_owner, known_columns
from flowforge.silver.decisions import IDENTITY, KEY, SOURCE_KEY, decisions_in, decisions_of
from flowforge.silver.deletions import find_gone
from flowforge.silver.lost_batches import refuse_lost
from flowforge.silver.near_keys import may_be_near
from flowforge.silver.objects import readable_objects
from flowforge.silver.quarantine import quarantine_of
from flowforge.silver.reading import Staged, objects_of, plan_of, stage
from flowforge.silver.resolved_entries import settle
from flowforge.silver.transactions import Transactions, is_applied
from flowforge.silver.writing import Change, Written, write_history, write_nothing, write_rows
from flowforge.tables.base import CHANGE, UPKEEP, Commit, LakeTable, once
from flowforge.tables.cuts import METADATA, announce_cut
from flowforge.tables.lake import commit, create_table, open_table, store_errors, table_uri, young

HISTORY = 200  # commits that are searched for the figures of a batch that was applied before
BATCH = "flowforge.batch"  # in the commit's metadata: which batch it applies
QUARANTINED = "flowforge.quarantined"


@dataclass(frozen=True)
class RefineResult:
    """What a batch did to its silver table; `version` is the Delta version that holds it, counts are rows. `near_keys` tells
    whether its keys may stand there in another spelling: also where that was not looked at."""

    silver_table: str
    version: int
    inserted: int
    updated: int
    deleted: int
    quarantined: int
    silver_rows: int
    already_applied: bool
    schema_changes: list[str] = field(default_factory=list)
    quality: list[QualityFigure] = field(default_factory=list)
    column_types: dict[str, str] = field(default_factory=dict)
    near_keys: bool = True


@dataclass(frozen=True)
class Target:
    """A table beside the batch's own, that is made anew: where it is, and the properties that it begins with."""

    uri: str
    properties: Mapping[str, str]


def refine(
    batch: Batch,
    bucket: str,
    s3: Any = None,
    rules: Sequence[Rule] | None = None,
    target: Target | None = None,
    held: Batch | None = None,
) -> RefineResult:
    """Applies `batch` to silver in `bucket`; `s3` is a boto3 client, else the process's own.
    `rules` are the quality rules in force, the batch's own where None; `target` is the table where it is not the batch's own;
    `held` is another batch that the table must have, as the state says.

    Raises TransformRejected when the batch does not fit (its objects, key, columns or quality), ConflictingTarget when the table
    belongs to another source, LakeChanged when it lacks what it had, StoreUnavailable when S3 fails or the table is too busy.
    """
    if batch.manifest is None:
        raise TransformRejected(f"{batch.name} has no manifest: it has not landed", "submit the request again")
    name = f"silver.{batch.command.silver.table}"
    own = target is None  # one that is made anew settles nothing
    target = target or Target(table_uri(bucket, "silver", batch.command.silver.table), {})
    uri = target.uri
    with store_errors(name):
        table = open_table(uri, near=young(batch.seq))
        if table is not None and is_applied(table, batch):
            if own:
                _settle_again(batch, bucket, table)
            return _applied_before(table, batch)
        refuse_lost(table, batch, held)
    if own and batch.interval.cut is not None:
        _announce(batch.interval.cut, bucket, except_for=batch.command.silver.table)
    with readable_objects(batch, s3 or client("s3")) as uris, ENGINE.session() as connection:
        if batch.only_keys:
            return commit(
                name, lambda: _apply_keys(connection, batch, read_parquet(uris), open_table(uri), limited=own)
            )
        with store_errors(name):
            in_force = batch.command.silver.quality_rules if rules is None else rules
            decided = decisions_of(table) if table is not None else decisions_in(target.properties)
            staged = stage(connection, batch, bucket, decided.key, in_force, uris)
        looks = chain([lambda: table], repeat(lambda: open_table(uri)))  # the first attempt has looked already
        result = commit(
            name, lambda: _apply(connection, batch, staged, next(looks)() or _created(batch, staged, target))
        )
        if own and staged.has_quarantine:
            settle(connection, batch, staged.plan, bucket, read_parquet(uris))
    return result


def _announce(cut: Cut, bucket: str, except_for: str) -> None:
    """Tells the tables that are new to a cut, before a model can see this one at it."""
    for name in cut.joining:
        uri = table_uri(bucket, "silver", name)
        if name != except_for:
            commit(f"silver.{name}", lambda uri=uri: announce_cut(open_table(uri), cut))


def _settle_again(batch: Batch, bucket: str, table: LakeTable) -> None:
    """For a batch that silver holds: its worker may have died before it could take out of quarantine what it has settled."""
    quarantine = quarantine_of(batch, bucket)
    if quarantine is None or not quarantine.count():
        return
    with ENGINE.session() as connection:
        plan = plan_of(connection, batch, decisions_of(table).key)
        settle(connection, batch, plan, bucket, objects_of(batch))


def _created(batch: Batch, staged: Staged, target: Target) -> LakeTable:
    plan = staged.plan
    columns = staged.rows.project(", ".join(identifier(name) for name in plan.columns))
    properties = {SOURCE_KEY: batch.source_key, IDENTITY: plan.identity_text, KEY: json.dumps(plan.key)}
    return create_table(target.uri, columns, {**target.properties, **properties, **known_columns(batch, plan)})


def _apply(connection: Session, batch: Batch, staged: Staged, table: LakeTable) -> RefineResult:
    """One attempt, on a handle whose version is the only one that it may commit on."""
    plan = staged.plan
    if is_applied(table, batch):
        return _applied_before(table, batch)
    marks = Transactions(table, plan)
    marks.refuse_foreign()
    rows, changes = admit(connection, table, batch, plan, staged.rows)
    staged.schema_changes.extend(changes)
    transactions = {batch.application_id: batch.application_version, **marks.following()}

    def properties(change: Change) -> Commit:
        metadata = {BATCH: batch.application_id, QUARANTINED: str(staged.quarantined), **_cut_of(batch, change)}
        return once(transactions, metadata | {CHANGE: json.dumps(asdict(change))} | to_metadata(staged.quality))

    if plan.keeps_history:
        written = write_history(connection, table, plan, rows, marks.load_after(), properties)
    elif plan.strategy == "append" or not marks.overtaken:
        written = write_rows(connection, table, plan, rows, properties, marks.superseded)
    else:
        written = write_nothing(table, properties)
    result = _result(table, batch, table.version() + 1, written, staged.quarantined)
    near = may_be_near(batch, plan)
    return replace(result, schema_changes=staged.schema_changes, quality=staged.quality, near_keys=near)


def _cut_of(batch: Batch, change: Change) -> dict[str, str]:
    """What the commit's metadata tells of the batch's cut; that no row has changed, where the table was idle."""
    cut = batch.interval.cut
    if cut is None:
        return {}
    told = {METADATA: json.dumps({"source": cut.source, "version": cut.version, "tables": cut.tables})}
    return told | ({} if given(batch.manifest).rows or change != Change() else {UPKEEP: METADATA})


def _apply_keys(
    connection: Session, batch: Batch, objects: str, table: LakeTable | None, *, limited: bool
) -> RefineResult:
    """One attempt to take out what a batch of keys says is gone; `limited`: no more than its request allows."""
    where = f"silver.{batch.command.silver.table}"
    if table is None:
        raise TransformRejected(f"there is no table {where} whose keys could be compared", "Load the table first.")
    if is_applied(table, batch):
        return _applied_before(table, batch)
    plan = plan_of(connection, batch, decisions_of(table).key, objects)
    marks = Transactions(table, plan)
    marks.refuse_foreign()
    check_owner(table, batch, plan, where)
    if marks.compared > plan.order:
        raise TransformRejected(
            f"{where} was compared with newer keys than those of {batch.name}: rows may be back that these do not have",
            f"Nothing is missing: flowforge replay --discard --reason WHY --run {batch.command.run_id}",
        )
    gone = find_gone(connection, table, batch, plan, objects, limited=limited)
    transactions = {batch.application_id: batch.application_version, **marks.following()}

    def properties(change: Change) -> Commit:
        return once(transactions, {BATCH: batch.application_id, QUARANTINED: "0", CHANGE: json.dumps(asdict(change))})

    if not gone.count:
        written = write_nothing(table, properties)
    elif plan.keeps_history:
        written = write_history(connection, table, gone.plan, gone.staged, marks.load_after(), properties)
    else:
        written = write_rows(connection, table, gone.plan, gone.staged, properties)
    return replace(_result(table, batch, table.version() + 1, written, 0), near_keys=False)


def _applied_before(table: LakeTable, batch: Batch) -> RefineResult:
    """The figures of the commit that applied the batch, where it is still in the recent history."""
    for entry in table.history(HISTORY):
        if entry.get(BATCH) == batch.application_id:
            written = Written(_change_of(entry), table.count())
            result = _result(table, batch, entry["version"], written, int(entry.get(QUARANTINED, 0)))
            return replace(result, already_applied=True, quality=quality_of(entry))
    return replace(_result(table, batch, table.version(), Written(Change(), table.count()), 0), already_applied=True)


def _change_of(entry: dict[str, Any]) -> Change:
    """What a commit changed, as its metadata has it; commits of before have delta-rs' own metrics for the rest."""
    metrics, known = entry.get("operationMetrics") or {}, json.loads(entry.get(CHANGE, "{}"))
    marked = known.get("deleted", 0) if set(known) == {"deleted"} else 0
    told = {
        "inserted": int(metrics.get("num_target_rows_inserted", metrics.get("num_added_rows", 0))),
        "updated": int(metrics.get("num_target_rows_updated", 0)) - marked,
        "deleted": int(metrics.get("num_target_rows_deleted", 0)),
    }
    return Change(**told | known)


def _result(table: LakeTable, batch: Batch, version: int, written: Written, quarantined: int) -> RefineResult:
    return RefineResult(
        silver_table=batch.command.silver.table,
        version=version,
        inserted=written.change.inserted,
        updated=written.change.updated,
        deleted=written.change.deleted,
        quarantined=quarantined,
        silver_rows=written.rows,
        already_applied=False,
        column_types=table.column_words(),
    )
