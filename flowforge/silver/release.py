# ruff: noqa: S608 - SQL text of quoted names and checked conditions
"""Lets rows out of quarantine that break no rule any more: their batch is judged again, by the rules in force now.

Guarantees: rows are read from bronze and applied at their own batch's place in the order, as if they had never been kept out: one
of a key that a later batch has brought, or a later refresh has not found, changes nothing. They leave quarantine after silver has
them; a worker that dies in between leaves rows that the next release applies to no effect and takes out. Rows without a key and
rows that contradict each other stay: no rule has kept them out.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from events.quality import Rule
from flowforge.aws.clients import client
from flowforge.domain.batch import Batch
from flowforge.domain.errors import TransformRejected
from flowforge.domain.given import given
from flowforge.domain.own_columns import APPLIES
from flowforge.engines.base import Rows, Session
from flowforge.engines.duckdb.sql import read_parquet
from flowforge.engines.registry import ENGINE
from flowforge.silver.batch_rules import judge_batch
from flowforge.silver.columns import admit
from flowforge.silver.decisions import decisions_of
from flowforge.silver.late_batches import late_batches
from flowforge.silver.objects import check_objects
from flowforge.silver.plan import GENERATION, SEQ, RefinePlan
from flowforge.silver.planning import plan_refine
from flowforge.silver.quarantine import CONTENT, RULES, kept_out, of_batch, quarantine_of
from flowforge.silver.reading import FAILED, batch_rows, staged_rows
from flowforge.silver.staging import content_hash
from flowforge.silver.transactions import Transactions, is_applied
from flowforge.silver.writing import Change, write_history, write_rows
from flowforge.tables.base import Commit, Moved, once
from flowforge.tables.lake import commit, open_table, store_errors, table_uri
from flowforge.tables.rows import relation, types_of

RELEASED = "flowforge.released"  # in the metadata of a commit that applies released rows: of which batch
FREE = "free"  # contents that no rule keeps out any more


@dataclass(frozen=True)
class Released:
    """Rows that left quarantine and rows that stay there; `change` is what the first did to silver."""

    released: int
    kept: int
    change: Change


def waiting(bucket: str, name: str) -> dict[tuple[int, int], int]:
    """Rows that rules keep in quarantine: (generation, seq) -> rows, oldest batch first."""
    table = open_table(table_uri(bucket, "quarantine", name))
    if table is None:
        return {}
    with ENGINE.session() as connection, store_errors(f"silver/_quarantine/{name}"):
        rows = relation(connection, table)
        if RULES not in rows.columns:
            return {}
        counted = rows.filter(f"{RULES} IS NOT NULL").aggregate(f"{GENERATION}, {SEQ}, count(*)").fetchall()
    return {(generation, seq): count for generation, seq, count in sorted(counted)}


def release(batch: Batch, bucket: str, rules: Sequence[Rule], s3: Any = None) -> Released:
    """Judges the batch's rows in quarantine anew and applies those that pass.

    Raises TransformRejected when a rule of severity `fail` is broken, or the table's rows have no identity.
    """
    name = f"silver.{batch.command.silver.table}"
    table = open_table(table_uri(bucket, "silver", batch.command.silver.table))
    check_objects(batch, s3 or client("s3"))
    manifest = given(batch.manifest)
    uris = [f"s3://{manifest.bucket}/{item.key}" for item in manifest.objects]
    objects = read_parquet(uris)
    with ENGINE.session() as connection, store_errors(name):
        held = kept_out(connection, batch, quarantine_of(batch, bucket))
        if held is None or not held.num_rows:
            return Released(0, 0, Change())
        bronze = connection.sql(f"SELECT * FROM {objects}")
        kinds = types_of(bronze)
        plan = plan_refine(batch, kinds, decisions_of(table).key)
        if plan.adds_only:
            raise TransformRejected(
                f"{name} only adds rows, so a row that was released twice would be there twice",
                "mend them in the source: what is loaded then is judged anew",
            )
        staged, _ = staged_rows(connection, plan, objects)
        failed = judge_batch(batch_rows(batch, bucket, plan, staged, uris), rules).failed
        connection.from_arrow(held).create_view("held_out", replace=True)
        still = ""
        if failed is not None:
            connection.from_arrow(failed).create_view(FAILED, replace=True)
            still = f"WHERE content NOT IN (SELECT content FROM {FAILED})"
        connection.execute(f"CREATE TEMP TABLE {FREE} AS SELECT content FROM held_out {still}")
        (free,) = given(connection.table(FREE).aggregate("count(*)").fetchone())
        change = Change()
        if free:
            passing = f"{APPLIES} AND {content_hash(plan)} IN (SELECT content FROM {FREE})"
            rows = connection.sql(f"SELECT * FROM ({staged}) WHERE {passing}")
            own = replace(plan, refreshes=False, replaces_files=False, above=late_batches(batch))
            change = commit(name, lambda: _apply(connection, batch, own, rows, bucket))
        released = _take_out(connection, batch, bucket) if free else 0
    return Released(released, waiting(bucket, batch.command.silver.table).get((batch.generation, batch.seq), 0), change)


def _apply(connection: Session, batch: Batch, plan: RefinePlan, rows: Rows, bucket: str) -> Change:
    table = open_table(table_uri(bucket, "silver", batch.command.silver.table))
    if table is None or not is_applied(table, batch):
        raise TransformRejected(
            f"silver.{batch.command.silver.table} does not hold {batch.name} yet",
            "replay the batch first: flowforge replay --run RUN",
        )
    fitting, _ = admit(connection, table, batch, plan, rows)
    marks = Transactions(table, plan)
    if plan.keeps_history and marks.files_replaced_since:
        raise TransformRejected(
            f"silver.{batch.command.silver.table}: files have been replaced since {batch.name}, and what that has ended in the "
            "history may be a row that is released now",
            "deliver the rows in a new file: what is loaded then is judged anew",
        )
    if plan.follows_changes and (plan.keeps_history or not plan.marks_deleted) and marks.newest > plan.order:
        raise TransformRejected(
            f"silver.{batch.command.silver.table}: changes have been applied since {batch.name}, and a row that is released now "
            "may be one that they have deleted",
            "deliver the rows in a new file: what is loaded then is judged anew",
        )

    def properties(change: Change) -> Commit:
        return once({f"{batch.application_id}/release/{uuid.uuid4().hex}": 1}, {RELEASED: batch.application_id})

    if plan.keeps_history:
        return write_history(connection, table, plan, fitting, marks.load_after(), properties).change
    if marks.overtaken:
        return Change()
    return write_rows(connection, table, plan, fitting, properties, marks.superseded).change


def _take_out(connection: Session, batch: Batch, bucket: str) -> int:
    """Removes what was released from quarantine; returns how many rows."""
    name = batch.command.silver.table

    def attempt() -> int:
        table = open_table(table_uri(bucket, "quarantine", name))
        if table is None:
            raise Moved
        conditions = of_batch(batch).replace(GENERATION, f"t.{GENERATION}").replace(SEQ, f"t.{SEQ}")
        mark = once({f"{batch.application_id}/release/{uuid.uuid4().hex}": 1})
        same = f"t.{CONTENT} = s.content AND {conditions}"
        return table.apply_rows(connection.table(FREE), same, f"t.{RULES} IS NOT NULL", mark)

    return commit(f"silver/_quarantine/{name}", attempt)
