"""Which columns a batch may bring to a silver table that exists.

Guarantees: a column that the table lacks is added (its older rows have NULL). A column that is gone, has another type or another
case of its name, another key, or another source is refused before anything is written, and the error tells which and what to do.
"""

import duckdb
from arro3.core import RecordBatchReader
from deltalake import DeltaTable, Schema

from flowforge.errors import ConflictingTarget, RefineRefused
from flowforge.lake.sql import identifier
from flowforge.lake.tables import allow_naive_timestamps, once, relation
from flowforge.silver.plan import ADDED, AUDIT, RefinePlan
from flowforge.state.batch import Batch


def admit(
    connection: duckdb.DuckDBPyConnection,
    table: DeltaTable,
    batch: Batch,
    plan: RefinePlan,
    rows: duckdb.DuckDBPyRelation,
) -> duckdb.DuckDBPyRelation:
    """Checks the batch against the table and adds the columns that the table lacks, in a commit of its own; returns the batch's
    rows with NULL in the columns that only the table has.

    Raises ConflictingTarget and RefineRefused.
    """
    where = f"silver.{batch.command.silver.table}"
    _same_owner(table, batch, plan, where)
    present = relation(connection, table)
    ours, theirs = plan.columns, dict(zip(present.columns, map(str, present.types), strict=True))
    problems = [
        f"column {name} was {theirs[name]} and is {kind} now"
        for name, kind in ours.items()
        if name in theirs and kind != theirs[name]
    ]
    problems += [f"column {name} is gone" for name in theirs if name not in ours and name not in (*AUDIT, *ADDED)]
    folded = {name.lower(): name for name in theirs}
    problems += [
        f"column {folded[name.lower()]} is called {name} now"
        for name in ours
        if name not in theirs and name.lower() in folded
    ]
    if problems:
        raise RefineRefused(
            f"{where}: the source's columns changed: {'; '.join(problems)}",
            "load the table into a new silver table (silverConfig.tableName), or undo the change in the source",
        )
    added = {name: kind for name, kind in ours.items() if name not in theirs}
    if added:
        allow_naive_timestamps(table, list(added.values()))
        empty = RecordBatchReader.from_arrow(rows.project(", ".join(map(identifier, added))).limit(0))
        table.alter.add_columns(Schema.from_arrow(empty.schema).fields, commit_properties=once())
    nulls = [f"CAST(NULL AS {kind}) AS {identifier(name)}" for name, kind in theirs.items() if name not in ours]
    return rows.project(", ".join(["*", *nulls]))


def _same_owner(table: DeltaTable, batch: Batch, plan: RefinePlan, where: str) -> None:
    owner = table.metadata().configuration.get("flowforge.sourceKey", batch.source_key)
    if owner != batch.source_key:
        raise ConflictingTarget(
            f"{where} belongs to {owner}, this batch is of {batch.source_key}",
            "name another silver table in silverConfig.tableName",
        )
    kept = table.metadata().configuration.get("flowforge.identity", plan.identity_text)
    if kept != plan.identity_text:
        raise RefineRefused(
            f"{where} tells rows apart by {kept}, this batch by {plan.identity_text}",
            "keep primaryKey and mergeStrategy, or load into a new silver table",
        )
