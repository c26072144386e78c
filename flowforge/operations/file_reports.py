"""What became of files, one report each: from the ledger, the records of their batches, and what was refused.

Reading changes nothing. The newest come first, by when their batch was claimed or they were refused. A page reads what is on it
and little more, by an index (`state/file_listing.py`); of a table that the index does not have whole yet, all that is known. An
answer says where it could not look at all.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from heapq import merge, nlargest
from typing import Any, NamedTuple

from flowforge.domain.errors import NotFound
from flowforge.domain.file_version import FileVersion
from flowforge.domain.source_key import SourceKey
from flowforge.operations.file_outcomes import Batches, Report, iso, report_of_entry, report_of_refusal
from flowforge.runtime.pages import cursor_of, fitting, place_of
from flowforge.runtime.settings import settings
from flowforge.state.file_ledger import FileEntry, entries
from flowforge.state.file_listing import listed_sources, newest_entries, newest_refusals
from flowforge.state.file_refusals import Refusal, refusal_of, refusals
from flowforge.state.table import TableState, key_id, list_tables, read_stored, state_of

MOST_READ = 100_000  # entries of ledgers that are not in the index, which one question looks at


MOST_HIDDEN = 500  # refusals of files that were loaded since, which one page looks at: the next one goes on


Rank = tuple[str, ...]


class _Found(NamedTuple):
    """One line of the list: `rank` is its place, the greatest first; `shown` makes the report, which may ask for records:
    that of its entry's batch. None: it is not shown."""

    rank: Rank
    shown: Callable[[], Report] | None
    batches: "Batches | None" = None
    entry: FileEntry | None = None


def list_files(
    limit: int, table: str | None = None, key: str | None = None, cursor: str | None = None
) -> dict[str, Any]:
    """The newest reports of all files, of those of a table or job, of the versions of one file; `next` is there where older ones
    follow: a page may have fewer than `limit`. Raises NotFound, and InvalidRequest for a cursor that is none."""
    place = place_of(cursor, 3)
    after = None if place is None else tuple(place)
    read = _Reading(MOST_READ)
    stored = read_stored(_tables(table))
    listed = set() if key else listed_sources()
    states = [state_of(source_key, item) for source_key, item in stored.items()]
    known = [_in_index(state, after) for state in states if state.source_key in listed]
    rest = (one for state in states if state.source_key not in listed for one in _of_table(state, key, read))
    others = nlargest(limit + 1, (one for one in rest if after is None or one.rank < after), key=lambda one: one.rank)
    page, gone_to = _first(limit + 1, merge(*known, others, key=lambda one: one.rank, reverse=True))
    if key and not page and not cursor:
        raise NotFound(
            f"nothing is known of a file {key!r}",
            "name it by its whole key (landing/WORKFLOW/JOB/FILE): flowforge files list shows what was loaded or refused.",
        )
    _read_together(page[:limit])
    shown = fitting(one.shown() for one in page[:limit] if one.shown)
    if len(shown) < len(page):
        gone_to = page[len(shown) - 1].rank
    more = {"next": cursor_of(*gone_to)} if gone_to else {}
    return {"files": shown, "notes": read.notes(), **more}


def _first(most: int, found: Iterable[_Found]) -> tuple[list[_Found], Rank | None]:
    """The first that are shown; and where it was given up to look for more."""
    page: list[_Found] = []
    hidden = 0
    for one in found:
        if one.shown:
            page.append(one)
        else:
            hidden += 1
        if len(page) == most:
            break
        if hidden == MOST_HIDDEN:
            return page, one.rank
    return page, None


def _in_index(state: TableState, after: Rank | None) -> Iterator[_Found]:
    """What is known of a table's files behind a place in the list, the newest first; read as it is asked for."""
    about, batches = key_id(state.source_key), Batches(state)
    before = "" if after is None else _bound(about, after)
    taken = (_line_of_entry(state, one, batches) for one in newest_entries(state.source_key, before))
    return merge(taken, _refused_in_index(state, before, batches), key=lambda one: one.rank, reverse=True)


def _bound(about: str, after: Rank) -> str:
    """What a table's items are listed below that stand behind a place. Of one moment those of the greater table come first."""
    moment, other, tail = after
    if about == other:
        return f"{moment}#{tail}"
    return f"{moment}$" if about < other else f"{moment}#"  # "$" follows "#"


