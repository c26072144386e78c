"""Which part of a source table its lake holds: what a later load has to agree with, or to read anew."""

import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from flowforge.domain.batch import Batch
from flowforge.domain.interval import Interval, RowCondition
from flowforge.domain.source_columns import SourceColumn


class Scope(BaseModel):
    """`where`: the conditions that the rows fit (none: all rows); `left_out`: the columns that were there and not read;
    `protected`: what became of the values of a column, which may be left out for that;
    `renamed`: columns by their names at the source, with those in the lake; `cast`: columns with the type that the SELECT
    makes of them. All other names are the source's."""

    model_config = ConfigDict(frozen=True)

    where: list[RowCondition] = Field(default_factory=list)
    left_out: list[str] = Field(default_factory=list)
    protected: dict[str, str] = Field(default_factory=dict)
    renamed: dict[str, str] = Field(default_factory=dict)
    cast: dict[str, str] = Field(default_factory=dict)

    @property
    def rows(self) -> str:
        """Which rows, in words."""
        return " and ".join(condition.text for condition in self.where) or "all rows"

    def same_rows(self, other: "Scope") -> bool:
        """Whether both have the same conditions, in any order."""
        ours, theirs = ([one.model_dump_json() for one in scope.where] for scope in (self, other))
        return sorted(ours) == sorted(theirs)


def backfill_command(column: str) -> str:
    """What brings a column, by its name at the source, to the rows that were loaded without it; FILE is the job's request."""
    return f"flowforge submit FILE --backfill-column {shlex.quote(column)}"


def protected_in(columns: Iterable[SourceColumn]) -> dict[str, str]:
    """The protected ones of some columns, with what becomes of their values."""
    return {column.at_source: column.protection.text for column in columns if column.protection}


def scope_of(batch: Batch) -> Scope:
    """The scope that a batch was read with."""
    return scope_in(batch.interval, batch.manifest.columns if batch.manifest else [], batch.identity)


def scope_in(interval: Interval, columns: Iterable[SourceColumn], identity: Mapping[str, Any]) -> Scope:
    """The scope of what is read so; `identity` tells what is not."""
    columns = list(columns)
    renamed = {column.source_name: column.name for column in columns if column.source_name}
    protected = protected_in(columns) | dict.fromkeys(identity.get("dropped", []), "drop")
    cast = {column.at_source: column.sql_type for column in columns if column.cast_from}
    return Scope(
        where=interval.where, left_out=identity.get("left_out", []), protected=protected, renamed=renamed, cast=cast
    )
