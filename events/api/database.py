"""Questions to a source, by a connection that is saved or in the body."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from events.api.base import Answer, Page, unless_empty
from events.request import Connection

PREVIEW_ROWS, MOST_PREVIEW_ROWS = 5, 100
NO_CONNECTION = "expected an object with host, database, username, ..."

MOST_TABLES = 10_000  # of a page
TableLimit = Annotated[int, Field(ge=0, le=MOST_TABLES), unless_empty(MOST_TABLES)]
PreviewRows = Annotated[int, Field(ge=0, le=MOST_PREVIEW_ROWS), unless_empty(PREVIEW_ROWS)]


def _connection_of(given: Any) -> Any:
    """The connection of a whole job request in the place where a question has it."""
    source = given.get("source_config") if isinstance(given, dict) else None
    return {**given, "connection": source.get("connection")} if isinstance(source, dict) else given


def _an_object(given: Any) -> Any:
    if not isinstance(given, dict):
        raise ValueError(NO_CONNECTION)
    return given


class SourceQuestion(BaseModel):
    """A connection, or a whole job request, whose connection is taken."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    connection: Annotated[Connection, BeforeValidator(_an_object)]
    source_config: dict[str, Any] | None = Field(None, description="of a job request; its connection is taken")

    _lifted = model_validator(mode="before")(_connection_of)


class TableQuestion(SourceQuestion):
    """Which table is to be described, with so many of its rows."""

    table: str = Field(min_length=1)
    preview: PreviewRows | None = Field(PREVIEW_ROWS, description="rows that are shown with it")


class TrackedChanges(Answer):
    """SQL Server's Change Tracking, of a database or a table. `on` is null where it could not be asked."""

    on: bool | None = None
    retention: str | None = Field(
        None, description="how long changes are kept; null where that is not told, or for ever"
    )
    tables: int | None = Field(None, description="of a database: how many are tracked")
    statements: list[str] = Field(default_factory=list, description="what is missing to load changes, as T-SQL")
    promise: str | None = Field(None, description="of a table that is ready: what a load of its changes finds")
    problem: str | None = None


class TriedConnection(Answer):
    """What a connection test found out. Of one that failed: at which step, the error and the remedy."""

    status: str = Field(description="success or failed")
    driver: str | None = None
    seconds: float | None = None
    step: str | None = None
    error: str | None = None
    message: str | None = None
    remedy: str | None = None
    server_version: str | None = None
    server_name: str | None = None
    database: str | None = None
    login: str | None = None
    encrypted: bool | None = None
    tables: int | None = None
    sees_open_transactions: bool | None = None
    snapshot_isolation: bool | None = None
    change_tracking: TrackedChanges | None = None


class ListedTable(Answer):
    """A table or view that a login may read."""

    schema_: str = Field(alias="schema")
    name: str
    type: str
    row_estimate: int | None = Field(None, description="the catalog's; null for views")


class ListedTables(Page):
    """Tables and views, by schema and name."""

    tables: list[ListedTable]


class DescribedColumn(Answer):
    """A column of a table at the source."""

    name: str
    sql_type: str
    nullable: bool
    arrow_type: str
    primary_key: bool
    identity: bool
    protected: str | None = Field(None, description="what a load of it makes of its values; the preview hides them")


class CursorCandidate(Answer):
    """A column by which new rows may be found."""

    column: str
    sql_type: str
    kind: str
    indexed: bool
    promise: str | None = Field(None, description="what a load by it finds, on this server and with this login")


class Preview(Answer):
    """A few rows of a table."""

    columns: list[str]
    rows: list[list[Any]]


class DescribedTable(Answer):
    """A table as people need it before they load it."""

    schema_: str = Field(alias="schema")
    name: str
    object_id: int
    row_estimate: int | None
    primary_key: list[str]
    columns: list[DescribedColumn]
    cursor_candidates: list[CursorCandidate]
    change_tracking: TrackedChanges | None = None
    preview: Preview
