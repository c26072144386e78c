"""What a table looks like, as the catalog describes it; values only, no questions to a server."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from flowforge.domain.errors import UnknownColumn
from flowforge.domain.source_columns import SourceColumn


class TableSummary(BaseModel):
    """One table or view of a listing; `row_estimate` is the catalog's, None for views."""

    model_config = ConfigDict(frozen=True)

    schema_name: str
    name: str
    type: str
    row_estimate: int | None = None


class CatalogColumn(SourceColumn):
    """A column with what the catalog knows beyond name, type and nullability.

    `generated_always` and `graph_type` are sys.columns' numbers (0 and None for an ordinary column).
    """

    identity: bool = False
    hidden: bool = False
    sparse: bool = False
    column_set: bool = False
    generated_always: int = 0
    graph_type: int | None = None


class UnreadableColumn(BaseModel):
    """A column that no read can carry, why not, and what to do."""

    model_config = ConfigDict(frozen=True)

    name: str
    sql_type: str
    problem: str
    remedy: str


class TableDescription(BaseModel):
    """A table or view: `primary_key` in key order, `indexed_columns` lead an index that covers the whole table.

    `unique_keys` are the columns of each unique index over all rows, the primary key's included. `columns` can be read, those of
    `unreadable` cannot. `facts` is the object's row in sys.tables, as far as this server has it (empty for views). `synonym` is
    the name that led here. `row_estimate` is the catalog's, None for views.
    """

    model_config = ConfigDict(frozen=True)

    schema_name: str
    name: str
    type: str = "table"
    object_id: int
    columns: list[CatalogColumn]
    primary_key: list[str] = Field(default_factory=list)
    indexed_columns: list[str] = Field(default_factory=list)
    unique_keys: list[list[str]] = Field(default_factory=list)
    unreadable: list[UnreadableColumn] = Field(default_factory=list)
    facts: dict[str, Any] = Field(default_factory=dict)
    synonym: str | None = None
    row_estimate: int | None = None

    @property
    def qualified_name(self) -> str:
        """`schema.table`, for people."""
        return f"{self.schema_name}.{self.name}"

    @property
    def source_columns(self) -> list[SourceColumn]:
        """The columns as a manifest stores them."""
        return [SourceColumn(**column.model_dump(include=set(SourceColumn.model_fields))) for column in self.columns]

    def is_unique(self, name: str) -> bool:
        """Whether no two rows can have the same value in a column: it is alone in a unique index, or numbered by the server."""
        return [name] in self.unique_keys or any(c.identity for c in self.columns if c.name == name)

    def column(self, name: str) -> CatalogColumn:
        """The column of that name, exactly or else ignoring case. Raises UnknownColumn that lists what there is."""
        return find_column(self.columns, name, self.qualified_name)


def find_column(columns: Sequence[Any], name: str, where: str) -> Any:
    """The column called `name` among `columns`, exactly or else ignoring case; `where` names the table for
    UnknownColumn."""
    matching = [c for c in columns if c.name == name] or [c for c in columns if c.name.lower() == name.lower()]
    if matching:
        return matching[0]
    known = [c.name for c in columns]
    shown = ", ".join(known[:30]) + (f" and {len(known) - 30} more" if len(known) > 30 else "")
    raise UnknownColumn(f"{where} has no column {name!r}", f"use one of its columns: {shown}")
