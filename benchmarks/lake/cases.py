"""The cases, and who takes part in which."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.contenders import ROOT, environment
from benchmarks.lake.rows import CLUSTERED, RANDOM

OURS, PLAIN, ICEBERG, DLT = "FlowForge", "deltalake.merge", "pyiceberg upsert", "dlt delta"
WIDE = "deltalake.merge, FlowForge's columns"
CASE_SECONDS = 120
SMALL_FILES = 250  # that compaction finds
OF_GOLD = ("gold", "copy")  # a model, and all rows as they are


@dataclass(frozen=True)
class Case:
    """What is done to a table of `table_rows`: merge, scd2, gold, copy or compact; with a batch of `rows`, where there is one."""

    kind: str
    table_rows: int
    rows: int = 0
    spread: str = ""

    @property
    def name(self) -> str:
        """As it stands in the table of results."""
        if self.rows:
            return f"{self.kind}, {_short(self.rows)} {self.spread} into {_short(self.table_rows)}"
        return f"{self.kind}, {_short(self.table_rows)}"

    @property
    def table(self) -> str:
        """The name of the table that the case changes, and of its bronze objects."""
        return "_".join([self.kind, *([_short(self.rows).lower(), self.spread] if self.rows else [])])


@dataclass(frozen=True)
class Contender:
    """`kinds`: the cases that it offers."""

    name: str
    says: str
    kinds: tuple[str, ...]
    command: tuple[str, ...]
    requirements: str | None = None

    def prepared(self) -> list[str]:
        """The whole command, its environment installed. Raises Unavailable."""
        python = sys.executable if self.requirements is None else str(environment(self.requirements))
        return [python, *self.command]


def _script(name: str) -> tuple[str, ...]:
    return (str(ROOT / "benchmarks" / "peers" / name),)


CONTENDERS = {
    contender.name: contender
    for contender in (
        Contender(
            OURS,
            "the product's own step on landed bronze objects, with the memory setting of its function",
            ("merge", "scd2", "gold", "copy", "compact"),
            ("-m", "benchmarks.lake.ours"),
        ),
        Contender(
            PLAIN,
            "a script: pyarrow reads the batch, `DeltaTable.merge`; scd2 in one merge of closed and new versions; gold by"
            " `QueryBuilder`; a copy by `write_deltalake` of a pyarrow dataset; `optimize.compact`",
            ("merge", "scd2", "gold", "copy", "compact"),
            (*_script("delta_merge.py"), "plain"),
        ),
        Contender(
            WIDE,
            "the same script on rows that have what silver keeps of each: surrogate key, generation and number of its batch",
            ("merge", "scd2"),
            (*_script("delta_merge.py"), "wide"),
        ),
        Contender(
            ICEBERG,
            "pyarrow reads the batch, `Table.upsert`, SQLite catalog; it offers no history and no compaction",
            ("merge",),
            _script("iceberg_upsert.py"),
            "pyiceberg",
        ),
        Contender(
            DLT,
            "filesystem destination, table format delta, strategy upsert; it offers no history there",
            ("merge",),
            _script("dlt_delta.py"),
            "dlt-delta",
        ),
    )
}


def cases(table_rows: int, kinds: Sequence[str], batches: Sequence[int]) -> list[Case]:
    """The cases of a table of so many rows."""
    found = [
        Case(kind, table_rows, rows, spread)
        for kind in ("merge", "scd2")
        for rows in batches
        for spread in (CLUSTERED, RANDOM)
        if kind in kinds
    ]
    return found + [Case(kind, table_rows) for kind in ("gold", "copy", "compact") if kind in kinds]


def _short(rows: int) -> str:
    return f"{rows // 1_000_000}M" if rows >= 1_000_000 else f"{rows // 1000}k"
