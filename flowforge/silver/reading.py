# ruff: noqa: S608 - SQL text of quoted names; no cell or request text is pasted in
"""A batch's rows from where they are, judged and ready to be applied.

Guarantees: rows that cannot or must not be applied are in the quarantine table before the batch is; none is dropped silently. A
batch without rules, and without repeated or NULL keys, is streamed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from arro3.core import Table

from events.quality import QualityFigure, Rule
from flowforge.domain.batch import Batch
from flowforge.domain.given import given
from flowforge.domain.own_columns import APPLIES
from flowforge.engines.base import Rows, Session
from flowforge.engines.duckdb.sql import read_parquet
from flowforge.silver.batch_rules import BatchRows, judge_batch
from flowforge.silver.matching import missing_key
from flowforge.silver.objects import uris_of
from flowforge.silver.plan import RefinePlan
from flowforge.silver.planning import plan_refine
from flowforge.silver.quarantine import keep_out, kept_out, quarantine_of, settled_of
from flowforge.silver.staging import (
    changes_without_key,
    content_hash,
    irregularities,
    last_changes,
    quarantined_rows,
    reduced_rows,
    stored_rows,
    unfit_rows,
    without_failed,
)
from flowforge.silver.transactions import is_applied
from flowforge.tables.rows import types_of

FAILED, LANDED = "failed_rules", "landed_rows"
FEW_CELLS = 20_000  # of a batch whose rows are held: each mention of files in a statement opens them, 0.4 ms


@dataclass(frozen=True)
class Staged:
    """A batch's rows, ready to be applied: as a relation that is read anew by every attempt. `quarantined` counts the rows that
    were kept out, `has_quarantine` tells whether any row of the table ever was; `schema_changes` grows with what attempts have
    changed in the table's columns."""

    plan: RefinePlan
    rows: Rows
    quarantined: int
    quality: list[QualityFigure]
    has_quarantine: bool = False
    schema_changes: list[str] = field(default_factory=list)


def stage(
    connection: Session,
    batch: Batch,
    bucket: str,
    kept_key: list[str] | None,
    rules: Sequence[Rule],
    uris: list[str],
) -> Staged:
    """Reads the batch's bronze objects at `uris`, judges its rows and keeps out what must not be applied.

    Raises TransformRejected when the batch does not fit, or breaks a rule of severity `fail`.
    """
    objects = read_parquet(uris) if rules else _landed(connection, batch, uris)  # rules read in a session of their own
    plan = plan_of(connection, batch, kept_key, objects)
    staged, unfit = staged_rows(connection, plan, objects)
    verdict = judge_batch(batch_rows(batch, bucket, plan, staged, uris), rules)
    quarantine = quarantine_of(batch, bucket)
    settled = settled_of(batch, bucket) if quarantine is not None and is_applied(quarantine, batch) else None
    before = kept_out(connection, batch, quarantine, settled)
    failed = verdict.failed if before is None else before
    if unfit or (failed is not None and failed.num_rows):
        rows = quarantined(connection, plan, staged, unfit, failed)
        (count,) = given(rows.aggregate("count(*)").fetchone())
        if count:
            keep_out(connection, batch, bucket, rows)
            failed = kept_out(connection, batch, quarantine_of(batch, bucket), settled)
    else:
        count = 0
    remaining = _remaining(connection, plan, staged, failed)
    return Staged(plan, remaining, count, verdict.figures, quarantine is not None or count > 0)


def _landed(connection: Session, batch: Batch, uris: list[str]) -> str:
    """The table expression of the batch's rows: its files, or a table of this session where the files are copies of few rows."""
    objects, manifest = read_parquet(uris), given(batch.manifest)
    if uris_of(batch) == uris or manifest.rows * len(manifest.columns) > FEW_CELLS:
        return objects
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {LANDED} AS SELECT * FROM {objects}")
    return LANDED


def plan_of(connection: Session, batch: Batch, kept_key: list[str] | None, objects: str | None = None) -> RefinePlan:
    """The plan of a batch, from the columns of its objects: of the table expression `objects`, where they were fetched."""
    bronze = connection.sql(f"SELECT * FROM {objects or objects_of(batch)}")
    return plan_refine(batch, types_of(bronze), kept_key)


def objects_of(batch: Batch) -> str:
    """The table expression of the batch's bronze objects."""
    return read_parquet(uris_of(batch))


def staged_rows(connection: Session, plan: RefinePlan, objects: str) -> tuple[str, str | None]:
    """Queries: the rows with one for each identity, and those that are unfit because of their keys (None: there are none)."""
    if plan.follows_changes:
        lacking = connection.sql(f"SELECT 1 FROM {objects} WHERE {missing_key(plan)} LIMIT 1").fetchone()
        return last_changes(plan, objects), changes_without_key(plan, objects) if lacking else None
    if plan.keyless or plan.adds_only or connection.sql(irregularities(plan, objects)).fetchone() == (0, 0):
        return f"SELECT *, true AS {APPLIES} FROM ({stored_rows(plan, objects)})", None
    return reduced_rows(plan, objects), unfit_rows(plan, objects)


def batch_rows(batch: Batch, bucket: str, plan: RefinePlan, staged: str, uris: list[str]) -> BatchRows:
    """What the rules look at."""
    return BatchRows(
        rows=staged,
        objects=uris,
        content=content_hash(plan),
        bucket=bucket,
        table=batch.command.silver.table,
        key=plan.key,
        batch_time=plan.loaded_at_text,
        replaces=plan.refreshes,
        folds=plan.folds,
        going=plan.of_its_files if plan.replaces_files else "",
    )


def quarantined(connection: Session, plan: RefinePlan, staged: str, unfit: str | None, failed: Table | None) -> Rows:
    """The rows that are kept out, in the quarantine table's columns."""
    broken = None
    if failed is not None and failed.num_rows:
        connection.from_arrow(failed).create_view(broken := FAILED, replace=True)
    return connection.sql(quarantined_rows(plan, staged, unfit, broken))


def _remaining(connection: Session, plan: RefinePlan, staged: str, failed: Table | None) -> Rows:
    if failed is None or not failed.num_rows:
        return connection.sql(staged)
    connection.from_arrow(failed).create_view(FAILED, replace=True)
    return connection.sql(without_failed(plan, staged, FAILED))
