"""The batch: one interval of one table, from claim to gold.

A batch is identified by (source key, generation, seq) and by its claim, which no other state can repeat. The record below is
what the watermark table keeps about it: all that a later attempt needs to finish the same batch, and all that silver needs to
apply it, so that nobody ever lists a bucket.
"""

from typing import Any, Literal

from pydantic import BaseModel, Field

from events.commands import IngestTable
from events.quality import QualityRule
from events.targets import GoldTarget, SourceFiles, SourceTable
from flowforge.domain.interval import Interval
from flowforge.domain.manifest import Manifest
from flowforge.domain.own_columns import CHANGE_TYPE, CHANGE_VERSION, audit_of
from flowforge.domain.slice_plan import SlicePlan

State = Literal["claimed", "landed", "committed", "refined", "empty", "voided"]
FOOTERS = 3  # version of what bronze objects tell of their batch
SEQ_BITS = 40  # generation and seq in one comparable integer


def order_of(generation: int, seq: int) -> int:
    """Position of a batch among the batches of its source: later is greater."""
    return generation << SEQ_BITS | seq


class Batch(BaseModel):
    """The record of one batch.

    `claim` is drawn when it is claimed, `epoch` when its table's state was new; both are empty in records of a version before.
    `lake` is the ETag of what the lake held of the source when the batch was claimed, empty for nothing. `attempts` counts the
    workers that have held the claim; `token` fences off earlier ones; `failed` tells that a slice was given up; `problem` says
    why the sweeper could not follow it up; `quarantined` rows were kept out of silver (None: not known);
    `rules` and `gold` are those of a later request that found nothing to load (None: there was none, or it had the same);
    `footers` is the version of what its objects tell of it. Times are in epoch seconds.
    """

    source_key: str
    generation: int
    seq: int
    state: State
    token: str
    lease_until: float
    label: str
    claim: str = ""
    epoch: str = ""
    lake: str = ""
    interval: Interval
    command: IngestTable
    identity: dict[str, Any] = Field(default_factory=dict)
    slices: SlicePlan | None = None
    manifest: Manifest | None = None
    watermark_before: str | None = None
    claimed_at: float = 0.0
    updated_at: float = 0.0
    attempts: int = 1
    failed: bool = False
    refined: bool = False
    published: bool = False
    problem: str = ""
    quarantined: int | None = None
    rules: list[QualityRule] | None = None
    gold: GoldTarget | None = None
    footers: int = 2

    @property
    def name(self) -> str:
        """Readable identity for logs and errors."""
        return f"{self.source_key} generation {self.generation} batch {self.seq}"

    @property
    def order(self) -> int:
        """Position of the batch among the batches of its source."""
        return order_of(self.generation, self.seq)

    @property
    def rules_in_force(self) -> list[QualityRule]:
        """Where it is its table's newest batch: the quality rules of the newest request."""
        return self.command.silver.quality_rules if self.rules is None else self.rules

    @property
    def gold_in_force(self) -> GoldTarget:
        """Where it is its table's newest batch: how the newest request wants gold."""
        return self.command.gold if self.gold is None else self.gold

    @property
    def moves_watermark(self) -> bool:
        """Whether its commit sets the watermark of its cursor, to the interval's `high`."""
        interval = self.interval
        return interval.column is not None and interval.high is not None and not interval.window

    @property
    def watermark_after(self) -> str | None:
        """The watermark of its cursor once it is committed."""
        return self.interval.high if self.moves_watermark else self.watermark_before

    @property
    def reads_all_loaded(self) -> bool:
        """Whether it is a window over all rows that the watermark stands for."""
        read = self.command.source
        return isinstance(read, SourceTable) and read.window is not None and read.window.column is not None

    @property
    def audit(self) -> tuple[str, ...]:
        """The columns that bronze has of it beside the source's own."""
        if self.interval.is_tracked:
            audited = audit_of(files=False) if self.command.bronze.audit_columns else ()
            return (*audited, CHANGE_TYPE, CHANGE_VERSION)
        if not self.command.bronze.audit_columns:
            return ()
        return (*audit_of(bool(self.interval.files)), *([CHANGE_TYPE] if self.tells_changes else []))

    @property
    def tells_changes(self) -> bool:
        """Whether its rows say what became of a key."""
        read = self.command.source
        return isinstance(read, SourceFiles) and read.contract.tells_changes

    @property
    def only_keys(self) -> bool:
        """Whether it has the keys that the source has, and no rows: what silver has beside them is gone."""
        return self.command.only_keys

    @property
    def has_rows(self) -> bool:
        """Whether it has landed with rows of the table, in all its columns."""
        return self.manifest is not None and not self.only_keys

    @property
    def reads_all(self) -> bool:
        """Whether its rows are all that the source has; else they are what is new, by a cursor or of files not loaded before, or
        keys alone."""
        if self.only_keys:
            return False
        if self.interval.is_tracked:
            return self.interval.is_whole_table
        whole_files = self.command.bronze.load_strategy == "full_refresh"
        return self.interval.column is None and (whole_files or not self.interval.files)

    @property
    def refreshes(self) -> bool:
        """Whether its rows stand for all that the source has, so that what is not among them is gone, as the request says it."""
        return self.command.bronze.load_strategy == "full_refresh" or self.interval.is_whole_table

    @property
    def application_id(self) -> str:
        """Place of the batch in Delta's application transactions; `application_version` tells which batch took it."""
        return f"flowforge/{self.source_key}/{self.generation}/{self.seq}"

    @property
    def application_version(self) -> int:
        """The claim as a number of 60 bits; 1 for a batch of a version before."""
        return 2 + int(self.claim[:15], 16) if self.claim else 1
