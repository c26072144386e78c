"""What delta-rs has read of a table's log is kept in a warm process, until the next handle on that table needs it.

To open a table is to read each entry of its log since the last checkpoint; the next batch mostly finds one entry more. What is
kept is the copy of the log (`log_copy`), or of a table whose log is not copied what delta-rs has in memory.

Guarantees: a handle has what it was lent for itself; it comes back when the handle is gone. Nothing that is kept is taken for
the table as it is: before it is lent again the log is looked at, and what has been committed since is read. Where the log does
not hold the very commit that was read last (the table was deleted, made anew, or taken back to an earlier moment), all is read
anew.
"""

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace

from deltalake._internal import RawDeltaTable
from deltalake.exceptions import DeltaError

from flowforge.domain.errors import StoreUnavailable
from flowforge.runtime.deployment import current
from flowforge.tables.delta.log import LogEntry, commits_from, read_entry
from flowforge.tables.delta.log_copy import LogCopy, Uncopied, copy_log

MOST_TABLES = 1_000  # of ten rows: each takes 50 KB of memory
MOST_FILES = 10_000  # of all tables that are kept: what is known of them stays in memory
MOST_BYTES = 128 * 2**20  # of all copies of logs, below /tmp


@dataclass(frozen=True)
class Kept:
    """What was read of a table, with the access by which it was; `entry` is its newest commit, where that was looked at, `etag`
    that of the commit's object, where the two are known to belong together. `copy` is where it was read, where not on S3."""

    raw: RawDeltaTable
    options: Mapping[str, str]
    etag: str | None = None
    entry: LogEntry | None = None
    copy: LogCopy | None = None


class KeptTables:
    """By address, the one that came back last goes last."""

    def __init__(self) -> None:
        # Each with the number of its files, and the bytes of its copy.
        self._kept: OrderedDict[str, tuple[Kept, int, int]] = OrderedDict()
        self._changing = threading.RLock()  # what comes back comes whenever a handle is collected, in this thread too

    def give_back(self, uri: str, kept: Kept) -> None:
        """Takes what a handle had that nobody holds any more; not one whose copy has gone with it, in a circle of references."""
        if kept.copy is not None and not kept.copy.is_there:
            return
        files, size = len(kept.raw.get_add_file_sizes()), kept.copy.size() if kept.copy is not None else 0
        with self._changing:
            self._kept[uri] = kept, files, size
            self._kept.move_to_end(uri)
            while self._kept and self._are_too_many():
                self._kept.popitem(last=False)

    def _are_too_many(self) -> bool:
        files, size = (sum(one) for one in zip(*((n, b) for _, n, b in self._kept.values()), strict=True))
        return len(self._kept) > MOST_TABLES or files > MOST_FILES or size > MOST_BYTES

    def lend(self, uri: str, options: Mapping[str, str]) -> Kept | None:
        """What is kept of a table, brought up to date; None where there is nothing, or it is not of the table that is there."""
        with self._changing:
            kept, *_ = self._kept.pop(uri, (None, 0, 0))
        if kept is None or kept.options != options:
            return None
        try:
            if kept.copy is not None:
                return replace(kept, raw=kept.copy.caught_up(kept.raw))
            return _brought_up_to_date(uri, kept)
        except (DeltaError, OSError, StoreUnavailable, Uncopied):
            return None  # it is opened anew, and tells by itself what is wrong


def kept_tables() -> KeptTables:
    """Those of the current deployment."""
    return current().once("delta tables", KeptTables)


def copied(uri: str, options: Mapping[str, str], near: int | None) -> Kept | None:
    """The table on a copy of its log; None where that cannot be, and delta-rs says by itself what is there. Raises NoTable."""
    try:
        copy = copy_log(uri, near)
        return Kept(copy.open(), options, copy=copy)
    except (Uncopied, StoreUnavailable, DeltaError, OSError):
        return None


def _brought_up_to_date(uri: str, kept: Kept) -> Kept | None:
    version = kept.raw.version()
    there = commits_from(uri, version).commits()
    entry = kept.entry
    if kept.etag is None:
        entry = entry or read_entry(uri, version)
        if entry is None or not _has_files_of(kept.raw, entry):
            return None
    expected = kept.etag or (entry.etag if entry else "")
    if there.get(version) != expected:
        return None
    if max(there) == version:
        return Kept(kept.raw, kept.options, expected, entry if entry and entry.etag == expected else None)
    kept.raw.update_incremental()
    newest = kept.raw.version()
    entry = read_entry(uri, newest)  # which is mostly asked for next
    if entry is not None and entry.etag == there.get(newest) and _has_files_of(kept.raw, entry):
        return Kept(kept.raw, kept.options, entry.etag, entry)
    now = commits_from(
        uri, version
    ).commits()  # once more, so that nothing can have come between the look and the reading
    if now.get(version) != expected or kept.raw.version() not in now:
        return None
    return Kept(kept.raw, kept.options, now[kept.raw.version()], None)


def _has_files_of(raw: RawDeltaTable, entry: LogEntry) -> bool:
    """Whether the entry is the very commit that was read: its files, whose names come once, are among those that are known."""
    return bool(entry.added) and entry.added <= raw.get_add_file_sizes().keys()
