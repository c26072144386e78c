"""Lake tables: what a table format has to give, in words of no format.

A table is a folder of Parquet files and a log of versions. A handle (`LakeTable`) is a table as of one version. What is read on
it is what a commit on it is made on: every method that commits raises Moved where anybody else has committed since. Rows
and columns cross as Arrow streams (the PyCapsule interface), types in the words of the engine that reads them.
"""

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from flowforge.engines.base import ArrowStream

UPKEEP = "flowforge.upkeep"  # in the metadata of a commit that changes no row
CHANGE = "flowforge.change"  # in that of a merge: how many rows were inserted, updated and deleted, as JSON


class Moved(Exception):
    """Somebody else was faster: reload, look again, recompute."""


class VersionGone(Exception):
    """A version that cannot be opened: its log or its files were cleaned up."""


class Commit(NamedTuple):
    """What a commit holds beside files: what it tells of itself, and the application transactions that it names (id ->
    version)."""

    info: Mapping[str, Any]
    transactions: Mapping[str, int]


def once(transactions: Mapping[str, int] | None = None, metadata: Mapping[str, Any] | None = None) -> Commit:
    """A commit that carries application transactions (id -> version) and `metadata`."""
    return Commit(metadata or {}, transactions or {})


@dataclass(frozen=True)
class DataFile:
    """A file of a version, `path` below the table; `ranges` are the least and greatest values of columns, where they are known
    for sure."""

    path: str
    size: int
    rows: int
    ranges: Mapping[str, tuple[Any, Any]] = field(default_factory=dict[str, tuple[Any, Any]])

    def may_hold(self, column: str, least: Any, most: Any) -> bool:
        """Whether a value from `least` to `most` may be among the file's; None for both: there is none to look for."""
        low, high = self.ranges.get(column, (None, None))
        if least is None or low is None or high is None:
            return least is not None
        return bool(low <= most and high >= least)


@dataclass(frozen=True)
class NewFile:
    """A data file that is in no version yet; `path` is below the table, `statistics` as the format writes them."""

    path: str
    rows: int
    size: int
    statistics: str


class LakeTable(Protocol):
    """A table as of one version."""

    @property
    def uri(self) -> str:
        """Where it is, without a slash at the end."""
        ...

    @property
    def table_id(self) -> str:
        """What tells the table from another that was made anew in its place."""
        ...

    def version(self) -> int:
        """The number of the version, from 0 on."""
        ...

    def at(self, version: int) -> "LakeTable":
        """The table as of another version. Raises VersionGone."""
        ...

    def data_version(self) -> int:
        """The newest version that changed rows: compaction and vacuum make versions, too, and nothing follows from them."""
        ...

    def awaits_rows(self) -> bool:
        """Whether nothing has happened to the table but its creation (`TableFormat.create`): its first commit is on its way."""
        ...

    def count(self) -> int:
        """Rows, from the log alone."""
        ...

    def empty(self) -> ArrowStream:
        """No rows, in the table's columns and types."""
        ...

    def schema_text(self) -> str:
        """The columns with all of their types as one text: two tables with the same one have the same columns."""
        ...

    def column_words(self) -> dict[str, str]:
        """The columns in order with their types in the format's own words (of a nested one its kind)."""
        ...

    def properties(self) -> Mapping[str, str]:
        """The table's properties, those of FlowForge among them."""
        ...

    def set_properties(self, properties: Mapping[str, str], commit: Commit) -> None:
        """Commits these properties beside the others that there are."""
        ...

    def file_uris(self) -> list[str]:
        """Where the files of the version are."""
        ...

    def file_sizes(self) -> dict[str, int]:
        """The bytes of the files of the version, by where they are (as `file_uris` tells)."""
        ...

    def data_files(self, ranged: Iterable[str] = ()) -> list[DataFile]:
        """The files of the version, with what is known of the values of the columns `ranged`."""
        ...

    def transaction_version(self, app_id: str) -> int | None:
        """The version of an application transaction; None where no commit has named it. None expires."""
        ...

    def in_newest_commit(self, app_id: str) -> int | None:
        """The same where the commit that made this version names it; None also where that is not known."""
        ...

    def commit_of(self, version: int) -> Commit | None:
        """What a version's commit tells; None where its log was cleaned up."""
        ...

    def seal(self) -> str | None:
        """A text by which `TableFormat.is_still` knows this version of this very table later; None where its log has gone."""
        ...

    def history(self, limit: int | None = None) -> list[dict[str, Any]]:
        """What the newest commits tell of themselves, newest first, each with `version` and `timestamp` (milliseconds)."""
        ...

    def swap(self, removed: Iterable[str], added: Iterable[NewFile], commit: Commit, changes_rows: bool = True) -> None:
        """Commits that files go (paths below the table) and others come; either may be none. The handle stays as it is."""
        ...

    def replace_files(self, added: Iterable[NewFile], columns: ArrowStream, commit: Commit) -> None:
        """Commits that these are all files of the table, in these columns. The handle stays as it is."""
        ...

    def append(self, rows: ArrowStream, commit: Commit, new_columns: bool = False) -> None:
        """Commits further rows; with `new_columns` they may bring columns that the table lacks."""
        ...

    def overwrite(self, rows: ArrowStream, commit: Commit) -> None:
        """Commits rows and their columns in place of all that is there."""
        ...

    def apply_rows(
        self, rows: ArrowStream, same: str, removed: str, commit: Commit, values: Mapping[str, str] | None = None
    ) -> int:
        """Commits what rows `s` do to the table's rows `t` that they meet by `same`: where `removed` holds, these go; with
        `values` the others get them, and rows that meet none are added. Returns how many went. SQL text over quoted names;
        makes no version where nothing changes."""
        ...

    def add_columns(self, columns: ArrowStream, commit: Commit) -> None:
        """Commits the columns that the table lacks; rows that are there have NULL in them."""
        ...

    def allow_naive_timestamps(self) -> None:
        """Prepares the table for times without a zone, where the format wants to be told of them first."""
        ...

    def new_file(
        self, uri: str, rows: int, size: int, types: Mapping[str, str], statistics: Mapping[str, Mapping[str, str]]
    ) -> NewFile:
        """A file that an engine has written below the table; `types` are its columns."""
        ...

    def vacuum_files(self, retention_hours: int, note: Mapping[str, Any], replaced_only: bool = False) -> int:
        """Deletes files that no version needs that is younger than the retention; returns how many. With `replaced_only` those
        alone that a version has had, and not such as nobody has committed (yet)."""
        ...

    def checkpoint(self, least_commits: int, note: Mapping[str, Any]) -> bool:
        """Makes the log short to read where it has so many commits since the last time, and drops its expired part. A table of an
        earlier version gets the properties that keep its log short, in a commit that `note` tells of."""
        ...


class TableFormat(Protocol):
    """How tables are opened and made, and what goes wrong with them."""

    def open(self, uri: str, version: int | None = None, near: int | None = None) -> LakeTable | None:
        """The table at its latest version or an earlier one; None where there is none. `near` guesses the latest. Raises
        VersionGone."""
        ...

    def is_still(self, uri: str, seal: str) -> bool:
        """Whether the table there is that of the seal, and was not committed to since; one call of the store tells."""
        ...

    def create(self, uri: str, columns: ArrowStream, properties: Mapping[str, str]) -> LakeTable:
        """An empty table, where a moment ago was none. Raises Moved when somebody else was faster."""
        ...

    def errors(self, name: str) -> AbstractContextManager[None]:
        """Translates what the format's library raises about table `name`: Moved, or an error of `domain.errors`."""
        ...
