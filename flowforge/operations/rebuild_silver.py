# ruff: noqa: S608 - SQL text of quoted names
"""Makes a silver table anew from bronze, beside the one that is there, and shows how the two differ before it takes its place.

Guarantees: every batch that silver has taken is applied again in order, from the objects of its manifest, with its own strategy,
the table's decisions, and the same rows kept in quarantine as the first time. The present table is not touched until the new one
takes its place in one commit, on exactly the version that it was compared with; a load that comes meanwhile is applied to both. A
process that dies leaves the present table as it was, and its own below `rebuild/`, which a later rebuild removes.
"""

from dataclasses import dataclass
from typing import Any

from flowforge.domain.batch import Batch
from flowforge.domain.errors import Fatal, NotFound, StoreUnavailable
from flowforge.domain.given import given
from flowforge.domain.own_columns import audit_of
from flowforge.domain.source_key import is_of_files
from flowforge.engines.base import EngineError, OutOfMemory, Session
from flowforge.engines.duckdb.sql import read_parquet
from flowforge.engines.registry import ENGINE
from flowforge.operations.batches import folded_batches
from flowforge.operations.beside import Progress, TableBeside
from flowforge.operations.versions import VersionDifference, compare_versions
from flowforge.silver.decisions import SOURCE_KEY, decisions_of
from flowforge.silver.plan import GENERATION, SEQ, RefinePlan
from flowforge.silver.planning import plan_refine
from flowforge.silver.transactions import Transactions
from flowforge.state import batch_records
from flowforge.state import batches as batch_states
from flowforge.state.table import list_tables
from flowforge.tables.base import LakeTable, Moved, once
from flowforge.tables.lake import open_table, store_errors, table_uri
from flowforge.tables.rows import allow_naive_timestamps, column_types, relation, rows_query, types_of, write_files

ATTEMPTS = 20
REBUILT = "flowforge.rebuilt"  # in the metadata of the commit that replaces the table


@dataclass(frozen=True)
class RebuiltTable:
    """What was made and found; `version` is the Delta version that replaced the table, None where nothing was replaced."""

    table: str
    source_key: str
    batches: int
    difference: VersionDifference
    version: int | None

    def document(self) -> dict[str, Any]:
        """The result as JSON has it."""
        facts = {"table": self.table, "source_key": self.source_key, "batches": self.batches, "version": self.version}
        return facts | self.difference.document()


def rebuild_silver(
    bucket: str, name: str, write: bool, rows_per_range: int, progress: Progress = lambda told: None
) -> RebuiltTable:
    """Makes silver table `name` anew and compares; with `write` it takes the present one's place where they differ.

    Raises NotFound for a table that no batch is known of, Fatal for one that holds what is not known here, TransformRejected when
    a batch cannot be applied any more, StoreUnavailable when loads do not leave it a moment to replace the table.
    """
    uri = table_uri(bucket, "silver", name)
    table = _open(uri, name)
    source_key = source_key_of(table, name)
    with TableBeside(bucket, name, table) as beside:
        for _ in range(ATTEMPTS):
            refined = _refined(source_key)
            table = _open(uri, name)
            beside.check_unchanged(table)
            known = _applied(table, bucket, source_key, refined)
            beside.follow(known, progress)
            with ENGINE.session() as engine, store_errors(f"silver.{name}"):
                new = given(open_table(beside.uri))
                plan = _plan(engine, known[-1], new)
                progress("comparing …")
                difference = _compared(engine, table, new, plan, rows_per_range)
                _refuse_unknown(engine, table, known, name, difference)
                if difference.equal or not write:
                    return RebuiltTable(name, source_key, len(known), difference, None)
                progress("replacing …")
                try:
                    version = beside.become(uri) if table is None else _replace(engine, table, new, plan, known)
                except Moved:
                    continue
            batch_states.announce_again(known[-1])  # gold follows
            return RebuiltTable(name, source_key, len(known), difference, version)
    raise StoreUnavailable(
        f"silver.{name} changed {ATTEMPTS} times meanwhile", "Stop its loads and run the command again."
    )


def _open(uri: str, name: str) -> LakeTable | None:
    with store_errors(f"silver.{name}"):
        return open_table(uri)


def source_key_of(table: LakeTable | None, name: str) -> str:
    """The source that fills silver table `name`. Raises NotFound where nobody knows."""
    owner = table.properties().get(SOURCE_KEY) if table is not None else None
    if owner:
        return owner
    owners = [item["sk"] for item in list_tables() if item.get("silver_table") == name]
    if len(owners) != 1:
        raise NotFound(f"no source is known of silver.{name}", "`flowforge watermark list` shows what was loaded.")
    return owners[0]


