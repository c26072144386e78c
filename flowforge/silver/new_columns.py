"""Columns that a source has got since the last batch: what the rows of before have in them, and which only changed their name.

At the source every row has a value in a new column that is NOT NULL, given by its default, and no delta column says that these
rows were changed. Guarantees: a constant default is put into silver's rows of before, as the server did where that came with the
column, and into a batch of before that comes late; a migration that fills a column first and makes it NOT NULL then looks the
same, so the run says what was taken for granted. Where it is not known what they have, the run says so and names the command
that reads them. A nullable column is NULL in them at the source too, unless it was added WITH VALUES: that is told, not guessed.
"""

import json
from dataclasses import dataclass, field
from typing import Any

from flowforge.domain.batch import Batch
from flowforge.domain.given import given
from flowforge.domain.scope import backfill_command
from flowforge.domain.source_columns import SourceColumn
from flowforge.engines.duckdb.sql import identifier
from flowforge.silver.defaults import constant
from flowforge.silver.drift import Drift
from flowforge.silver.plan import CURRENT, RefinePlan
from flowforge.silver.type_names import shown
from flowforge.tables.base import LakeTable

FILLED = "flowforge.filled"  # table property: {column: expression}, for batches of before that come late
COLUMN_IDS = "flowforge.columnIds"  # table property: {"object": the source's object_id, "ids": {column: column_id}}
EXCHANGED = (
    "column {} is another column of the same name at the source (dropped and added again, or names were exchanged)"
)


@dataclass
class NewColumns:
    """Of the columns that a batch adds: `fills` (name -> expression for the rows of before), `renamed` (name -> name before), and
    `changes`, a sentence for each."""

    fills: dict[str, str] = field(default_factory=dict)
    renamed: dict[str, str] = field(default_factory=dict)
    changes: dict[str, str] = field(default_factory=dict)


def column_ids(batch: Batch, plan: RefinePlan, table: LakeTable | None = None) -> dict[str, Any]:
    """What tells a column from another of the same name; empty where the source is no table, or said nothing. Of columns of
    `table` that the source no longer has, what was known of them."""
    ids = {name: column.column_id for name, column in declared_columns(batch, plan).items() if column.column_id}
    gone = {} if table is None else {name: n for n, name in _before(table, batch).items() if n not in ids.values()}
    ids = {name: n for name, n in gone.items() if name not in ids} | ids if ids else ids
    return {"object": batch.identity.get("object_id"), "ids": ids} if ids else {}


def exchanged_columns(table: LakeTable, batch: Batch, plan: RefinePlan) -> list[str]:
    """Columns under whose name the source has another column than it had: values of before are of the one that is gone."""
    before = {name: number for number, name in _before(table, batch).items()}
    declared = declared_columns(batch, plan)
    return [
        n for n, column in declared.items() if column.column_id and before.get(n, column.column_id) != column.column_id
    ]


def look_at(table: LakeTable, batch: Batch, plan: RefinePlan, drift: Drift, types: dict[str, str]) -> NewColumns:
    """What is to be done and told about the added columns of `drift`; `types` are the table's."""
    found = NewColumns()
    declared = declared_columns(batch, plan)
    if not table.count():
        return found
    is_part = reads_part(batch)
    before = _before(table, batch)
    late = batch.identity.get("late_columns", [])
    for name, kind in drift.added.items():
        column = declared.get(name)
        if column is None or column.of is not None:
            continue
        again = reading_again(batch, plan, column)
        if column.name in late:  # it has values at the source, whatever its default
            found.changes[name] = (
                f"column {name} was left out until now ({shown(kind)}): rows of before have NULL here until they are read "
                f"again ({again})"
            )
            continue
        old = before.get(column.column_id)
        if old in drift.dropped and types[old] == kind:
            found.renamed[name] = old
            found.changes[name] = f"column {old} is called {name} at the source now; silver keeps {old} as it was" + (
                f", and rows of before have NULL in {name} until they are read again ({again})" if is_part else ""
            )
        elif is_part:
            _fill_or_tell(found, name, kind, column, plan, again)
    return found


def told_exchanged(batch: Batch, plan: RefinePlan, names: list[str]) -> list[str]:
    """A sentence for each exchanged column, where rows of before are not read again by this very batch."""
    declared = declared_columns(batch, plan)
    return [
        f"{EXCHANGED.format(name)}: rows of before keep what they had here until they are read again "
        f"({reading_again(batch, plan, declared[name])})"
        for name in (names if reads_part(batch) else [])
    ]


def reads_part(batch: Batch) -> bool:
    """Whether the batch leaves rows of before as they are."""
    part = batch.interval.files or batch.interval.low or (batch.interval.window and not batch.reads_all_loaded)
    return bool(part) and not batch.reads_all


def reading_again(batch: Batch, plan: RefinePlan, column: SourceColumn) -> str:
    """What brings a column's values to the rows of before."""
    reset = f"flowforge watermark reset {batch.command.bronze.table} --yes, then load again: that reads every row"
    by_key = batch.interval.column is not None and not plan.keyless and plan.strategy in ("merge", "scd2")
    return f"{backfill_command(column.at_source)}; or {reset}" if by_key else reset


def filled_before(table: LakeTable) -> dict[str, str]:
    """The defaults that rows of before have got: column -> expression."""
    return json.loads(table.properties().get(FILLED, "{}"))


def _fill_or_tell(found: NewColumns, name: str, kind: str, column: SourceColumn, plan: RefinePlan, again: str) -> None:
    told = f"column {name} is new ({shown(kind)})"
    value = constant(column)
    fillable = not plan.keyless and plan.strategy in ("merge", "replace", "scd2")
    if not column.nullable and not column.computed and value is not None and fillable:
        filled = f"CAST({value} AS {kind})"
        found.fills[name] = f"CASE WHEN {identifier(CURRENT)} THEN {filled} END" if plan.keeps_history else filled
        found.changes[name] = (
            f"{told}; rows of before got its default {column.default}, which the server fills in where a column is added "
            f"NOT NULL: if an UPDATE has filled it instead, or it had another default then, read them again ({again})"
        )
    elif not column.nullable or column.computed:
        what = (
            "is computed"
            if column.computed
            else f"has the default {column.default}"
            if column.default
            else "is NOT NULL"
        )
        found.changes[name] = f"{told} and {what}: rows of before have a value at the source and NULL here ({again})"
    elif column.default:
        found.changes[name] = (
            f"{told} with the default {column.default}: rows of before have NULL here, and at the source too unless it was "
            f"added WITH VALUES ({again})"
        )


def _before(table: LakeTable, batch: Batch) -> dict[int, str]:
    """The columns of the last batch by their id, where that was the same object of the source."""
    stored = json.loads(table.properties().get(COLUMN_IDS, "{}"))
    if not stored or stored.get("object") != batch.identity.get("object_id"):
        return {}
    return {number: name for name, number in stored["ids"].items()}


def declared_columns(batch: Batch, plan: RefinePlan) -> dict[str, SourceColumn]:
    """The source's columns by their names in silver."""
    return dict(zip(plan.source, given(batch.manifest).columns, strict=False))
