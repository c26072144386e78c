"""What a batch means for its silver table, decided before a row is read.

Guarantees: pure. The plan names the identity of a row, the order within the batch and what happens to rows that the batch does
not have, for every combination of load strategy, merge strategy, key and cursor:

    strategy      with a key             without a key              rows that a full refresh does not have (`deletes`)
    merge         a row per key          a row per content          hard: removed; soft: _is_deleted; ignore: stay
    replace       a row per key          a row per content          removed, by every batch
    append        (key, cursor)          a row per content          stay; without a cursor every batch is simply added
    scd2          (key, _valid_from)     refused                    soft: their version is closed; ignore: stays open

"A row per content" is identity by (hash of the source columns, occurrence within the batch). Removed, marked or closed are only
rows of an earlier batch than this one.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from flowforge.domain.batch import Batch, order_of
from flowforge.domain.cut import Cut
from flowforge.domain.errors import TransformRejected
from flowforge.domain.given import given
from flowforge.domain.own_columns import (
    ADDED,
    CHANGE_TYPE,
    CHANGE_VERSION,
    CURRENT,
    DELETED,
    GENERATION,
    INTERNAL,
    MATCHED,
    OCCURRENCE,
    OURS,
    ROW_HASH,
    ROW_NUMBER,
    SEQ,
    SOURCE_FILE,
    SURROGATE,
    VALID_FROM,
    VALID_TO,
    audit_of,
)
from flowforge.domain.source_key import is_of_files
from flowforge.engines.duckdb.folding import COUNT, Fold, folds_of
from flowforge.engines.duckdb.sql import literal
from flowforge.engines.duckdb.types import stored_type

MOMENTS = ("DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class RefinePlan:
    """How one batch is refined. `source` and `audit` are bronze columns (name -> DuckDB type) in their order; `loaded_at` is the
    batch's own time in microseconds since 1970 (UTC). `folds` are those of the source columns whose equal values may look
    different, `nullable` the key columns in which NULL is a value. `source_tells_apart`: no two rows of one read have one key.
    `below` are sequence numbers, from and to, of batches of the generation that came before and whose rows count as later;
    `above` are those of later ones for which this batch is one of them.
    `tells_part`: nothing but order tells when its rows were so, and it says nothing of keys that it lacks, as a file of changes.
    `files` are the keys of the files that it reads, each with a short name of its place; `replaces_files`: what earlier batches
    have brought of them is gone. `only_keys`: it has no rows, but the keys of all that the source has. `change_order` are bronze
    columns by which the changes of a key follow each other; none: the rows are no changes. `cut`: the moment that the
    table is as of with it.
    """

    source: dict[str, str]
    audit: dict[str, str]
    key: list[str]
    cursor: str | None
    strategy: str
    refreshes: bool
    deletes: str
    source_key: str
    generation: int
    seq: int
    loaded_at: int
    epoch: str = ""
    folds: dict[str, Fold] = field(default_factory=dict)
    nullable: tuple[str, ...] = ()
    source_tells_apart: bool = False
    below: tuple[tuple[int, int], ...] = ()
    above: tuple[int, ...] = ()
    tells_part: bool = False
    change_order: tuple[str, ...] = ()
    files: dict[str, str] = field(default_factory=dict)
    replaces_files: bool = False
    only_keys: bool = False
    cut: Cut | None = None

    @property
    def own_names(self) -> set[str]:
        """The names of columns that are none of the source's."""
        return own_names(self.source_key)

    @property
    def key_folds(self) -> dict[str, Fold]:
        """The folds of key columns."""
        return {name: self.folds[name] for name in self.key if name in self.folds}

    @property
    def digits(self) -> list[str]:
        """The key columns that hold the seventh digit of another one."""
        return [name for name, fold in self.key_folds.items() if fold.kind == COUNT]

    @property
    def matches(self) -> dict[str, str]:
        """Key column -> the column of staged rows by which keys are compared: itself, or one with its form."""
        return {name: f"{MATCHED}{n}" if name in self.folds else name for n, name in enumerate(self.key)}

    @property
    def keyless(self) -> bool:
        """Rows are told apart by their content."""
        return not self.key

    @property
    def adds_only(self) -> bool:
        """Every row of every batch is added, without a look at what is there."""
        return self.strategy == "append" and self.cursor is None

    @property
    def keeps_history(self) -> bool:
        """Every state of a key is a row."""
        return self.strategy == "scd2"

    @property
    def moment(self) -> str | None:
        """The cursor column where it is a time: it tells since when a state holds. Other batches tell it by their own time."""
        kind = stored_type(self.source[self.cursor]) if self.cursor else None
        return self.cursor if kind in MOMENTS else None

    @property
    def loaded_at_text(self) -> str:
        """`loaded_at` as a timestamp without zone."""
        return (EPOCH + timedelta(microseconds=self.loaded_at)).replace(tzinfo=None).isoformat(sep=" ")

    @property
    def distinct(self) -> list[str]:
        """The columns that tell rows of one batch apart."""
        if self.keeps_history:
            return [*self.key, self.moment] if self.moment and self.moment not in self.key else self.key
        return self.identity

    @property
    def identity(self) -> list[str]:
        """The silver columns that tell rows apart; empty where rows are only added."""
        if self.adds_only:
            return []
        if self.keeps_history:
            return [*self.key, VALID_FROM]
        if self.keyless:
            return [ROW_HASH, OCCURRENCE]
        states = self.strategy == "append" and self.cursor is not None and self.cursor not in self.key
        return [*self.key, given(self.cursor)] if states else self.key

    @property
    def identity_text(self) -> str:
        """The identity in words, kept in the table's properties: a table never changes it."""
        return ", ".join(name for name in self.identity if name not in self.digits) or "nothing: rows are only added"

    @property
    def order(self) -> int:
        """Position of the batch among the batches of its source: later is greater."""
        return order_of(self.generation, self.seq)

    def is_below(self, generation: int, seq: int) -> bool:
        """Whether an earlier batch counts as later."""
        return generation == self.generation and any(first <= seq <= last for first, last in self.below)

    @property
    def of_its_files(self) -> str:
        """The condition for rows of the batch's files, in whatever version."""
        return f"{SOURCE_FILE} IN ({', '.join(map(literal, self.files))})"

    @property
    def follows_changes(self) -> bool:
        """The rows tell what became of their keys."""
        return bool(self.change_order)

    @property
    def marks_deleted(self) -> bool:
        """Rows that are gone from the source stay, marked."""
        return self.strategy == "merge" and self.deletes == "soft"

    @property
    def columns(self) -> dict[str, str]:
        """Silver's columns with their DuckDB types."""
        stored = {name: stored_type(kind) for name, kind in {**self.source, **self.audit}.items()}
        stored |= {GENERATION: "INTEGER", SEQ: "BIGINT"}
        if self.keyless and not self.adds_only:
            stored |= {ROW_HASH: "VARCHAR", OCCURRENCE: "INTEGER"}
        if not self.adds_only:
            stored |= {SURROGATE: "VARCHAR"}
        if self.marks_deleted:
            stored |= {DELETED: "BOOLEAN"}
        if self.keeps_history:
            stored |= {VALID_FROM: "TIMESTAMP", VALID_TO: "TIMESTAMP", CURRENT: "BOOLEAN"}
        return stored


def own_names(source_key: str) -> set[str]:
    """The names in silver that are none of the source's columns."""
    return {*audit_of(is_of_files(source_key)), *ADDED, *INTERNAL}


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
    full = (whole or batch.command.bronze.load_strategy == "full_refresh") and silver.deletes != "ignore"
    full = full and not batch.only_keys
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
