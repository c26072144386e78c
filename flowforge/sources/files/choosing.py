"""Which files the next batch reads: new ones, in the job's order, as many as one batch takes.

Where a row may replace another one, a batch is one file: what stands in two files is then what the later one says. A snapshot,
after which rows that it lacks are gone, is the newest file alone; older ones are skipped, so that none overwrites what is newer.
There a file that is refused holds those behind it up; where rows are only added, it does not.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from events.targets import SourceFiles
from flowforge.domain.errors import FileRefused
from flowforge.domain.file_version import FileVersion
from flowforge.sources.files.listing import (
    NewFile,
    Place,
    find_new,
    follows,
    next_part,
    placing,
    sorted_by,
    was_refused,
)
from flowforge.sources.plans import LastRead, Wanted

MOST_FILES = 500  # of a batch: its record, with all versions in it, stays below what an item holds
MOST_BYTES = 2**28  # as they are stored; so much, expanded too, is read well within a function's time
MOST_KEYS = 128 * 2**10  # bytes of their keys: names that are long and alike in nothing fit the record, too
MOST_NOTES = 20


class Chosen(NamedTuple):
    """The versions that the next batch reads, those that no batch will, and what the run tells; `below`, `replaces`: see
    Interval."""

    files: list[FileVersion]
    skipped: list[FileVersion]
    notes: list[str]
    below: list[tuple[int, int]] = []  # noqa: RUF012  never changed
    replaces: bool = False


def choose(wanted: Wanted, found: Iterable[FileVersion], last: LastRead) -> Chosen:
    """Where rows are only added, files that were refused before stop no others; they are tried again where there are no others.

    Raises FileRefused where a file that was loaded has other content now and the job refuses that, and for a history or changes
    that are older than what is there; UnsupportedSource where a name does not say what the job orders by."""
    read: SourceFiles = wanted.read
    found = list(found)
    taken = last.files(found if wanted.adds_only else None)
    new = find_new(found, taken)
    _refuse_changed(read, new.files)
    files, apart = _apart(new.files, last.refused()) if wanted.adds_only else (new.files, [])
    files = sorted_by(read.order, files, read.date_pattern)
    if wanted.removes_rows:
        chosen = _newest(read, [one.file for one in files], taken)
    else:
        part = next_part(files, MOST_FILES if read.together and wanted.adds_only else 1, MOST_BYTES)
        part = part[: _fitting([one.file for one in part])]
        chosen = Chosen([one.file for one in part], [], _left(len(files) - len(part)))
        if not wanted.adds_only:
            chosen = _in_its_place(wanted, chosen, taken, last)
        chosen = chosen._replace(replaces=read.changed == "replace" and _had_rows(part, last))
    return chosen._replace(notes=[*_told(new.notes), *_told(apart), *chosen.notes])


def _had_rows(files: list[NewFile], last: LastRead) -> bool:
    """Whether the table may have rows of these files already."""
    return last.was_reset or any(one.before is not None for one in files)


def _apart(files: list[NewFile], refused: Mapping[Place, FileVersion]) -> tuple[list[NewFile], list[str]]:
    """The files that were not refused as they are, and notes of those that were; all, where each of them was."""
    fine = [one for one in files if not was_refused(one.file, refused)]
    if not fine:
        return files, []
    apart = [one.file for one in files if one not in fine]
    return fine, [f"{file.address} was refused before, and is left out until it changes" for file in apart]


def _refuse_changed(read: SourceFiles, files: list[NewFile]) -> None:
    changed = [one.file for one in files if one.before is not None]
    if changed and read.changed == "refuse":
        raise FileRefused(
            f"{changed[0].address} has other content than was loaded under its name (ETag {changed[0].etag})"
            + (f"; so have {len(changed) - 1:,} others" if len(changed) > 1 else ""),
            "The job refuses that: deliver new content under a new name, or have the job append it.",
            changed[0],
        )


def _newest(read: SourceFiles, files: list[FileVersion], taken: Mapping[Place, FileVersion]) -> Chosen:
    """The newest of some snapshots in their order, if none newer is loaded."""
    last = max(taken.values(), key=placing(read.order, read.date_pattern), default=None)
    is_after = follows(read.order, read.date_pattern)
    late = [file for file in files if last is not None and is_after(last, file)]
    *older, newest = files[len(late) :] or [None]
    skipped = [*late, *(file for file in older if file)]
    told = [
        f"{file.address} is a snapshot older than {(newest or last or file).address}: it is skipped" for file in skipped
    ]
    return Chosen([newest] if newest else [], skipped[: _fitting(skipped)] if newest else skipped, _told(told))


def _fitting(files: list[FileVersion]) -> int:
    """How many of them a batch's record takes; one at least."""
    size = 0
    for count, file in enumerate(files[:MOST_FILES]):
        size += len(file.key.encode())
        if count and size > MOST_KEYS:
            return count
    return min(len(files), MOST_FILES)


def _in_its_place(wanted: Wanted, chosen: Chosen, taken: Mapping[Place, FileVersion], last: LastRead) -> Chosen:
    """The choice, below the batches whose files come later in the job's order."""
    read: SourceFiles = wanted.read
    is_after = follows(read.order, read.date_pattern)
    if not chosen.files or not any(is_after(file, chosen.files[0]) for file in taken.values()):
        return chosen
    late, later = chosen.files[0], [one for one in last.applied() if is_after(one[0], chosen.files[0])]
    if wanted.keeps_history or wanted.follows_changes:
        what = (
            "a history takes no older state in late"
            if wanted.keeps_history
            else "changes are applied in their order only"
        )
        raise FileRefused(
            f"{late.address} comes before {later[0][0].address} in the job's order, which is loaded: {what}",
            "Deliver it under a name or date behind those that are loaded, or take it away.",
            late,
        )
    told = f"{late.address} comes before files that are loaded: what they say of its keys stays"
    return chosen._replace(notes=[told, *chosen.notes], below=_ranges(sorted(seq for _, seq in later)))


def _ranges(numbers: list[int]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for number in numbers:
        if found and number <= found[-1][1] + 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found


def _left(count: int) -> list[str]:
    return [f"{count:,} files are left for the next load"] if count else []


def _told(notes: list[str]) -> list[str]:
    more = len(notes) - MOST_NOTES
    return notes if more <= 0 else [*notes[:MOST_NOTES], f"and {more:,} more like these"]
