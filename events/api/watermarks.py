"""Watermarks and what people do to them."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field

from events.api.base import Answer, Page, unless_empty
from events.model import Request

MOST_TABLES = 5_000  # of a page
TableLimit = Annotated[int, Field(ge=0, le=MOST_TABLES), unless_empty(MOST_TABLES)]


def _text(value: str) -> str:
    if not value.strip():
        raise ValueError("expected text")
    return value.strip()


class NewWatermark(Request):
    """A watermark that a person sets. The source converts the value at the next load."""

    column: Annotated[str, AfterValidator(_text)]
    value: Annotated[str, AfterValidator(_text)]
    reason: str | None = None


class Acceptance(Request):
    """Keeps a table's watermarks for a source that has changed."""

    reason: str | None = None


class WantedComparison(Request):
    """Compares all keys of a table with silver, and takes out what the source has no more."""

    maxDeleteShare: float | None = Field(
        None, gt=0, le=1, allow_inf_nan=False, description="this once; default: the request's, or 0.1"
    )


class OrderedComparison(Answer):
    """The run that compares; it is there a moment after this answer."""

    run_id: str
    bronze_table: str
    deletes: str = Field(description="what becomes of the rows: hard, or soft (marked; of scd2 their version ends)")
    max_delete_share: float


class Watermark(Answer):
    """How far a table is loaded by one column."""

    value: str
    sql_type: str | None
    committed_at: str | None
    seq: int


class Claim(Answer):
    """The batch that holds a table, and how long its worker has been silent."""

    seq: int | None
    state: str | None
    attempts: int | None
    lease_until: float | None
    claimed_at: float | None = Field(description="epoch seconds")
    rows_so_far: int | None = Field(
        description="that the attempt has read, told every few seconds; null: it told none yet"
    )
    run_id: str | None
    free_in_seconds: float
    silent_seconds: float
    heartbeat_seconds: float


class TableWatermarks(Answer):
    """A table with its watermarks, by column. Where its state cannot be read: its names and the problem."""

    id: str
    source_key: str
    bronze_table: str | None
    source_table: str | None
    silver_table: str | None
    generation: int | None
    seq: int | None
    watermarks: dict[str, Watermark]
    active_batch: Claim | None
    problem: str | None = None


class WatermarkList(Page):
    """Tables with their watermarks."""

    watermarks: list[TableWatermarks]


class PastBatch(Answer):
    """A batch of a table's history."""

    seq: int | None
    generation: int | None
    run_id: str | None
    state: str
    label: str | None
    low: str | None
    high: str | None
    records: int | None
    only_keys: bool = Field(False, description="its records are keys that were compared, and no rows")
    at: str | None
    problem: str | None = None


class Correction(Answer):
    """A correction by hand."""

    at: str | None
    action: str | None
    column: str | None
    before: str | None
    after: str | None
    reason: str | None


class Folded(Answer):
    """Sums of the batches that are older than the history that is kept."""

    batches: int
    records: int
    bytes: int
    until: str


class SourceColumn(Answer):
    """A column of the source as the newest batch has read it: the source's own type (none: it has no word of its own), and the
    type in bronze."""

    name: str = Field(description="in the lake")
    source_name: str
    source_type: str | None
    type: str
    nullable: bool
    of: str | None = Field(None, description="the column that the source has made it from")


class TableHistory(TableWatermarks):
    """One table with its watermarks, its last batches and its corrections."""

    connection: dict[str, Any] | None = Field(
        description="source of the newest batch; a request names it by connectionId alone where that is there"
    )
    where: list[dict[str, Any]] = Field(
        default_factory=list, description="conditions that its rows fit; none: all rows"
    )
    protected: dict[str, str] = Field(default_factory=dict, description="columns whose values were made something else")
    renamed: dict[str, str] = Field(
        default_factory=dict, description="columns with their names in the lake, by the source's"
    )
    cast: dict[str, str] = Field(
        default_factory=dict, description="columns with the type that the SELECT makes of them"
    )
    columns: list[SourceColumn] = Field(default_factory=list, description="of the newest batch that has rows")
    history: list[PastBatch]
    folded: Folded | None
    audit: list[Correction]