def _refined(source_key: str) -> set[str]:
    """The batches that silver holds by their records; these may lag behind the table by a worker's death."""
    return {batch.application_id for batch in batch_records.all_batches(source_key) if batch.refined}


def _applied(table: LakeTable | None, bucket: str, source_key: str, refined: set[str]) -> list[Batch]:
    """The batches that this version of the table holds, or should hold, in their order; those whose records were folded come from
    their footers.

    `refined` was read before the table was opened, the records are read after it: a batch that comes in between is in neither."""
    recorded = list(batch_records.all_batches(source_key))
    folded = folded_batches(bucket, source_key, recorded)
    if table is None:  # whose marks tell it otherwise
        refined = refined | {batch.application_id for batch in folded}
    held = [
        batch
        for batch in (*folded, *recorded)
        if batch.manifest is not None
        and (
            batch.application_id in refined
            or (table is not None and table.transaction_version(batch.application_id) == batch.application_version)
        )
    ]
    if not held:
        raise NotFound(
            f"no batch of {source_key} is known that silver has taken",
            "if FlowForge's memory was lost, restore it first: flowforge watermark rebuild --write",
        )
    return sorted(held, key=lambda batch: (batch.generation, batch.seq))


def _plan(engine: Session, newest: Batch, new: LakeTable) -> RefinePlan:
    manifest = given(newest.manifest)
    uris = [f"s3://{manifest.bucket}/{item.key}" for item in manifest.objects]
    bronze = engine.sql(f"SELECT * FROM {read_parquet(uris)}")
    return plan_refine(newest, types_of(bronze), decisions_of(new).key)


def _compared(
    engine: Session, table: LakeTable | None, new: LakeTable, plan: RefinePlan, rows_per_range: int
) -> VersionDifference:
    made, present = rows_query(engine, new), None if table is None else rows_query(engine, table)
    # Where rows are only added, the batch that came first has brought a row: in what order they came is not recorded.
    audit = audit_of(is_of_files(plan.source_key))
    ignored = {*audit, GENERATION, SEQ} if plan.strategy == "append" else ()
    try:
        return compare_versions(engine, present, made, plan.identity, rows_per_range, ignored)
    except OutOfMemory:
        raise
    except EngineError as error:  # a file is gone, or is no Parquet any more
        rows = given(relation(engine, new).aggregate("count(*)").fetchone())[0]
        return VersionDifference(None, rows, [], [], " ".join(str(error).split())[:300])


def _refuse_unknown(
    engine: Session,
    table: LakeTable | None,
    known: list[Batch],
    name: str,
    difference: VersionDifference,
) -> None:
    """Stops where the table holds rows of batches that nobody here has a record of: without them it would be made too small."""
    if table is None or difference.unreadable or not {GENERATION, SEQ} <= set(column_types(engine, table)):
        return
    found = relation(engine, table).aggregate(f"{GENERATION}, {SEQ}, count(*)").fetchall()
    recorded = {(batch.generation, batch.seq) for batch in known}
    foreign = sorted((generation, seq, rows) for generation, seq, rows in found if (generation, seq) not in recorded)
    if foreign:
        generation, seq, _ = foreign[0]
        raise Fatal(
            f"silver.{name} holds {sum(rows for *_, rows in foreign):,} rows of {len(foreign):,} batches that are not recorded, "
            f"for example generation {generation}, batch {seq}",
            "restore the records from bronze first: flowforge watermark rebuild --write",
        )


def _replace(engine: Session, table: LakeTable, new: LakeTable, plan: RefinePlan, known: list[Batch]) -> int:
    """One commit: the new rows, columns and marks in place of all that was there; returns its version.

    Raises Moved when another commit was faster.
    """
    epochs = {batch.epoch for batch in known if batch.epoch}
    places = {file.place_id for batch in known if batch.interval.replaces for file in batch.interval.files}
    marks = {batch.application_id: batch.application_version for batch in known}
    marks |= Transactions(new, plan).all(epochs, places)
    own = Transactions(table, plan).all(epochs, places)
    marks = {name: max(version, own.get(name, version)) for name, version in marks.items()}
    types = column_types(engine, new)
    allow_naive_timestamps(table, list(types.values()))
    files = write_files(engine, table, rows_query(engine, new), types)
    table.replace_files(files, new.empty(), once(marks, {REBUILT: str(len(known))}))
    return table.version() + 1
