"""Which rows of its source a batch has: between two bounds, under the request's conditions."""

from pydantic import BaseModel, ConfigDict, Field

from events.choices import FilterOperator
from flowforge.domain.cut import Cut
from flowforge.domain.file_version import FileVersion
from flowforge.domain.own_columns import CHANGE_VERSION


class RowCondition(BaseModel):
    """A condition on a column of the source, checked against its catalog: `values` are literals of `sql_type` that only the
    source reads."""

    model_config = ConfigDict(frozen=True)

    column: str
    sql_type: str
    collation: str | None = None
    operator: FilterOperator
    values: list[str] = Field(default_factory=list)

    @property
    def text(self) -> str:
        """The condition in words, for people; a long list is cut."""
        more = f" and {len(self.values) - 3} more" if len(self.values) > 3 else ""
        return " ".join([self.column, self.operator, ", ".join(self.values[:3]) + more]).strip()


class Interval(BaseModel):
    """`low <= cursor < high`, as literals exactly as the server prints them at the column's own scale; None is open.

    `column` None is a full load. `nulls` tells whether rows with a NULL cursor are read too. `promise` says, in a sentence
    for the run, what the interval guarantees; `notes` are what a person should know of it. `ties`: further rows may get the
    last number below `high`. `known` is the digest of that number's rows as they were landed, in an interval that has no others.
    `where` are the request's conditions: rows that do not fit them all are not read, and are no part of the interval.
    `window`: a part that a request names by its bounds; the watermark stays where it is.

    Of a source of files there is no cursor: `files` are the versions that are read, in their order, and `skipped` those that are
    not and never will be, since a newer snapshot stands in their place. `below` are sequence numbers, from and to, of batches of
    the same generation whose files come later in the job's order: their rows stay. `replaces`: the rows that earlier batches have
    of `files` are taken out of silver.

    With a `cut` what is read is the source as of its moment, in which versions above `high` may be seen, too.
    """

    model_config = ConfigDict(frozen=True)

    column: str | None = None
    sql_type: str | None = None
    low: str | None = None
    high: str | None = None
    nulls: bool = True
    ties: bool = False
    known: str = ""
    where: list[RowCondition] = Field(default_factory=list)
    window: bool = False
    promise: str = ""
    notes: list[str] = Field(default_factory=list)
    files: list[FileVersion] = Field(default_factory=list)
    skipped: list[FileVersion] = Field(default_factory=list)
    below: list[tuple[int, int]] = Field(default_factory=list)
    replaces: bool = False
    cut: Cut | None = None

    @property
    def is_tracked(self) -> bool:
        """Whether its bounds are versions of the database, by which the source tells what has changed: no column's values."""
        return self.column == CHANGE_VERSION

    @property
    def is_whole_table(self) -> bool:
        """Whether it is the table as it is, from whose version on changes follow."""
        return self.is_tracked and self.low is None

    @property
    def is_changes(self) -> bool:
        """Whether it is what has changed from one version to another."""
        return self.is_tracked and self.low is not None
