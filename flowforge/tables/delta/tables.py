"""A Delta table's handle, and how one is opened and made.

Guarantees: a handle's version is the only one that it commits on (`writing`). Two writers that create a table at once end up with
one table.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from arro3.core import RecordBatchReader
from deltalake.exceptions import CommitFailedError, DeltaError, SchemaMismatchError, TableNotFoundError

from flowforge.aws.clients import TRY_AGAIN
from flowforge.domain.errors import StoreUnavailable, TransformRejected
from flowforge.engines.base import ArrowStream
from flowforge.tables.base import UPKEEP, Commit, Moved, VersionGone, once
from flowforge.tables.delta.access import storage_options
from flowforge.tables.delta.datafiles import CHECKPOINTS, Files
from flowforge.tables.delta.keeping import Kept, KeptTables, kept_tables
from flowforge.tables.delta.log import LogEntry, read_entry
from flowforge.tables.delta.writing import NO_CLEANUP, properties_of

UPKEEP_OPERATIONS = ("OPTIMIZE", "VACUUM START", "VACUUM END")
UPKEEP_COMMITS = 50  # that are looked through, at most, for the last commit that changed rows


class Handle(Files):
    """A table as of one version, that remembers what it was asked: delta-rs reads the log after the last checkpoint anew for
    every application transaction, and what is asked for most stands in the newest commit."""

    def __init__(self, table_uri: str, kept: Kept | None = None, **options: Any):
        if kept is None:
            super().__init__(table_uri, **options)
        else:
            self._table, self._storage_options = kept.raw, dict(kept.options)
        self._asked: dict[tuple[int | None, str], int | None] = {}
        self.empty_version: int | None = None  # one that is known to have no transactions
        self._entries: dict[int, LogEntry | None] = {}
        self._etags: dict[int, str] = {}  # of commits that are known to be those of this table
        if kept is not None and kept.etag is not None:
            self._etags[self.version()] = kept.etag
            if kept.entry is not None:
                self._entries[self.version()] = kept.entry
        self.home: tuple[KeptTables, str] | None = None  # where it goes when it is dropped, and its name there

    def __del__(self) -> None:
        with suppress(Exception):  # whoever drops a handle wants nothing more of it
            if self.home is not None and self._storage_options is not None:
                (home, uri), version = self.home, self.version()
                entry, etag = self._entries.get(version), self._etags.get(version)
                home.give_back(uri, Kept(self._table, self._storage_options, etag, entry))

    def transaction_version(self, app_id: str) -> int | None:
        """The version of an application transaction as of the handle's version."""
        if self.version() == self.empty_version:
            return None
        asked = (self.version(), app_id)
        if asked not in self._asked:
            newest = self.in_newest_commit(app_id)
            self._asked[asked] = super().transaction_version(app_id) if newest is None else newest
        return self._asked[asked]

    def in_newest_commit(self, app_id: str) -> int | None:
        """The same where the commit that made the handle's version names it: no later one can. None where it does not."""
        version = self.version()
        try:
            found = None if version == self.empty_version else self.commit_of(version)
        except (
            StoreUnavailable
        ):  # also what S3 says of a commit that is gone, to who may not list: delta-rs is asked then
            found = None
        return found.transactions.get(app_id) if found else None

    def commit_of(self, version: int) -> Commit | None:
        """What a version's commit holds beside files; None where its log was cleaned up."""
        if version not in self._entries:
            self._entries[version] = read_entry(self.uri, version)
        entry = self._entries[version]
        return entry.commit if entry else None

    def at(self, version: int) -> "Handle":
        """The table as of another version. Raises VersionGone."""
        table = Delta().open(self.table_uri, version)
        if table is None:
            raise VersionGone(f"there is no table any more in {self.uri}")
        return table

    def data_version(self) -> int:
        """The handle's newest version that changed rows: compaction and vacuum make versions, too, and nothing follows from them.

        Reads the log itself: `DeltaTable.history` misnumbers its entries when somebody has committed since the handle was opened.
        """
        version = self.version()
        for earlier in range(version, max(-1, version - UPKEEP_COMMITS), -1):
            commit = self.commit_of(earlier)
            if commit is None:  # cleaned up behind a checkpoint
                return version
            if UPKEEP not in commit.info and commit.info.get("operation") not in UPKEEP_OPERATIONS:
                return earlier
        return version


class Delta:
    """The format."""

    def open(self, uri: str, version: int | None = None) -> Handle | None:
        """The table at its latest version or an earlier one, or None where there is none."""
        options, home = storage_options(), kept_tables()
        try:
            kept = home.lend(uri, options) if version is None else None
            table = Handle(uri, kept, version=version, storage_options=options)
            table.home = (home, uri) if version is None else None
            return table
        except TableNotFoundError:
            return None
        except DeltaError as error:
            if version is None:
                raise
            raise VersionGone(str(error)) from error  # its log was cleaned up

    def create(self, uri: str, columns: ArrowStream, properties: Mapping[str, str]) -> Handle:
        """An empty table with these columns, where a moment ago was none.

        The creation is a commit of its own, so that the first batch is applied on a handle like any other. Raises Moved when
        somebody else was faster.
        """
        try:
            table = Handle.create(
                uri,
                RecordBatchReader.from_arrow(columns).schema,
                mode="error",
                configuration={**CHECKPOINTS, **properties},
                storage_options=storage_options(),
                raise_if_key_not_exists=False,
                commit_properties=properties_of(once()),
                post_commithook_properties=NO_CLEANUP,
            )
        except DeltaError as error:
            if self.open(uri) is not None:
                raise Moved from error
            raise
        assert isinstance(table, Handle)  # noqa: S101 - the class makes its own kind, only its signature does not say so
        table.empty_version, table.home = 0, (kept_tables(), uri)
        return table

    @contextmanager
    def errors(self, name: str) -> Iterator[None]:
        """Translates what delta-rs raises while it reads and writes `name`."""
        try:
            yield
        except CommitFailedError as error:
            raise Moved from error
        except SchemaMismatchError as error:
            remedy = (
                "another writer has changed its columns: take that change back, or load into a table of another name"
            )
            raise TransformRejected(f"{name}: the columns do not fit: {error}", remedy) from error
        except (DeltaError, OSError) as error:
            raise StoreUnavailable(f"{name}: {plain(error)}", TRY_AGAIN) from error


def plain(error: Exception) -> str:
    """The message on one line; delta-rs colours its own and spreads it over several."""
    return " ".join(re.sub(r"\x1b\[[0-9;]*m", "", str(error)).split())[:400] or type(error).__name__
