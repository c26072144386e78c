"""Brings a silver table and a batch to the same columns before the batch is applied.

Guarantees: what `drift` allows, and a person's decisions, are made in commits of their own that change no value: columns are
added in one, types are changed by one that rewrites the table with casts and carries a mark of the batch that asked for it, once
every value of the table and of that batch was seen to come back equal. Each can be repeated, and a batch that fails after them
finds them done. Anything else is refused before a row is written, with what changed and what to do; so is every change under a
contract.
"""

import json

from flowforge.domain.batch import Batch
from flowforge.domain.errors import ConflictingTarget, TransformRejected
from flowforge.engines.base import Rows, Session
from flowforge.engines.duckdb.sql import identifier
from flowforge.silver.altered_columns import DECLARED, declared_types, told_altered
from flowforge.silver.casting import conversions, fitted, refuse_misfits, rewrite
from flowforge.silver.decisions import DROPPED, IDENTITY, SOURCE_KEY, decisions_of
from flowforge.silver.drift import Drift, compare, retold
from flowforge.silver.new_columns import (
    COLUMN_IDS,
    EXCHANGED,
    FILLED,
    NewColumns,
    column_ids,
    exchanged_columns,
    filled_before,
    look_at,
    told_exchanged,
)
from flowforge.silver.plan import RefinePlan
from flowforge.silver.transactions import Transactions
from flowforge.silver.type_names import shown
from flowforge.tables.base import LakeTable, once
from flowforge.tables.rows import allow_naive_timestamps, column_types, relation


def admit(
    connection: Session,
    table: LakeTable,
    batch: Batch,
    plan: RefinePlan,
    rows: Rows,
) -> tuple[Rows, list[str]]:
    """The batch's rows in the table's columns and types, and what was changed in the table for them, in sentences.

    Raises ConflictingTarget and TransformRejected.
    """
    where = f"silver.{batch.command.silver.table}"
    check_owner(table, batch, plan, where)
    theirs = column_types(connection, table)
    decisions, late = decisions_of(table), Transactions(table, plan).newest > plan.order
    drift = compare(plan.columns, theirs, decisions.types, late, plan.own_names)
    _refuse(drift, theirs, where)
    exchanged = [] if late else exchanged_columns(table, batch, plan)
    if batch.command.silver.schema_mode == "contract" and plan.order > decisions.accepted:
        _refuse_any(
            drift, theirs, {*decisions.types, *dropped_before(table), *plan.digits, *plan.own_names}, where, exchanged
        )
    # Its files are looked at for a change only. Most batches bring none, and nobody looks at what the table holds.
    present = relation(connection, table) if drift.retyped or drift.added else rows
    own, brought = sides = conversions(present, drift.retyped, rows, drift.types, where)
    refuse_misfits(sides, plan, where)
    new = NewColumns() if late else look_at(table, batch, plan, drift, theirs)
    if drift.retyped or new.fills:
        rewrite(table, own, new.fills, drift.added, plan)
    if empty_ones := {name: kind for name, kind in drift.added.items() if name not in new.fills}:
        allow_naive_timestamps(table, list(empty_ones.values()))
        empty = ", ".join(f"CAST(NULL AS {kind}) AS {identifier(name)}" for name, kind in empty_ones.items())
        table.add_columns(connection.sql(f"SELECT {empty} LIMIT 0"), once())
    changes = drift.changes(theirs, new.changes) + told_exchanged(batch, plan, exchanged)
    changes += [] if late else told_altered(table, batch, plan, drift, exchanged)
    changes += _note_columns(table, batch, plan, drift, new, late)
    if [name for name in plan.digits if name in drift.added] and table.count():
        changes.append(
            "keys have all seven digits of their seconds from now on: rows of before count as ending in 0, and those that do not "
            "are replaced by a full_refresh only"
        )
    return fitted(brought, drift.types, filled_before(table) if late and not plan.keeps_history else {}), changes


REPLAY = "then replay the batch (flowforge replay --run RUN)"


def _name(where: str) -> str:
    return where.removeprefix("silver.")


def _refuse(drift: Drift, theirs: dict[str, str], where: str) -> None:
    if drift.refused:
        raise TransformRejected(
            f"{where}: the source's columns changed: {'; '.join(drift.refused)}",
            f"decide on a type that holds both (flowforge schema {_name(where)} --type COLUMN=TYPE), {REPLAY}; or load into "
            "a new silver table (silverConfig.tableName)",
        )


def _refuse_any(drift: Drift, theirs: dict[str, str], known: set[str], where: str, exchanged: list[str]) -> None:
    changes = [f"column {name} is gone" for name in drift.dropped if name not in known]
    changes += [f"column {name} is new ({shown(kind)})" for name, kind in drift.added.items() if name not in known]
    changes += [retold(name, theirs[name], kind) for name, kind in drift.retyped.items() if name not in known]
    changes += [EXCHANGED.format(name) for name in exchanged]
    if changes:
        raise TransformRejected(
            f"{where} has a contract, and the source's columns changed: {'; '.join(changes)}",
            f"accept the changes so far (flowforge schema {_name(where)} --accept), {REPLAY}",
        )


def _note_columns(
    table: LakeTable, batch: Batch, plan: RefinePlan, drift: Drift, new: NewColumns, late: bool
) -> list[str]:
    """Keeps the source's columns and those that it no longer has in the table's properties; returns what is new about them."""
    if late:
        return []
    known, stored = dropped_before(table), table.properties()
    properties = {DROPPED: json.dumps(drift.dropped)} if drift.dropped != known else {}
    if new.fills and not plan.keeps_history:
        properties[FILLED] = json.dumps(filled_before(table) | new.fills)
    told = known_columns(batch, plan, table)
    properties |= {name: text for name, text in told.items() if json.loads(stored.get(name, "{}")) != json.loads(text)}
    if properties:
        table.set_properties(properties, once())
    gone = [name for name in drift.dropped if name not in known and name not in new.renamed.values()]
    return [f"column {name} is gone from the source" for name in gone] + [
        f"column {name} is back" for name in known if name not in drift.dropped
    ]


def known_columns(batch: Batch, plan: RefinePlan, table: LakeTable | None = None) -> dict[str, str]:
    """The properties by which the next batch tells another column under a name, or another type, from this batch's."""
    found = {COLUMN_IDS: column_ids(batch, plan, table), DECLARED: declared_types(batch, plan, table)}
    return {name: json.dumps(known) for name, known in found.items() if known}


def dropped_before(table: LakeTable) -> list[str]:
    """The columns that the source has stopped to send, as far as the table knows."""
    return json.loads(table.properties().get(DROPPED, "[]"))


def check_owner(table: LakeTable, batch: Batch, plan: RefinePlan, where: str) -> None:
    """Raises ConflictingTarget where another source fills the table, TransformRejected for another key."""
    owner = table.properties().get(SOURCE_KEY, batch.source_key)
    if owner != batch.source_key:
        raise ConflictingTarget(
            f"{where} belongs to {owner}, this batch is of {batch.source_key}",
            "name another silver table in silverConfig.tableName",
        )
    kept = table.properties().get(IDENTITY, plan.identity_text)
    if kept != plan.identity_text:
        raise TransformRejected(
            f"{where} tells rows apart by {kept}, this batch by {plan.identity_text}",
            f"keep the table's key (flowforge schema {_name(where)} --keep-key), {REPLAY}; or load "
            "into a new silver table (silverConfig.tableName): another key or mergeStrategy needs one",
        )
