"""What a comparison of silver with its source is asked, and what it finds; values only."""

from dataclasses import asdict, dataclass, field
from typing import Any

from flowforge.domain.interval import Interval, RowCondition

ROWS_PER_RANGE = 100_000


@dataclass(frozen=True)
class Question:
    """What is compared: a source table with a silver table, up to a watermark (column, SQL type and bound) where there is one.
    `where` are the conditions that silver's rows fit: others at the source are none of its business;
    `protected` columns are not compared, since silver has other values in them;
    `renamed` are columns of the source with their names in silver, `casts` those that loads have as another type, with it."""

    source_table: str
    silver_table: str
    column: str | None = None
    sql_type: str | None = None
    bound: str | None = None
    rows_per_range: int = ROWS_PER_RANGE
    where: tuple[RowCondition, ...] = ()
    protected: tuple[str, ...] = ()
    renamed: dict[str, str] = field(default_factory=dict)
    casts: dict[str, str] = field(default_factory=dict)

    def interval(self, newer: bool = False) -> Interval:
        """The rows below the bound, or those from it on."""
        low, high = (self.bound, None) if newer else (None, self.bound)
        where = list(self.where)
        return Interval(column=self.column, sql_type=self.sql_type, low=low, high=high, nulls=not newer, where=where)


@dataclass(frozen=True)
class RangeResult:
    """One range of keys, first to last in the source's order; counts are rows, checksums cover key and columns."""

    first: list[str | None]
    last: list[str | None]
    source_rows: int
    silver_rows: int
    missing: int
    changed: int
    source_checksum: str
    silver_checksum: str
    examples: list[str] = field(default_factory=list)
    in_quarantine: int = 0

    @property
    def differs(self) -> bool:
        """Whether silver lacks rows of the range or holds other ones."""
        return bool(self.missing or self.changed)


@dataclass(frozen=True)
class Result:
    """The comparison. `only_in_silver` rows have no row at the source: deleted there, where deletes are not loaded, or hidden
    from the login that compares, where `rests_on` tells of such rows. `in_quarantine` are rows that silver has kept out as the
    source has them: no difference."""

    source_rows: int
    silver_rows: int
    newer_rows: int
    only_in_silver: int
    only_in_silver_examples: list[str]
    ranges: list[RangeResult]
    columns: list[str]
    not_compared: list[str]
    by_key: bool
    rests_on: list[str] = field(default_factory=list)
    in_quarantine: int = 0

    @property
    def differs(self) -> bool:
        """Whether anything is different."""
        counted = not self.by_key and self.source_rows != self.silver_rows + self.in_quarantine
        return counted or bool(self.only_in_silver) or any(one.differs for one in self.ranges)

    def document(self) -> dict[str, Any]:
        """The result as JSON has it."""
        return {"differs": self.differs, **asdict(self)}
