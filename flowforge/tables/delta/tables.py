"""A Delta table's handle, and how one is opened and made.

Guarantees: a handle's version is the only one that it commits on (`writing`). Two writers that create a table at once end up with
one table.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from arro3.core import RecordBatchReader
from deltalake import DeltaTable
from deltalake._internal import RawDeltaTable
from deltalake.exceptions import CommitFailedError, DeltaError, SchemaMismatchError, TableNotFoundError

from flowforge.aws.clients import TRY_AGAIN
from flowforge.domain.errors import StoreUnavailable, TransformRejected
from flowforge.engines.base import ArrowStream
from flowforge.runtime.disk_space import no_space
from flowforge.tables.base import UPKEEP, Commit, Moved, VersionGone, once
from flowforge.tables.delta.access import storage_options
from flowforge.tables.delta.datafiles import CHECKPOINTS, Files
from flowforge.tables.delta.keeping import Kept, KeptTables, copied, kept_tables
from flowforge.tables.delta.log import ERASED, LogEntry, commits_from, entry_of, read_entry
from flowforge.tables.delta.log_copy import LogCopy, NoTable
from flowforge.tables.delta.writing import NO_CLEANUP, properties_of

UPKEEP_OPERATIONS = ("OPTIMIZE", "VACUUM START", "VACUUM END")
UPKEEP_COMMITS = 50  # that are looked through, at most, for the last commit that changed rows


class Handle(Files):
    """A table as of one version, that remembers what it was asked: delta-rs reads the log after the last checkpoint anew for
    every application transaction, and what is asked for most stands in the newest commit.

    It is on a copy of the log where there is one, for reading and for commits of files. What delta-rs itself does with data
    files, and every other commit, it does on S3 (`reach_store`)."""

    def __init__(self, table_uri: str, kept: Kept | None = None, **options: Any):
        self._place, self._copy = table_uri, kept.copy if kept else None
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
        self.home: KeptTables | None = None  # where it goes when it is dropped

    def __del__(self) -> None:
        with suppress(Exception):  # whoever drops a handle wants nothing more of it
            if self.home is not None and self._storage_options is not None:
                version = self.version()
                entry, etag = self._entries.get(version), self._etags.get(version)
                self.home.give_back(self._place, Kept(self._table, self._storage_options, etag, entry, self._copy))

    @property
    def table_uri(self) -> str:
        """Where the table is, whether the handle is on a copy of its log or not."""
        return self._place

    @property
    def is_copied(self) -> bool:
        """Whether the handle is on a copy of the log."""
        return self._copy is not None

    def file_uris(self, partition_filters: Any = None) -> list[str]:
        """The files of the handle's version."""
        found = super().file_uris(partition_filters)
        if self._copy is None:
            return found
        here = self._table.table_uri().removeprefix("file://").rstrip("/") + "/"  # as delta-rs spells the copy's folder
        return [f"{self.uri}/{file.removeprefix(here)}" if file.startswith(here) else file for file in found]

    def file_sizes(self) -> dict[str, int]:
        """The bytes of the files of the handle's version."""
        found = {f"{self.uri}/{path}": size for path, size in self._table.get_add_file_sizes().items()}
        return {uri: found[uri] for uri in self.file_uris() if uri in found}

    def history(self, limit: int | None = None) -> list[dict[str, Any]]:
        """What the newest commits tell of themselves, newest first; a copy does not have them all."""
        known = DeltaTable(self.uri, self.version(), self._storage_options) if self._copy is not None else super()
        return [entry for entry in known.history(limit) if entry.get("operation") != ERASED]

    def reach_store(self) -> None:
        """Leaves the copy: it is not kept, and delta-rs reads the same version on S3."""
        if self._copy is not None:
            self._table = RawDeltaTable(self.uri, version=self.version(), storage_options=self._storage_options)
            self._copy = self.home = None

    def settle(self, version: int) -> None:
        """Puts a commit that was made on the copy into the log on S3. Where that fails, the copy is not kept."""
        if self._copy is not None:
            home, self.home = self.home, None
            self._copy.publish(version)
            self.home = home

    def apply_rows(
        self, rows: ArrowStream, same: str, removed: str, commit: Commit, values: Mapping[str, str] | None = None
    ) -> int:
        """See `LakeTable`. A table whose rows delta-rs merges is kept as delta-rs has it, for the next time."""
        home = self.home
        gone = super().apply_rows(rows, same, removed, commit, values)
        self.home = home
        return gone

    def awaits_rows(self) -> bool:
        """See `LakeTable`. Another program's table is as it is, an empty one too."""
        return self.version() == 0 and CHECKPOINTS.keys() <= self.properties().keys() and not super().file_uris()

    def transaction_version(self, app_id: str) -> int | None:
        """The version of an application transaction as of the handle's version."""
        if self.version() == self.empty_version:
            return None
        asked = (self.version(), app_id)
        if asked not in self._asked:
            newest = self.in_newest_commit(app_id)
            self._asked[asked] = self._stored_version(app_id) if newest is None else newest
        return self._asked[asked]

    def _stored_version(self, app_id: str) -> int | None:
        copy, version, ask = self._copy, self.version(), super().transaction_version

        def named_by(commit: int) -> Mapping[str, int] | None:
            found = copy.commit(commit) if copy is not None else None
            return entry_of(found).commit.transactions if found is not None else None

        return ask(app_id) if copy is None else copy.told.version_of(app_id, version, named_by, ask)

    def in_newest_commit(self, app_id: str) -> int | None:
        """The same where the commit that made the handle's version names it: no later one can. None where it does not."""
        version = self.version()
        try:
            found = None if version == self.empty_version else self.commit_of(version)
        except (
            StoreUnavailable
        ):  # so S3 answers for a commit that is gone, too, who may not list: delta-rs is asked then
            found = None
        return found.transactions.get(app_id) if found else None

    def commit_of(self, version: int) -> Commit | None:
        """What a version's commit holds beside files; None where its log was cleaned up."""
        if version not in self._entries:
            copied = self._copy.commit(version) if self._copy is not None else None
            self._entries[version] = entry_of(copied) if copied is not None else read_entry(self.uri, version)
        entry = self._entries[version]
        return entry.commit if entry else None

    def seal(self) -> str | None:
        """The handle's version, and the ETag of its commit."""
        version = self.version()
        if self.commit_of(version) is None:
            return None
        entry = self._entries[version]
        return f"{version} {entry.etag}" if entry else None

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

    def open(self, uri: str, version: int | None = None, near: int | None = None) -> Handle | None:
        """The table at its latest version or an earlier one, or None where there is none."""
        if version is None:
            return self._open_newest(uri, near)
        try:
            return Handle(uri, version=version, storage_options=storage_options())
        except TableNotFoundError:
            return None
        except DeltaError as error:
            raise VersionGone(str(error)) from error  # its log was cleaned up

    def _open_newest(self, uri: str, near: int | None) -> Handle | None:
        options, home = storage_options(), kept_tables()
        try:
            table = Handle(uri, home.lend(uri, options) or copied(uri, options, near), storage_options=options)
        except (NoTable, TableNotFoundError):
            return None
        table.home = home
        return table

    def is_still(self, uri: str, seal: str) -> bool:
        """Whether the log ends with the commit of a seal."""
        version, _, etag = seal.partition(" ")
        return commits_from(uri, int(version)).commits() == {int(version): etag}

    def create(self, uri: str, columns: ArrowStream, properties: Mapping[str, str]) -> Handle:
        """An empty table with these columns, where a moment ago was none.

        The creation is a commit of its own, so that the first batch is applied on a handle like any other. Raises Moved when
        somebody else was faster.
        """
        options, copy = storage_options(), LogCopy(uri, 0)
        made = DeltaTable.create(
            str(copy.folder),
            RecordBatchReader.from_arrow(columns).schema,
            configuration={**CHECKPOINTS, **properties},
            raise_if_key_not_exists=False,
            commit_properties=properties_of(once()),
            post_commithook_properties=NO_CLEANUP,
        )
        copy.publish(0)
        table = Handle(uri, Kept(made._table, options, copy=copy))
        table.empty_version, table.home = 0, kept_tables()
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
            raise no_space(error) or StoreUnavailable(f"{name}: {plain(error)}", TRY_AGAIN) from error


def plain(error: Exception) -> str:
    """The message on one line; delta-rs colours its own and spreads it over several."""
    return " ".join(re.sub(r"\x1b\[[0-9;]*m", "", str(error)).split())[:400] or type(error).__name__
