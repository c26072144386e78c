"""Column lineage of the steps that are no SQL: what bronze and silver make of a source's columns, and gold's published copies.

Guarantees: pure. Names that differ only by case are the same column, as they are in SQL Server and in Delta.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

from events.targets import SilverTarget, SourceTable
from flowforge.domain.batch import Batch
from flowforge.domain.own_columns import audit_of
from flowforge.domain.source_columns import SourceColumn
from flowforge.lineage.origins import DIRECT, IDENTITY, INDIRECT, TRANSFORMATION, ColumnLineage, Origin, Role
from flowforge.silver.plan import CURRENT, OCCURRENCE, ROW_HASH, SURROGATE, VALID_FROM, VALID_TO, own_names

HASHED = Role(DIRECT, "TRANSFORMATION", masking=True)


def bronze_columns(columns: Sequence[SourceColumn], source: str) -> ColumnLineage:
    """Bronze's columns are the source's; a derived column is computed from the column that it stands beside."""
    made = {
        column.name: Origin(source, column.of, TRANSFORMATION)
        if column.of
        else Origin(source, column.at_source, _role(column))
        for column in columns
    }
    return ColumnLineage({name: frozenset({origin}) for name, origin in made.items()})


def _role(column: SourceColumn) -> Role:
    if column.protection:
        return HASHED
    return TRANSFORMATION if column.cast_from else IDENTITY


def silver_columns(batch: Batch, present: Collection[str], bronze: str) -> ColumnLineage:
    """Silver's columns (`present`) are bronze's, and those that silver adds; rows are matched by key and kept out by rules."""
    names = [column.name for column in batch.manifest.columns] if batch.manifest else []
    cursor = None if batch.interval.is_tracked else batch.interval.column
    if batch.only_keys:  # which says nothing of the other columns: they are as they were
        own = own_names(batch.source_key)
        names = [name for name in present if name not in own]
        cursor = batch.command.source.delta_column if isinstance(batch.command.source, SourceTable) else None
    key = _key(batch, names)
    hashed = {Origin(bronze, name, HASHED) for name in key or names}
    added = {SURROGATE: hashed, ROW_HASH: hashed, OCCURRENCE: set()}
    if cursor:
        dated = {Origin(bronze, cursor, TRANSFORMATION)}
        added |= {VALID_FROM: dated, VALID_TO: dated, CURRENT: dated}
    passed = _same_names([*names, *audit_of(bool(batch.interval.files))], present, bronze)
    fields = {name: frozenset(added.get(name, passed.get(name, ()))) for name in present}
    return ColumnLineage(fields, frozenset(_rows(batch.command.silver, key, bronze)))


def copied_columns(present: Iterable[str], source: str) -> ColumnLineage:
    """A published copy has its silver table's columns as they are."""
    return ColumnLineage({name: frozenset({Origin(source, name)}) for name in present})


def placed_columns(lineage: ColumnLineage, present: Sequence[str]) -> ColumnLineage:
    """The lineage of a model under the names that its table has: DuckDB names a column without alias in its own way, so they
    are told apart by their place."""
    if len(lineage.fields) != len(present):
        known = {name.lower(): origins for name, origins in lineage.fields.items()}
        return ColumnLineage({name: known.get(name.lower(), frozenset()) for name in present}, lineage.rows)
    return ColumnLineage(dict(zip(present, lineage.fields.values(), strict=True)), lineage.rows)


def _key(batch: Batch, names: Sequence[str]) -> list[str]:
    key = batch.command.silver.primary_key or (batch.manifest.primary_key if batch.manifest else [])
    declared = {name.lower(): name for name in names}
    return [declared[name.lower()] for name in key if name.lower() in declared]


def _same_names(names: Iterable[str], present: Iterable[str], table: str) -> Mapping[str, set[Origin]]:
    declared = {name.lower(): name for name in names}
    return {name: {Origin(table, declared[name.lower()])} for name in present if name.lower() in declared}


def _rows(silver: SilverTarget, key: Iterable[str], bronze: str) -> set[Origin]:
    ruled = {name for rule in silver.quality_rules if rule.severity == "quarantine" for name in rule.about}
    matched = {Origin(bronze, name, Role(INDIRECT, "JOIN")) for name in key}
    return matched | {Origin(bronze, name, Role(INDIRECT, "FILTER")) for name in ruled}
