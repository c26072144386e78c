"""What a job request would load now."""

from typing import Annotated, Literal

from pydantic import Field

from events.api.base import Answer, unless_empty

FirstTable = Annotated[int, Field(ge=0, description="place of the first table to look at"), unless_empty(0)]


class PlannedRefusal(Answer):
    """Why a table would not be loaded: what its load would end in."""

    error: str
    message: str
    remedy: str


class PlannedFile(Answer):
    """A file that the request means. `next`: of the next batch, in its order; `waits`: for a later one; `refused` as it is;
    `empty`: until it has content; `skipped`: a newer snapshot stands in its place; `loaded`."""

    key: str
    size: int
    modified: str
    state: Literal["next", "waits", "refused", "empty", "skipped", "loaded"]


class LastLoad(Answer):
    """The newest load of a table that has reached gold."""

    records: int
    seconds: float = Field(description="from its claim to gold")
    run_id: str = Field("", description="the run that it was of, whose use of AWS is known as long as runs are kept")


class PlannedComparison(Answer):
    """The comparison of keys that a load would order beside itself."""

    due: bool = Field(description="whether the load would order it now")
    last: str | None = Field(description="when keys were compared last")
    every_seconds: int
    deletes: str = Field(description="what becomes of rows that are gone")
    max_delete_share: float
    key: list[str]
    rows: int | None = Field(description="keys that each of its two readings brings, as the catalog says")
    refused: PlannedRefusal | None


class PlannedTable(Answer):
    """What a load of a table would do now. Fields that are not known, or of a table that would not be loaded, are left out."""

    source_table: str
    bronze_table: str
    silver_table: str
    gold_table: str | None
    mode: str = Field(description="how it is read, and how silver takes it")
    outcome: str = Field(description="loads, empty, waits or refused")
    reason: str | None = None
    refused: PlannedRefusal | None
    key: list[str] = Field(default_factory=list)
    columns: int | None = None
    protected: dict[str, str] = Field(default_factory=dict)
    where: list[str] = Field(default_factory=list)
    cursor: str | None = None
    low: str | None = None
    high: str | None = Field(None, description="as it would be fixed now; a load fixes it anew")
    promise: str | None = None
    rows: int | None = None
    counted: bool | None = Field(None, description="whether the rows were counted; else they are the catalog's")
    bytes: int | None = Field(None, description="at the source, as its pages hold them, or of its files")
    slices: int | None = Field(None, description="of a large file about how many, by its size: its records decide")
    files: list[PlannedFile] = Field(
        default_factory=list, description="of a job of files: the first 200 of those it means"
    )
    file_counts: dict[str, int] = Field(default_factory=dict, description="how many files are in each state")
    last: LastLoad | None = None
    comparison: PlannedComparison | None = Field(None, description="of keys, where the request asks for it")
    warnings: list[str]


class RunPlan(Answer):
    """The tables of a request, as many as there was time for."""

    tables: list[PlannedTable]
    total: int
    next: int | None = Field(description="place of the table to go on with; null at the end")