def _refused_in_index(state: TableState, before: str, batches: "Batches") -> Iterator[_Found]:
    since = _since()
    for refusal in newest_refusals(state.source_key, before):
        if refusal.at <= since:
            return
        newest = max(entries(state.source_key, refusal.file), key=lambda one: one.order, default=None)
        if _is_mended(refusal, newest, batches):
            yield _line_of_refusal(state, refusal, True)._replace(shown=None)
        else:
            yield _line_of_refusal(state, refusal, False)


def _read_together(page: list[_Found]) -> None:
    """Reads the records of the batches of a page's entries: a hundred of a table in one call."""
    wanted: dict[Batches, list[FileEntry]] = {}
    for one in page:
        if one.batches is not None and one.entry is not None:
            wanted.setdefault(one.batches, []).append(one.entry)
    for batches, asked in wanted.items():
        batches.read(asked)


class _Reading:
    """Entries of ledgers, as many as one question may look at."""

    def __init__(self, most: int):
        self._most, self._left = most, most

    def some(self, found: Iterable[FileEntry]) -> Iterator[FileEntry]:
        """The entries, as long as there may be more."""
        for one in found:
            self._left -= 1
            if self._left < 0:
                return
            yield one

    def notes(self) -> list[str]:
        """What was left out."""
        told = f"only {self._most:,} entries of the ledger were looked at: name a table or a file"
        return [told] if self._left < 0 else []


def _tables(name: str | None) -> list[str]:
    """The source keys of files that a name means: a bronze table, workflow/job, workflow.job, a key or its id."""
    listed = [item["sk"] for item in list_tables()]
    known = {key: SourceKey.parse(key) for key in listed if key.startswith("s3://")}
    if name is None:
        return list(known)
    wanted = name.lower()
    found = [
        key
        for key, one in known.items()
        if name in (key, key_id(key))
        or wanted in (one.bronze_table.lower(), one.source_table.lower(), f"{one.schema}/{one.table}".lower())
    ]
    if not found:
        names = ", ".join(sorted(one.bronze_table for one in known.values())[:20]) or "none yet"
        raise NotFound(f"no table of files {name!r}", f"Tables that files were loaded into: {names}.")
    return found


def _of_table(state: TableState, key: str | None, read: _Reading) -> Iterator[_Found]:
    """What is known of a table's files, or of one: each version that was taken, and what was refused, in no order."""
    file = None if key is None else _named(state.source_key, key)
    batches = Batches(state)
    refused = {one.file.place: one for one in _refused(state.source_key, file)}
    newest: dict[tuple[str, str], FileEntry] = {}
    for one in read.some(entries(state.source_key, file)):
        before = newest.get(one.file.place)
        if one.file.place in refused and (before is None or before.order < one.order):
            newest[one.file.place] = one
        yield _line_of_entry(state, one, batches)
    for place, refusal in refused.items():
        mended = _is_mended(refusal, newest.get(place), batches)
        if refusal.at > _since() and (key or not mended):
            yield _line_of_refusal(state, refusal, mended)


def _line_of_entry(state: TableState, entry: FileEntry, batches: "Batches") -> _Found:
    rank = entry.moment, key_id(state.source_key), entry.place_in_moment
    return _Found(rank, partial(report_of_entry, state, entry, batches), batches, entry)


def _line_of_refusal(state: TableState, refusal: Refusal, mended: bool) -> _Found:
    rank = refusal.at, key_id(state.source_key), refusal.place_in_moment
    return _Found(rank, partial(report_of_refusal, state, refusal, mended))


def _is_mended(refusal: Refusal, newest: FileEntry | None, batches: "Batches") -> bool:
    """Whether the file was taken since it was refused, by its newest entry."""
    if newest is None:
        return False
    taken = newest.moment if newest.at else batches.at(newest)
    return newest.file.is_same_content(refusal.file) or taken > refusal.at


def _since() -> str:
    """Refusals from before are told no more."""
    return iso(time.time() - settings().history_days * 86_400)


def _named(source_key: str, key: str) -> FileVersion:
    """The file of a key, or of an address, of whatever version."""
    bucket, _, name = key.removeprefix("s3://").partition("/") if key.startswith("s3://") else ("", "", key)
    own = source_key.removeprefix("s3://").partition("/")[0]
    return FileVersion(bucket=bucket or own, key=name, etag="", size=0)


def _refused(source_key: str, file: FileVersion | None) -> Iterator[Refusal]:
    if file is None:
        yield from refusals(source_key)
    elif found := refusal_of(source_key, file):
        yield found
