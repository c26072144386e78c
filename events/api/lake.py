"""The lake's tables as people ask for them: what there is, one in detail, models, and SQL."""

from typing import Annotated, Any, Literal

from pydantic import Field

from events.api.base import Answer, Page, unless_empty
from events.api.silver import Figure
from events.model import Request

MOST_LISTED, MOST_ROWS = 200, 5_000
ListedLimit = Annotated[int, Field(ge=0, le=MOST_LISTED), unless_empty(50)]
Layer = Annotated[Literal["silver", "gold", "quarantine"] | None, unless_empty(None)]


QuestionId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{8,64}$")]


class LakeColumn(Answer):
    """A column; the type is the table format's own word."""

    name: str
    type: str


class RecentBatches(Answer):
    """The newest batches of what fills a table: the run of the last one, when it ended, and their rows, oldest first; 0: there
    was nothing new."""

    run_id: str
    at: str
    rows: list[int]


class LastBuild(Answer):
    """What became of a gold table when it was last its turn, and in which run: none where a model was kept by hand."""

    run_id: str | None
    outcome: str = Field(description="built, failed or waits")
    at: str


class LakeTableFacts(Answer):
    """A table as it is now. Of one that cannot be opened: its name and the problem."""

    layer: str
    table: str
    version: int | None = None
    rows: int | None = None
    files: int | None = None
    bytes: int | None = None
    written_at: str | None = Field(None, description="when its rows changed last")
    columns: list[LakeColumn] = Field(default=[])
    rules: list[Figure] = Field(default=[], description="what the quality rules found in the newest change of its rows")
    cut: int | None = Field(
        None, description="the version of the source's database that all its rows are as of: loaded with consistentCut"
    )
    source_key: str | None = Field(None, description="of silver: what fills it")
    watermarks: dict[str, str] = Field(default={}, description="of what fills it, by column")
    bronze_table: str | None = Field(None, description="of what fills it, as runs name it")
    recent: RecentBatches | None = Field(
        None, description="of what fills it; none until a batch has ended since this version, or since a rebuild"
    )
    build: LastBuild | None = Field(
        None, description="of gold; none until it was built, or tried to be, since this version"
    )
    problem: str | None = None


class LakeTables(Page):
    """The lake's tables, by layer and name."""

    tables: list[LakeTableFacts]


class TableVersion(Answer):
    """A version of a table."""

    version: int
    at: str | None
    operation: str | None


class LakeTableDetail(LakeTableFacts):
    """One table, with its newest versions."""

    versions: list[TableVersion]


class Question(Request):
    """One SELECT over the lake (DuckDB's SQL), now or as it was."""

    sql: str = Field(min_length=1, max_length=100_000)
    asOf: int | str | None = Field(None, description="a version (of one table), or a time; UTC unless it says")
    limit: int = Field(1_000, ge=1, le=MOST_ROWS, description="rows that are answered")
    id: QuestionId | None = Field(None, description="any that nobody else has, by which the question can be stopped")


class StoppedQuestion(Answer):
    """A question that ends in a moment, refused, if it is still being answered."""

    id: str


class SqlAnswer(Answer):
    """Rows, exact: decimals and times are text. `more`: there are others beyond the limit, or beyond what an answer holds."""

    columns: list[str]
    rows: list[list[Any]]
    more: bool
    seconds: float


class ModelFacts(Answer):
    """A gold table: what makes it, what it reads, whether it is current, and if not, why."""

    table: str
    origin: str
    strategy: str
    key: list[str]
    reads: list[str]
    state: str = Field(description="current, stale, waits, failed or refused")
    reason: str | None
    rows: int | None
    version: int | None
    built_at: str | None
    quality: list[Figure]


class Models(Page):
    """Gold tables, each after those that it reads."""

    models: list[ModelFacts]
    problems: list[str] = Field(description="of tables of these models; with the first page, of models without a place")


class LineageTable(Answer):
    """A table, and the newest event that made it."""

    table: str
    layer: str
    namespace: str
    name: str
    version: str | None
    at: str | None
    columns: list[dict[str, Any]]


class LineageColumn(Answer):
    """A column of a table; none: it is about the rows."""

    table: str
    column: str | None


class LineageEdge(Answer):
    """What a table is made from."""

    from_: str = Field(alias="from")
    to: str


class LineageColumnEdge(Answer):
    """What a column is made from, and how."""

    from_: LineageColumn = Field(alias="from")
    to: LineageColumn
    type: str | None
    subtype: str | None


class Lineage(Answer):
    """A table's neighbourhood."""

    table: str
    tables: list[LineageTable]
    edges: list[LineageEdge]
    columns: list[LineageColumnEdge]
    problems: list[str] = Field(default=[], description="events that could not be read")


class ModelDefinition(Answer):
    """What makes a gold table."""

    table: str
    origin: str = Field(
        description="its file (models/NAME.sql), or goldConfig: it came with a job, whose request changes it"
    )
    sql: str | None = Field(description="null for the copy of a silver table")
    etag: str | None = Field(description="of the file, with which a changed text replaces this one alone")


class ModelText(Request):
    """A gold model: one SELECT, with its settings in comments; `flowforge models put` takes the same as a file."""

    sql: str = Field(min_length=1, max_length=262_144)
    ahead: bool = Field(False, strict=True, description="let it read tables that are yet to be loaded")
    etag: str | None = Field(
        None,
        max_length=200,
        description="of the file that it replaces, refused where that has changed; empty: it is new",
    )


class StoredModel(Answer):
    """Where the model is now; the chain builds it at once."""

    bucket: str
    key: str
    etag: str
