"""A claimed version of a file, opened: what its reader cannot read refuses the file by its name."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from events.files import FileContract
from flowforge.aws import stored_files
from flowforge.domain.errors import FileRefused, SourceUnavailable, UnknownColumn, UnsupportedSource
from flowforge.domain.file_version import FileVersion
from flowforge.domain.slice_plan import ByteRange
from flowforge.sources.files.container import StoredFile
from flowforge.sources.files.records import Records, open_file
from flowforge.sources.files.rejected import Portion


def stored(file: FileVersion) -> StoredFile:
    """The version as a file that is read."""
    return StoredFile(file.address, file.size, partial(stored_files.open_file, file))


@contextmanager
def opened_file(file: FileVersion, contract: FileContract, part: ByteRange | None = None) -> Iterator[Records]:
    """The records of a version, or of one of its parts. Raises FileRefused."""
    with refusing(file):
        entered = open_file(stored(file), contract, part)
        records = entered.__enter__()
    try:
        yield records
    finally:
        entered.__exit__(None, None, None)


def portions_of(file: FileVersion, records: Records) -> Iterator[Portion]:
    """The portions of a file; what its reader cannot read refuses the file by name."""
    portions = iter(records)
    while True:
        with refusing(file):
            portion = next(portions, None)
        if portion is None:
            return
        yield portion
        del portion


@contextmanager
def refusing(file: FileVersion) -> Iterator[None]:
    """What a reader refuses, and a column that a file lacks, becomes FileRefused, which names the file."""
    try:
        yield
    except (UnsupportedSource, UnknownColumn) as error:
        told = str(error) if file.key in str(error) else f"{file.address}: {error}"
        raise FileRefused(told, error.remedy, file) from error


@contextmanager
def hiding(protects: bool) -> Iterator[None]:
    """Where a job protects personal data: a refusal quotes nothing of a file, whose header may be a record."""
    try:
        yield
    except FileRefused as error:
        file = error.file
        told = str(error).replace(file.address, "")
        if not protects or error.rejects or not any(mark in told for mark in "'\""):
            raise
        raise FileRefused(
            f"{file.address}: it has not the form of the job's columns; what it has in their place is not shown, since the job"
            " protects personal data (a file without its header shows a record there)",
            "Look at the file itself: its header, its fields and their number; then mend it and deliver it again.",
            file,
        ) from None


def refuse_late(deadline: float | None) -> None:
    """Raises SourceUnavailable behind the deadline (by time.monotonic)."""
    if deadline is not None and time.monotonic() > deadline:
        raise SourceUnavailable(
            "the files could not be read within the function's time",
            "The message is delivered again; a single file that takes so long is to be delivered in parts.",
        )
