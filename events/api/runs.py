"""Runs: how one is started, the list of them, one with its tables."""

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field

from events.api.base import Answer, Mistake, Page, ShownAs, unless_empty

RunLimit = Annotated[int, Field(ge=0, le=200), unless_empty(20)]
RunStatus = Annotated[
    Literal["under-way", "failed", "succeeded"] | None,
    Field(description="under-way: accepted or running; failed: or rejected. A page looks at 500 runs at most"),
    unless_empty(None),
]
Since = Annotated[
    AwareDatetime | None,
    Field(description="an answer's `as_of`: of the tables those alone that have changed since, and all of the rest"),
    unless_empty(None),
]
# Read by events.request, which knows older forms, too.
JobDocument = Annotated[dict[str, Any], ShownAs("events.request:JobRequest")]


class AcceptedRun(Answer):
    """A run that exists now."""

    run_id: str
    workflow_id: str
    job_id: str
    batch_id: str | None
    status: str
    tables: list[str]


class RunHead(Answer):
    """What is known of a run as a whole."""

    run_id: str
    workflow_id: str | None
    workflow_name: str | None
    job_id: str | None
    job_name: str | None
    batch_id: str | None
    trigger: str | None
    accepted_at: str | None
    finished_at: str | None
    status: str = Field(description="accepted, running, succeeded, failed, rejected or unreadable")
    mistakes: list[Mistake] = Field(default=[], description="of a request that was rejected")
    discarded: list[dict[str, Any]] = Field(default=[], description="messages of it that were given up for good")


class TableStatus(Answer):
    """A table of a run, in the list of runs."""

    table: str
    status: str = Field(description="queued, reading, landed, refined, published, empty or failed")


class ListedRun(RunHead):
    """A run in the list, with its tables' statuses."""

    tables: list[TableStatus]


class Runs(Page):
    """Runs, newest first."""

    runs: list[ListedRun]


class StepError(Answer):
    """Why a step was given up, and what to do."""

    step: str | None
    error: str | None
    cause: str | None
    remedy: str | None
    attempts: int | None


class StepUsage(Answer):
    """What the deliveries of a table's messages to one step have used of AWS, as far as they have told."""

    step: str
    deliveries: int
    cold_starts: int = Field(description="deliveries to a process that had just been started")
    silent: int = Field(description="earlier deliveries of the same messages, which failed and told nothing")
    seconds: float
    gb_seconds: float
    counts: dict[str, int | float] = Field(description="calls and units by what AWS charges for; see events/usage.py")


class Prices(Answer):
    """Which list prices an estimate goes by; it is no bill."""

    region: str
    date: str
    currency: str


class RunTable(TableStatus):
    """A table of a run with all that its steps have told."""

    source_table: str | None
    slices: dict[str, Any] | None = Field(description="of a large table: slices, done, records")
    records: int | None
    columns: int | None
    bronze_key: str | None
    bronze_file_path: str | None
    file_size_bytes: int | None
    cursor_column: str | None
    consistency: str | None
    source_rows: int | None
    counted: str | None
    counted_at: str | None
    promise: str | None
    watermark_before: str | None
    watermark_after: str | None
    watermark_committed: bool
    silver_table: str | None
    silver_rows: int | None
    inserted: int | None
    updated: int | None
    deleted: int | None
    quarantined: int | None
    quality: list[dict[str, Any]]
    schema_changes: list[Any]
    gold_tables: dict[str, Any] | None
    gold_quality: dict[str, Any]
    deferred: list[Any]
    reason: str | None
    notes: list[str]
    seconds: dict[str, float | None]
    usage: list[StepUsage]
    price: float | None = Field(description="about what its usage costs, by list prices; null: it has told of none")
    finished_at: str | None
    error: StepError | None


class Run(RunHead):
    """One run with its tables."""

    tables: list[RunTable] = Field(description="all of them, or those that have changed `since`")
    as_of: str | None = Field(None, description="the next look's `since`: a moment before what is told here")
    prices: Prices
