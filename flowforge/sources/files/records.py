"""A file under a stored contract, opened: what it is by its bytes, and the reader of its records.

Guarantees: every record is in a portion or among its rejects, with its number; `counted` tells the number of records by their
line ends and quotes alone, without the parser. A file that is not what the contract says is refused before its first record.
"""

from collections.abc import Iterator
from types import TracebackType
from typing import Protocol, Self

from events.files import FileColumn, FileContract
from flowforge.domain.errors import UnsupportedSource
from flowforge.domain.slice_plan import ByteRange
from flowforge.sources.files.container import Content, StoredFile, look_into
from flowforge.sources.files.delimited_records import DelimitedRecords
from flowforge.sources.files.document_records import JsonRecords
from flowforge.sources.files.encoding import check_mark
from flowforge.sources.files.fixed_records import FixedRecords
from flowforge.sources.files.ndjson_records import NdjsonRecords
from flowforge.sources.files.parquet_records import ParquetRecords
from flowforge.sources.files.rejected import Portion
from flowforge.sources.files.splits import SPLIT_BYTES
from flowforge.sources.files.text_records import TextRecords

GROWING = ("json", "ndjson")  # whose fields are all known at their end only
LINES = ("csv", "tsv", "fixed", "ndjson")
IN_PARTS = (*LINES, "parquet")  # what may be read in splits


class Records(Protocol):
    """A file's records. `fields` are those of its header, or their places from 1; `columns` the contract's, or else one for each
    field; `extra` the fields that no column has; `notes` what a person should know, complete at the end. The fields of JSON
    objects grow while they are read: a portion has all that are known at its end."""

    fields: list[str]
    extra: list[str]
    notes: list[str]

    @property
    def columns(self) -> list[FileColumn]: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...
    def __iter__(self) -> Iterator[Portion]: ...
    def counted(self) -> int: ...


def open_file(file: StoredFile, contract: FileContract, split: ByteRange | None = None) -> Records:
    """The records of a file, or of one of its splits, a context manager. Which columns a file may lack or have besides is for
    `casting_for` to say.

    Raises UnsupportedSource, here or when it is entered, for what is not as the contract says or cannot be read.
    """
    return open_records(content_of(file, contract), contract, split)


def content_of(file: StoredFile, contract: FileContract) -> Content:
    """What a file holds, unpacked as its contract says. Raises UnsupportedSource."""
    content = look_into(file.name, file.size, file.open, contract.member)
    if contract.compression not in (None, content.compression):
        raise UnsupportedSource(
            f"{file.name}: its compression is {content.compression}, the contract says {contract.compression}",
            "deliver it so, or leave the compression out of the contract",
        )
    return content


def open_records(content: Content, contract: FileContract, split: ByteRange | None = None) -> Records:
    """The records of a content, or of one of its splits. Raises UnsupportedSource for one of another form."""
    form = contract.format if contract.format in ("parquet", "excel") else "text"
    if content.form != form:
        raise UnsupportedSource(
            f"{content.name} is {_a(content.form)}, the contract says {contract.format}",
            f"deliver {contract.format}, or change the job's contract; a file's name proves nothing",
        )
    if contract.format == "parquet":
        rows = ParquetRecords(content, contract)
        return rows.only(split) if split else rows
    if contract.format == "excel":
        from flowforge.sources.files.excel_records import ExcelRecords  # openpyxl: an eighth of a reader's import

        return ExcelRecords(content, contract)
    check_mark(content, contract.encoding)
    if contract.format == "json":
        return JsonRecords(content, contract)
    lines = _lines(content, contract)
    return lines.only(split) if split else lines


def splits_of(content: Content, contract: FileContract, size: int = SPLIT_BYTES) -> list[ByteRange]:
    """Parts of about `size` bytes in which CSV, TSV, fixed width or NDJSON can be read instead of at once, found by one pass that
    uses no parser; those of Parquet are whole row groups, as its footer tells them. Together they are the content: records,
    numbers, places, rejects; of NDJSON without columns each has the fields that are in it. Raises UnsupportedSource where it has
    to be read at once: compressed, UTF-16, or of another format."""
    if content.form == contract.format == "parquet":
        with ParquetRecords(content, contract) as rows:
            return rows.splits(size)
    if content.form != "text" or contract.format not in LINES:
        raise UnsupportedSource(f"{content.name}: {contract.format} is not read in splits", "read it at once")
    return _lines(content, contract).splits(size)


def _lines(content: Content, contract: FileContract) -> TextRecords:
    if contract.format == "fixed":
        return FixedRecords(content, contract)
    return NdjsonRecords(content, contract) if contract.format == "ndjson" else DelimitedRecords(content, contract)


def _a(form: str) -> str:
    return {"parquet": "a Parquet file", "excel": "a workbook"}.get(form, "a text")
