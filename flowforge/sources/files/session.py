"""The questions of a load of files: what a job's contract says of their columns, and which of them are read next."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import Any

from events.files import FileColumn
from events.targets import FilePlace, SourceFiles
from flowforge.aws.stored_files import find_file, list_files
from flowforge.domain.column_types import parse_type
from flowforge.domain.errors import UnknownColumn, UnknownTable, UnsupportedSource
from flowforge.domain.file_version import FileVersion
from flowforge.domain.interval import Interval
from flowforge.domain.own_columns import is_own
from flowforge.domain.slice_plan import Counting
from flowforge.domain.source_columns import SourceColumn
from flowforge.runtime.settings import settings
from flowforge.sources.base import Moment
from flowforge.sources.files.choosing import choose
from flowforge.sources.files.listing import matching_files, named_files
from flowforge.sources.plans import Description, Estimate, LastRead, LoadedTable, Nothing, ReadPlan, StandsStill, Wanted
from flowforge.sources.protection import dropped_columns, protected_columns, setting_of

RESCUED = "_rescued"  # the column of unknown fields, where they are kept
VIEW = "each file as the version that was claimed"
COUNTING = Counting(together=True)
Slicing = Callable[[ReadPlan, Description], ReadPlan]  # the plan of a large file, in slices where it can be


@dataclass(frozen=True)
class Detail:
    """What the seam carries for files: the description that a plan is of, and its columns as files have them, once known.

    `types` are those among them that are to be kept for later files, `notes` what a run tells of them."""

    description: Description
    columns: tuple[FileColumn, ...] | None = None
    types: tuple[FileColumn, ...] = ()
    notes: tuple[str, ...] = ()


class FilesSession:
    """See `base.Session`. It holds no connection."""

    def __init__(self, place: FilePlace, slicing: Slicing | None = None):
        self.place, self._slicing = place, slicing

    def test(self) -> dict[str, Any]:
        """Whether the bucket can be listed."""
        next(list_files(self.place.bucket, ""), None)
        return {"bucket": self.place.bucket}

    def tables(self) -> list[dict[str, Any]]:
        """There are none: files are looked at by `flowforge files`."""
        return []

    def standing_still(self, tables: Sequence[LoadedTable]) -> StandsStill | None:
        """Files are listed by each load."""
        return None

    def expand(self, pattern: str) -> list[str]:
        """The keys that a pattern names."""
        found = [one.key for one in matching_files(self.place.bucket, pattern)]
        if not found:
            raise UnknownTable(f"no file of s3://{self.place.bucket} fits {pattern}", "look at the bucket's keys")
        return found

    def show(self, table: str, rows: int) -> dict[str, Any]:
        """Files are no tables."""
        raise UnknownTable(
            f"{table}: s3://{self.place.bucket} has files", "look at one with flowforge files inspect KEY"
        )

    def describe(self, wanted: Wanted) -> Description:
        """The columns of the contract; none where it leaves them to the files."""
        read: SourceFiles = wanted.read
        columns = checked_columns(read.contract.columns, wanted, read.title)
        dropped = [one.name for one in read.contract.columns if one.name.lower() in dropped_columns(read)]
        identity = {"left_out": dropped, "dropped": dropped} if dropped else {}
        return Description(wanted, read.title, columns, parts=(read.workflow, read.job), identity=identity)

    def plan(self, description: Description, last: Mapping[str, LastRead], only_new: bool = False) -> ReadPlan:
        """The new files in the job's order, as many as one batch takes."""
        read: SourceFiles = description.wanted.read
        chosen = choose(description.wanted, self._found(read), last.get("", LastRead()))
        files = chosen.files if description.wanted.only_shown else _with_version_ids(chosen.files)
        told = "the file" if len(files) == 1 else f"{len(files):,} files"
        promise = f"{told} as found, each record once" if files else ""
        interval = Interval(
            files=files,
            skipped=chosen.skipped,
            below=chosen.below,
            replaces=chosen.replaces,
            promise=promise,
            notes=chosen.notes,
        )
        detail = Detail(description)
        plan = ReadPlan(interval, description.columns, identity=description.identity, counting=COUNTING, detail=detail)
        if not files:
            return replace(plan, nothing=Nothing(f"no new file of {read.title}", chosen.notes))
        return self._in_slices(plan, description)

    def one_moment(self, description: Description) -> AbstractContextManager[Moment]:
        """There is none: files are versions that stay."""
        raise UnsupportedSource(
            f"{description.name}: files have no moment in common", "load them without consistentCut"
        )

    def estimate(self, description: Description, plan: ReadPlan) -> Estimate:
        """The sizes of the files, as the listing has them, in how many slices they would be read, and all that are meant."""
        from flowforge.sources.files.expected_slices import expected_slices

        read: SourceFiles = description.wanted.read
        files, slices, warnings = plan.interval.files, 1, []
        if large := next((one for one in files if one.size > settings().slice_bytes), None):
            several = "it is read together with others" if len(files) > 1 else ""
            slices, why = (1, several) if several else expected_slices(read.contract, large)
            how = f"in about {slices} slices" if slices > 1 else f"at once: {why}"
            warnings = [f"{large.address} is large and read {how}"]
        size = sum(file.size for file in files)
        return Estimate(bytes=size, warnings=warnings, files=list(self._found(read)), slices=slices)

    def _in_slices(self, plan: ReadPlan, description: Description) -> ReadPlan:
        """The plan, in slices where it is one large file; its detail is then what they are read by."""
        files = plan.interval.files
        if len(files) != 1 or files[0].size <= settings().slice_bytes or description.wanted.only_shown:
            return plan
        return self._slicing(plan, description) if self._slicing else plan

    def _found(self, read: SourceFiles) -> Iterable[FileVersion]:
        bucket = self.place.bucket
        return named_files(bucket, read.keys) if read.keys else matching_files(bucket, read.pattern)


