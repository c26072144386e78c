"""The values that cross once rows are read: what the source counted, and what a read knows of itself."""

from collections.abc import Sequence
from typing import IO, NamedTuple

from events.files import FileColumn
from flowforge.domain.file_version import FileVersion


class CountAtSource(NamedTuple):
    """What the source counted on its own, and when by its clock (UTC, style 121)."""

    rows: int
    at: str


class Recount(NamedTuple):
    """The rows that the source counts for a plan after they were read; `with_position` leaves out those without a cursor."""

    rows: int
    with_position: int
    at: str


class FileRead(NamedTuple):
    """What became of a file's records: `rows` of them are among the batches, `rejected` are not; the first of these in words."""

    file: FileVersion
    rows: int
    rejected: int = 0
    first_rejected: str = ""


class ReadReport(NamedTuple):
    """What a read knows of itself once it is done: its view of the source, what the source counted in it, and how it was read.

    Of files: what became of each, and `rejects`, a Parquet file of the records that are not among the batches, at its start; it
    is closed with its reader; `types` are columns that were proposed from the first file, to be kept for the later ones.
    """

    consistency: str = ""
    counted: CountAtSource | None = None
    notes: Sequence[str] = ()
    files: Sequence[FileRead] = ()
    rejects: IO[bytes] | None = None
    types: Sequence[FileColumn] = ()
