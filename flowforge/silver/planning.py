"""From a batch to the plan of what it means for its silver table (`silver.plan`).

Guarantees: pure; a batch that silver cannot take is refused before a row is read, with the remedy.
"""

from flowforge.domain.batch import Batch
from flowforge.domain.errors import TransformRejected
from flowforge.domain.given import given
from flowforge.domain.own_columns import (
    ADDED,
    CHANGE_TYPE,
    CHANGE_VERSION,
    INTERNAL,
    OURS,
    ROW_NUMBER,
)
from flowforge.engines.duckdb.folding import COUNT, folds_of
from flowforge.silver.plan import RefinePlan


def plan_refine(batch: Batch, bronze: dict[str, str], kept_key: list[str] | None = None) -> RefinePlan:
    """Plans a batch whose bronze objects have the columns `bronze` (name -> DuckDB type, in order); `kept_key` is the key that
    a person has decided to keep, whatever the source says.

    DuckDB numbers names that differ only by case (`ID`, `id_1`), and Delta cannot have both: silver takes the numbered names.
    Raises TransformRejected when bronze lacks a column or the key is not among them.
    """
    manifest, silver = given(batch.manifest), batch.command.silver
    where = f"silver.{silver.table}"
    names, declared = list(bronze), [column.name for column in manifest.columns]
    renamed = dict(zip(declared, names, strict=False))
    if len(names) < len(declared) or any(not _same(a, b) for a, b in renamed.items()):
        raise TransformRejected(
            f"{where}: the bronze objects of {batch.name} do not have the columns of its manifest",
            "something else has written them: bring back what the batch landed, and replay it (flowforge replay --run RUN)",
        )
    taken = [name for name in declared if name.lower() in {*INTERNAL, *ADDED} or name.lower().startswith(OURS)]
    if taken:
        raise TransformRejected(
            f"{where}: source columns {', '.join(taken)} have names that silver needs itself",
            "load the table by databaseConfig.query, which gives them other names, or leave them out (databaseConfig.columns)",
        )
    key = _key(kept_key or silver.primary_key or manifest.primary_key, renamed, where)
    if silver.strategy == "scd2" and not key:
        raise TransformRejected(
            f"{where}: {batch.command.bronze.table} has no primary key, and history is kept by key",
            "name the key in silverConfig.primaryKey, or write mergeStrategy merge (one row for each content)",
        )
    whole = batch.interval.is_whole_table  # all that the source has: no row of it needs an order
    changes = (
        ()
        if whole
        else _change_order(names[len(declared) :], bool(key) and silver.strategy in ("merge", "scd2"), where)
    )
    own_key = {_find(name, renamed) for name in manifest.primary_key}
    uniques = [own_key, *({_find(name, renamed) for name in names} for names in manifest.unique_keys)]
    tells_apart = any(unique and unique <= set(key) for unique in uniques)
    digits = {renamed[c.of]: renamed[c.name] for c in manifest.columns if c.derivation == "digit" and c.of in renamed}
    key = list(dict.fromkeys(part for name in key for part in (name, digits.get(name, name))))
    full = batch.refreshes and silver.deletes != "ignore" and not batch.only_keys
    folds = {
        name: fold
        for name, fold in folds_of(manifest.columns).items()
        if silver.key_comparison == "source" or fold.kind == COUNT
    }
    may_be_null = {renamed[column.name] for column in manifest.columns if column.nullable and not column.derivation}
    return RefinePlan(
        source={name: bronze[name] for name in names[: len(declared)]},
        audit={name: bronze[name] for name in names[len(declared) :] if name not in (CHANGE_TYPE, CHANGE_VERSION)},
        key=key,
        cursor=_find(batch.interval.column, renamed) if batch.interval.column else None,
        strategy=silver.strategy,
        refreshes=silver.strategy == "replace" or (silver.strategy in ("merge", "scd2") and full),
        deletes=silver.deletes,
        source_key=batch.source_key,
        generation=batch.generation,
        seq=batch.seq,
        loaded_at=round(batch.claimed_at * 1_000_000),
        epoch=batch.epoch,
        folds={renamed[name]: fold for name, fold in folds.items()},
        nullable=tuple(name for name in key if name in may_be_null - own_key and silver.null_keys == "match"),
        source_tells_apart=tells_apart,
        below=tuple(batch.interval.below),
        change_order=changes,
        tells_part=(batch.interval.column is None or batch.interval.is_tracked) and not batch.reads_all,
        files={file.key: file.place_id for file in batch.interval.files},
        only_keys=batch.only_keys,
        cut=batch.interval.cut,
        landed=manifest.rows,
        replaces_files=batch.interval.replaces and (silver.strategy == "append" or silver.deletes != "ignore"),
    )


def _change_order(brought: list[str], has_place: bool, where: str) -> tuple[str, ...]:
    """The columns that order the changes of a key; none where the rows are no changes."""
    if CHANGE_TYPE not in brought:
        return ()
    found = tuple(name for name in (CHANGE_VERSION, ROW_NUMBER) if name in brought)
    if not has_place or not found:
        raise TransformRejected(
            f"{where}: changes need a key to be applied by, mergeStrategy merge or scd2, and an order",
            "set silverConfig.primaryKey and mergeStrategy, and bronzeConfig.auditColumns to true",
        )
    return found


def _key(wanted: list[str], renamed: dict[str, str], where: str) -> list[str]:
    found = {name: _find(name, renamed) for name in wanted}
    missing = [name for name, column in found.items() if column is None]
    if missing:
        raise TransformRejected(
            f"{where}: key column {', '.join(missing)} is not among the source's columns",
            f"name key columns that exist: {', '.join(renamed)}",
        )
    return list(dict.fromkeys(column for column in found.values() if column is not None))


def _find(name: str, renamed: dict[str, str]) -> str | None:
    """The column as written, else the only one that differs by case (SQL Server's names usually ignore it)."""
    if name in renamed:
        return renamed[name]
    alike = [column for declared, column in renamed.items() if declared.lower() == name.lower()]
    return alike[0] if len(alike) == 1 else None


def _same(declared: str, name: str) -> bool:
    return name.lower() == declared.lower() or name.lower().startswith(f"{declared.lower()}_")
