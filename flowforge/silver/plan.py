"""What a batch means for its silver table, decided before a row is read.

Guarantees: pure. The plan names the identity of a row, the order within the batch and what happens to rows that the batch does
not have, for every combination of load strategy, merge strategy, key and cursor:

    strategy      with a key          without a key              rows not in the batch
    merge         a row per key       a row per content          stay (removed by loadStrategy full_refresh)
    replace       a row per key       a row per content          removed
    append        (key, cursor)       a row per content          stay; without a cursor every batch is simply added

"A row per content" is identity by (hash of the source columns, occurrence within the batch). Removed are only rows of an earlier
batch than this one.
"""

from dataclasses import dataclass

from flowforge.errors import RefineRefused
from flowforge.lake.types import stored_type
from flowforge.state.batch import Batch

GENERATION, SEQ = "_generation", "_seq"
ROW_HASH, OCCURRENCE = "_row_hash", "_occurrence"
APPLIES = "_flowforge_applies"  # of the staged rows only: false where the key is in the batch, but which row is unclear
INTERNAL = (GENERATION, SEQ, ROW_HASH, OCCURRENCE)
AUDIT = ("_batch_id", "_ingestion_time", "_source_system", "_source_file", "_file_modified_time")
SEQ_BITS = 40  # generation and seq in one comparable integer, for the refresh mark


@dataclass(frozen=True)
class RefinePlan:
    """How one batch is refined. `source` and `audit` are bronze columns (name -> DuckDB type) in their order."""

    source: dict[str, str]
    audit: dict[str, str]
    key: list[str]
    cursor: str | None
    strategy: str
    refreshes: bool
    generation: int
    seq: int

    @property
    def keyless(self) -> bool:
        """Rows are told apart by their content."""
        return not self.key

    @property
    def adds_only(self) -> bool:
        """Every row of every batch is added, without a look at what is there."""
        return self.strategy == "append" and self.cursor is None

    @property
    def identity(self) -> list[str]:
        """The silver columns that tell rows apart; empty where rows are only added."""
        if self.adds_only:
            return []
        if self.keyless:
            return [ROW_HASH, OCCURRENCE]
        return [*self.key, self.cursor] if self.strategy == "append" and self.cursor not in self.key else self.key

    @property
    def identity_text(self) -> str:
        """The identity in words, kept in the table's properties: a table never changes it."""
        return ", ".join(self.identity) or "nothing: rows are only added"

    @property
    def order(self) -> int:
        """Position of the batch among the batches of its source: later is greater."""
        return self.generation << SEQ_BITS | self.seq

    @property
    def columns(self) -> dict[str, str]:
        """Silver's columns with their DuckDB types."""
        stored = {name: stored_type(kind) for name, kind in {**self.source, **self.audit}.items()}
        stored |= {GENERATION: "INTEGER", SEQ: "BIGINT"}
        if self.keyless and not self.adds_only:
            stored |= {ROW_HASH: "VARCHAR", OCCURRENCE: "INTEGER"}
        return stored


def plan_refine(batch: Batch, bronze: dict[str, str]) -> RefinePlan:
    """Plans a batch whose bronze objects have the columns `bronze` (name -> DuckDB type, in order).

    DuckDB numbers names that differ only by case (`ID`, `id_1`), and Delta cannot have both: silver takes the numbered names.
    Raises RefineRefused when bronze lacks a column or the key is not among them.
    """
    manifest = batch.manifest
    where = f"silver.{batch.command.silver.table}"
    names, declared = list(bronze), [column.name for column in manifest.columns]
    renamed = dict(zip(declared, names, strict=False))
    if len(names) < len(declared) or any(not _same(a, b) for a, b in renamed.items()):
        raise RefineRefused(f"{where}: the bronze objects of {batch.name} do not have the columns of its manifest")
    taken = [name for name in declared if name.lower() in {*INTERNAL, APPLIES}]
    if taken:
        raise RefineRefused(f"{where}: source columns {', '.join(taken)} have names that silver needs itself")
    source = {name: bronze[name] for name in names[: len(declared)]}
    strategy = batch.command.silver.strategy
    refreshes = strategy == "replace" or (strategy == "merge" and batch.command.bronze.load_strategy == "full_refresh")
    cursor = batch.interval.column
    return RefinePlan(
        source=source,
        audit={name: bronze[name] for name in names[len(declared) :]},
        key=_key(batch, renamed, where),
        cursor=_find(cursor, renamed) if cursor else None,
        strategy=strategy,
        refreshes=refreshes,
        generation=batch.generation,
        seq=batch.seq,
    )


def _key(batch: Batch, renamed: dict[str, str], where: str) -> list[str]:
    wanted = batch.command.silver.primary_key or batch.manifest.primary_key
    found = {name: _find(name, renamed) for name in wanted}
    missing = [name for name, column in found.items() if column is None]
    if missing:
        raise RefineRefused(
            f"{where}: key column {', '.join(missing)} is not among the columns of {batch.command.bronze.table}",
            f"name key columns that exist: {', '.join(renamed)}",
        )
    return list(dict.fromkeys(found.values()))


def _find(name: str, renamed: dict[str, str]) -> str | None:
    """The column as written, else the only one that differs by case (SQL Server's names usually ignore it)."""
    if name in renamed:
        return renamed[name]
    alike = [column for declared, column in renamed.items() if declared.lower() == name.lower()]
    return alike[0] if len(alike) == 1 else None


def _same(declared: str, name: str) -> bool:
    return name.lower() == declared.lower() or name.lower().startswith(f"{declared.lower()}_")
