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

from flowforge.domain.batch import order_of
from flowforge.domain.cut import Cut
from flowforge.domain.given import given
from flowforge.domain.own_columns import (
    ADDED,
    CURRENT,
    DELETED,
    GENERATION,
    INTERNAL,
    MATCHED,
    OCCURRENCE,
    ROW_HASH,
    SEQ,
    SOURCE_FILE,
    SURROGATE,
    VALID_FROM,
    VALID_TO,
    audit_of,
)
from flowforge.domain.source_key import is_of_files
from flowforge.engines.duckdb.folding import COUNT, Fold
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
    table is as of with it. `landed`: how many rows its objects have, of which each brings one at most; None where the rows that
    are applied are others.
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
    landed: int | None = None

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
