"""Files of a bucket as a source: what `registry` finds, and where each of its promises is kept.

Guarantees: importing this module brings no pyarrow, since control functions ask it about requests; what lists and reads is
imported where it is asked for.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, ClassVar

from events.targets import FilePlace, SourceFiles
from flowforge.domain.errors import UnsupportedSource
from flowforge.domain.given import given
from flowforge.domain.interval import Interval
from flowforge.domain.scope import protected_in
from flowforge.domain.slice_plan import SlicePlan
from flowforge.domain.source_columns import SourceColumn
from flowforge.sources.base import BatchReader, NotAValue, Rereading, Session, Source
from flowforge.sources.plans import Description, LoadedTable, ReadPlan
from flowforge.sources.reports import Recount
from flowforge.sources.target import Credentials

NO_POSITION = "files have no watermark: a ledger of their versions says what is loaded"


class Files:
    """The files of a bucket; see `base.Source`."""

    kind: ClassVar[str] = "file"

    def __init__(self, reference: FilePlace, credentials: Credentials | None = None):
        self.reference = reference

    @classmethod
    def prepare(cls) -> None:
        """Imports what asking and reading take; only the formats that a function meets are imported later."""
        from flowforge.sources.files import reading, session  # noqa: F401

    @classmethod
    def mistakes(cls, wanted: SourceFiles, keeps: bool) -> list[tuple[str, str]]:
        """What no load of files does; nothing is looked at."""
        found = []
        if bool(wanted.keys) == bool(wanted.pattern):
            found.append(("keys", "name either the keys of files or a pattern"))
        return found

    @classmethod
    def is_asked_together(cls, table: LoadedTable) -> bool:
        """None: a ledger says what is loaded."""
        return False

    def session(self) -> AbstractContextManager[Session]:
        """Listings of the bucket."""
        from flowforge.sources.files.session import opened

        return opened(self.reference, _in_slices)

    def try_reading(self) -> str:
        """Lists the bucket; there is no driver."""
        from flowforge.sources.files.session import opened

        with opened(self.reference) as session:
            session.test()
        return "s3"

    def resume(
        self, interval: Interval, description: Description | None = None, splits: SlicePlan | None = None
    ) -> ReadPlan:
        """The plan of the versions that were claimed; where the contract leaves columns open, their headers are looked at."""
        from flowforge.sources.files.settled_columns import settled
        from flowforge.sources.files.slices import resumed

        if splits is not None:
            return resumed(interval, splits, given(splits.file))

        return settled(interval, given(description))

    def open(self, plan: ReadPlan, split: int | None = None, deadline: float | None = None) -> BatchReader:
        """A reader of the plan's files, one after the other; or of one part of its only file."""
        from flowforge.sources.files.reading import FilesReader
        from flowforge.sources.files.settled_columns import settled
        from flowforge.sources.files.slices import split_of
        from flowforge.sources.protected_reader import ProtectedReader
        from flowforge.sources.protection import keys_of

        known = plan
        if split is None and plan.detail.columns is None:
            known = settled(plan.interval, plan.detail.description)
        keys = keys_of(known.columns)  # before anything is read
        reader = FilesReader(known, deadline, None if split is None else split_of(plan, split))
        return ProtectedReader(reader, known.columns, keys) if protected_in(known.columns) else reader

    def recount(self, plan: ReadPlan, deadline: float | None = None) -> Recount:
        """Counts the records of the same versions again, by a pass that uses no parser."""
        from flowforge.sources.files.reading import count_again

        return count_again(plan, deadline)

    def reread(self, table: str, casts: Mapping[str, str]) -> Rereading:
        """Files are not compared with the lake."""
        raise UnsupportedSource(
            f"{table} is loaded from files, which are not compared with the lake",
            "each load has counted its files' records: look at the reports of the files",
        )

    def can_be_cursor(self, column: SourceColumn) -> bool:
        """No column bounds a load of files."""
        return False

    def position(self, text: str, column: SourceColumn, clock: str = "unknown") -> str:
        """There is none."""
        raise NotAValue(NO_POSITION, "leave it out; to load all files again, reset the table")

    def order(self, type: str | None) -> Callable[[str], Any]:
        """There is nothing to sort."""
        return str

    def is_exact(self, type: str | None) -> bool:
        """There is nothing to round."""
        return True

    def weakest(self, views: list[str]) -> str:
        """Each file is read as one version, or not at all."""
        from flowforge.sources.files.session import VIEW

        return VIEW if views and all(views) else ""


def _in_slices(plan: ReadPlan, description: Description) -> ReadPlan:
    """The plan of a large file, in slices where it can be read so; its detail is then what they are read by."""
    from flowforge.sources.files.slices import resumed, slices_of

    slices = slices_of(plan.interval, description)
    return resumed(plan.interval, slices, given(slices.file)) if slices else plan


_: type[Source] = Files