@contextmanager
def opened(place: FilePlace, slicing: Slicing | None = None) -> Iterator[FilesSession]:
    """A session; nothing is asked before a question."""
    yield FilesSession(place, slicing)


def checked_columns(columns: Sequence[FileColumn], wanted: Wanted, where: str) -> list[SourceColumn]:
    """The columns as they land: without those that are dropped, those that are protected as what their values become. `where`,
    the job's files or the one that has them, is what an error names.

    Raises what `check_columns` and `protection.protected_columns` raise.
    """
    read: SourceFiles = wanted.read
    found = source_columns(columns, read.contract.unknown_columns == "rescue")
    check_columns(found, wanted, where)
    if not read.protect:
        return found
    dropped = dropped_columns(read)
    for name in wanted.key:
        if name.lower() in dropped:
            raise UnsupportedSource(
                f"{where}: {setting_of(read)} drops {name!r}, which is a key", "leave it in, or have another key"
            )
    kept = [column for column in found if column.name.lower() not in dropped]
    return protected_columns(kept, read, wanted.key, where)


def source_columns(columns: Sequence[FileColumn], rescues: bool) -> list[SourceColumn]:
    """A file's columns as the layers know them; without one that tells the operation, which comes beside them."""
    columns = [one for one in columns if not one.operations]
    for one in columns:
        try:
            parse_type(one.type)
        except ValueError as error:
            raise UnsupportedSource(f"column {one.name}: {error}", "mend the job's columns") from error
    found = [SourceColumn(name=one.name, type=one.type, nullable=one.nullable) for one in columns]
    return [*found, SourceColumn(name=RESCUED, type="json")] if rescues else found


def check_columns(columns: Sequence[SourceColumn], wanted: Wanted, where: str) -> None:
    """Raises UnsupportedSource for names that the lake takes for one, or that it has itself, UnknownColumn for a key that is no
    column. Columns that are still open are not looked at."""
    seen: dict[str, str] = {}
    for column in columns:
        name = column.name
        if other := seen.get(name.lower()):
            raise UnsupportedSource(
                f"{where}: the columns {other!r} and {name!r} have one name for most readers of the lake",
                f"Give columns in the request, in which {name!r} has another name.",
            )
        if is_own(name, wanted.audited, files=True):
            raise UnsupportedSource(
                f"{where}: the column {name!r} has the name of one that FlowForge adds",
                f"Give columns in the request, in which {name!r} has another name.",
            )
        seen[name.lower()] = name
    missing = [name for name in wanted.key if columns and name.lower() not in seen]
    if missing:
        raise UnknownColumn(
            f"{where}: key column {', '.join(missing)} is no column", f"it has {', '.join(seen.values())}"
        )


def _with_version_ids(files: list[FileVersion]) -> list[FileVersion]:
    """The same versions with their ids, which a listing leaves out; where the first has none, the bucket keeps none."""
    known: list[FileVersion] = []
    for file in files:
        found = find_file(*file.place) if file.version_id is None else file
        known.append(found if found is not None and found.is_same_content(file) else file)
        if found is not None and found.version_id is None:
            return [*known, *files[len(known) :]]
    return known
