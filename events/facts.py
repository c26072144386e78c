"""Events: facts in the past tense. Each names the run and the bronze table it is about; the ones about a batch also its identity
(source key, generation, seq), by which every later step finds the batch's manifest in the watermark table."""

import re
import shlex
from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from events.model import Dispatched, Message
from events.quality import QualityFigure
from events.usage import Usage

_OF_A_TABLE = re.compile(r"(\bflowforge (?:reconcile|watermark [a-z]+) )TABLE\b")
_OF_A_RUN = re.compile(r"(\bflowforge replay --run )RUN\b")


class JobAccepted(Dispatched):
    """A run was opened and its tables were queued."""

    type: Literal["JobAccepted"] = "JobAccepted"
    run_id: str
    workflow_id: str
    job_id: str
    tables: list[str]


class TableEvent(Dispatched):
    """What all events about one table of a run carry."""

    run_id: str
    bronze_table: str
    usage: Usage | None = Field(default=None, description="what the delivery that announces it has used of AWS")


class BatchEvent(TableEvent):
    """What all events about one batch carry."""

    source_key: str
    generation: int
    seq: int


class BronzeLanded(BatchEvent):
    """A batch is in bronze, whole. Sizes in bytes, counts in rows; cursor values are exact literals."""

    type: Literal["BronzeLanded"] = "BronzeLanded"
    status: str = "success"
    source_table: str
    batch_id: str
    bronze_file_path: str
    bronze_key: str
    records: int
    columns: int
    file_size_bytes: int
    cursor_column: str | None = None
    low: str | None = None
    watermark_value: str | None = None
    max_cursor_value: str | None = None
    promise: str = ""
    consistency: str = Field("", description="the view that its reads had of the source")
    source_rows: int | None = Field(None, description="the batch's rows as the source counted them on its own")
    counted: str = Field("", description="how they were counted, or why they were not")
    counted_at: str | None = Field(None, description="when, by the source's clock in UTC")
    notes: list[str] = Field(default_factory=list, description="what a person should know of this load")
    only_keys: bool = Field(False, description="the batch has the keys of all rows, and no rows: see CompareKeys")
    cut: int | None = Field(
        default=None, description="with consistentCut: the version of the database that the table is as of"
    )
    seconds: float = 0.0


class SlicesRead(BatchEvent):
    """So far `done` of the `slices` of a large batch are in bronze, with so many rows; none when they have just been queued."""

    type: Literal["SlicesRead"] = "SlicesRead"
    slices: int
    done: int
    records: int


class IntervalEmpty(BatchEvent):
    """There was nothing to load: nothing landed, the watermark did not move."""

    type: Literal["IntervalEmpty"] = "IntervalEmpty"
    source_table: str
    reason: str
    promise: str = Field("", description="what holds of the rows that were not there")
    notes: list[str] = Field(default_factory=list)
    watermark_value: str | None = None
    claimed: bool = Field(True, description="false: seen before anything was claimed; seq is that of the batch before")


class TablesUnchanged(Dispatched):
    """Tables of a run in which nothing has changed: the source was asked of all tables at once, and these were not queued. Told
    for a part of a run's tables at a time."""

    type: Literal["TablesUnchanged"] = "TablesUnchanged"
    run_id: str
    tables: list[str]


class WatermarkCommitted(BatchEvent):
    """The batch's bound is the table's watermark now (both None for a load without cursor)."""

    type: Literal["WatermarkCommitted"] = "WatermarkCommitted"
    cursor_column: str | None = None
    watermark_before: str | None = None
    watermark_after: str | None = None


class SilverRefined(BatchEvent):
    """The batch is in silver; `version` is the Delta version that holds it, counts are rows (soft deletes count as deleted)."""

    type: Literal["SilverRefined"] = "SilverRefined"
    silver_table: str
    version: int
    inserted: int
    updated: int
    deleted: int = 0
    quarantined: int = 0
    silver_rows: int
    already_applied: bool = False
    schema_changes: list[str] = Field(default_factory=list, description="what the batch changed in the table's columns")
    quality: list[QualityFigure] = Field(default_factory=list, description="what each quality rule found")
    notes: list[str] = Field(default_factory=list, description="what a person should know of how it was applied")
    column_types: dict[str, str] = Field(default_factory=dict, description="silver's columns -> their types in Delta")
    cut: int | None = Field(
        default=None, description="with consistentCut: the version of the database that the table is as of"
    )
    seconds: float = 0.0


class PublishedModel(Message):
    """One gold table as it is published: the Delta version, the versions of what it was built from (silver.x, gold.y), the
    fingerprint of its query and rules; `unchanged` where it was up to date already."""

    table: str
    how: Literal["full", "incremental", "unchanged"]
    rows: int
    version: int
    inputs: dict[str, int] = Field(default_factory=dict)
    definition: int
    cut: int | None = Field(
        default=None, description="the version of the database that its inputs are as of, where they have one"
    )
    quality: list[QualityFigure] = Field(
        default_factory=list, description="what each quality rule found in all its rows"
    )
    copied: dict[str, str] = Field(
        default_factory=dict,
        description="of a copy of its one input that is not very wide: its columns -> their types in Delta",
    )


class GoldPublished(BatchEvent):
    """Gold tables that follow from the batch are published; `deferred` names models that wait for an input."""

    type: Literal["GoldPublished"] = "GoldPublished"
    gold_tables: dict[str, int] = Field(default_factory=dict, description="gold table -> its rows")
    models: list[PublishedModel] = Field(
        default_factory=list, description="the same tables, and what they are made from"
    )
    deferred: list[str] = Field(default_factory=list)
    seconds: float = 0.0


class ModelsPublished(Dispatched):
    """Gold tables that follow from a model file that was dropped in the bucket are published; there is no run."""

    type: Literal["ModelsPublished"] = "ModelsPublished"
    model_key: str
    models: list[PublishedModel] = Field(default_factory=list)
    deferred: list[str] = Field(default_factory=list)
    seconds: float = 0.0


class StepFailed(TableEvent):
    """A step gave up on a message, which is now in the dead-letter queue. The batch is named as far as the message tells it;
    `gold_tables` are the models that failed."""

    type: Literal["StepFailed"] = "StepFailed"
    step: str
    error: str
    cause: str
    remedy: str = ""
    attempts: int = 1
    source_key: str | None = None
    generation: int | None = None
    seq: int | None = None
    gold_tables: list[str] = Field(default_factory=list)

    @field_validator("remedy")
    @classmethod
    def _with_its_names(cls, remedy: str, known: ValidationInfo) -> str:
        """Commands in it name this run and this table: who raised the error did not know them."""
        table, run = shlex.quote(str(known.data.get("bronze_table"))), shlex.quote(str(known.data.get("run_id")))
        remedy = _OF_A_TABLE.sub(lambda found: f"{found[1]}{table}", remedy)
        return _OF_A_RUN.sub(lambda found: f"{found[1]}{run}", remedy)
