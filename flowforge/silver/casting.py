"""Values of one type as values of another, or not at all: the table's when a type changes, a batch's when the table's is another.

Guarantees: a value that would become another one, or none, is counted before anything is written, and refused.
"""

import json

import duckdb
from deltalake import DeltaTable, write_deltalake

from flowforge.errors import RefineRefused
from flowforge.lake.sql import identifier
from flowforge.lake.tables import allow_naive_timestamps, once
from flowforge.silver.plan import RefinePlan


def retype(
    table: DeltaTable, present: duckdb.DuckDBPyRelation, wanted: dict[str, str], plan: RefinePlan, where: str
) -> None:
    """Rewrites the table with the new types, in one commit; refused when a value would not survive."""
    _count_misfits(present, wanted, f"{where} holds")
    allow_naive_timestamps(table, list(wanted.values()))
    items = [
        f"CAST({identifier(name)} AS {wanted[name]}) AS {identifier(name)}" if name in wanted else identifier(name)
        for name in present.columns
    ]
    mark = {f"flowforge/{plan.source_key}/columns": plan.order}
    write_deltalake(
        table,
        present.project(", ".join(items)),
        mode="overwrite",
        schema_mode="overwrite",
        commit_properties=once(mark, {"flowforge.retyped": json.dumps(wanted)}),
    )


def fitted(
    rows: duckdb.DuckDBPyRelation, plan: RefinePlan, types: dict[str, str], where: str
) -> duckdb.DuckDBPyRelation:
    """The rows in the table's types, with NULL in the columns that only the table has."""
    kinds = plan.columns
    cast = {name: types[name] for name in kinds if types[name] != kinds[name]}
    _count_misfits(rows, cast, f"{where}: the batch brings")
    items = [
        f"CAST({identifier(name)} AS {cast[name]}) AS {identifier(name)}" if name in cast else identifier(name)
        for name in rows.columns
    ]
    items += [f"CAST(NULL AS {kind}) AS {identifier(name)}" for name, kind in types.items() if name not in rows.columns]
    return rows.project(", ".join(items))


def _count_misfits(rows: duckdb.DuckDBPyRelation, wanted: dict[str, str], what: str) -> None:
    """Raises RefineRefused when values cannot become the wanted types; no value is repeated."""
    if not wanted:
        return
    before = dict(zip(rows.columns, map(str, rows.types), strict=True))
    counts = ", ".join(f"count(*) FILTER ({_misfit(name, before[name], kind)})" for name, kind in wanted.items())
    found = rows.aggregate(counts).fetchone()
    misfits = [
        f"{n} values of {name} that are no {kind}" for n, (name, kind) in zip(found, wanted.items(), strict=True) if n
    ]
    if misfits:
        remedy = "decide on a type that holds them all, VARCHAR does: flowforge schema TABLE --type COLUMN=TYPE"
        raise RefineRefused(f"{what} {', '.join(misfits)}", remedy)


def _misfit(name: str, before: str, after: str) -> str:
    """Whether a value is another one, or none, in the new type. Text is compared as the number that it stands for."""
    value, comparable = identifier(name), before
    cast = f"TRY_CAST({value} AS {after})"
    if before == "VARCHAR":
        if not after.startswith(("DECIMAL", "SMALLINT", "INTEGER", "BIGINT")):
            return f"{value} IS NOT NULL AND {cast} IS NULL"
        comparable = "DECIMAL(38,18)"
    return (
        f"{value} IS NOT NULL AND ({cast} IS NULL OR TRY_CAST({cast} AS {comparable}) "
        f"IS DISTINCT FROM TRY_CAST({value} AS {comparable}))"
    )
