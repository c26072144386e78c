"""Records of Parquet, by row groups: columns by name, each in the contract's type or the file is refused by the column's name.

Guarantees: no value changes by its type: what could lose one (a double as decimal, an int64 as double, a zone) is refused first.
Rows read are those that the footer counts. Memory is that of one batch, and of a row group of LARGE_GROUP or of a page of each
column; checksums of pages are verified.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple, Self

import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq

from events.files import FileColumn, FileContract
from flowforge.domain.errors import UnsupportedSource
from flowforge.domain.slice_plan import ByteRange
from flowforge.sources.files.container import Content
from flowforge.sources.files.parquet_types import Reading, own_type, reading
from flowforge.sources.files.rejected import Portion
from flowforge.sources.files.splits import part, with_ends

pc: Any = pyarrow.compute
MOST_ROWS, BATCH_BYTES = 65_536, 2**23
LARGE_GROUP = 2**26  # bytes in the file; a larger row group is read in parts of its columns, by more calls of the store


class RowGroup(NamedTuple):
    """A part of a file that can be read alone: its rows (`first_row` from 1) and the bytes that hold them."""

    first_row: int
    rows: int
    start: int
    size: int


class ParquetRecords:
    """The records of a file, or of some of its row groups. A context manager; iterated once, it gives portions.

    `fields` are the file's columns, `columns` the contract's (the file's own, where the contract has none), `extra` the fields
    that no column has, `notes` what a person should know.
    """

    def __init__(self, content: Content, contract: FileContract, groups: Sequence[int] | None = None):
        self._name, self._opened, self._read = content.name, ExitStack(), 0
        if content.form != "parquet":
            raise UnsupportedSource(f"{self._name} is no Parquet file", "name the format that it has")
        try:
            with _damage(self._name):
                self._file = self._open(content)
                self._schema = self._file.schema_arrow
            self.row_groups = _row_groups(self._file.metadata)
            if max((group.size for group in self.row_groups), default=0) > LARGE_GROUP:
                with _damage(self._name):
                    self._file = self._open(content, LARGE_GROUP // max(len(self._file.schema), 1))
            self._groups = list(range(len(self.row_groups)) if groups is None else groups)
            self.fields = list(self._schema.names)
            self.columns = contract.columns or [
                FileColumn(name=one.name, field=one.name, type=own_type(one.type)) for one in self._schema
            ]
            known = {column.field for column in self.columns}
            self.extra = [name for name in self.fields if name not in known]
            self.notes = [*content.notes, *_type_notes(self._file)]
            self._readings = self._checked()
        except BaseException:
            self._opened.close()
            raise

    def splits(self, size: int) -> list[ByteRange]:
        """Parts of whole row groups, each of about `size` bytes in the file, or of one that is larger; `only` reads one."""
        found: list[ByteRange] = []
        held = size
        for group in self.row_groups:
            if held >= size and group.rows:
                found.append(part(group.start, group.start, 1, group.first_row))
                held = 0
            held += group.size
        return with_ends(found or [part(0, 0, 1, 1)], sum(group.rows for group in self.row_groups))

    def only(self, split: ByteRange) -> Self:
        """Reads one of its splits, and counts it."""
        behind = split.row_number + split.records
        self._groups = [
            place for place, group in enumerate(self.row_groups) if split.row_number <= group.first_row < behind
        ]
        return self

    def _open(self, content: Content, column_bytes: int = 0) -> pq.ParquetFile:
        """The file. With `column_bytes` so many of each column are held at once (64 KiB to 1 MiB), else all of a row group."""
        return pq.ParquetFile(
            pa.PythonFile(self._opened.enter_context(content.open_file()), mode="r"),
            coerce_int96_timestamp_unit="us",
            page_checksum_verification=True,
            pre_buffer=not column_bytes,
            buffer_size=min(max(column_bytes, 2**16), 2**20) if column_bytes else 0,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self._opened.close()

    def __iter__(self) -> Iterator[Portion]:
        for group in self._groups:
            with _damage(self._name):
                batches = self._file.iter_batches(self._batch_rows(group), row_groups=[group])
                first = self.row_groups[group].first_row
                for batch in batches:
                    yield Portion(self._converted(batch), pa.array(range(first, first + batch.num_rows), pa.int64()))
                    first += batch.num_rows
                    self._read += batch.num_rows
        if self._read != self.counted():
            raise UnsupportedSource(
                f"{self._name}: its footer counts {self.counted():,} rows, {self._read:,} were found",
                "deliver it again",
            )

    def counted(self) -> int:
        """The number of records by the footer, of the row groups that are read."""
        return sum(self.row_groups[group].rows for group in self._groups)

    def _checked(self) -> list[Reading]:
        wanted = {column.field: column for column in self.columns}
        found = []
        for one in self._schema:
            column = wanted.get(one.name, FileColumn(name=one.name, field=one.name))
            found.append(reading(one.type, column, self._name))
        return found

    def _converted(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        arrays = [self._cast(place, array) for place, array in enumerate(batch.columns)]
        return pa.RecordBatch.from_arrays(arrays, names=self.fields)

    def _cast(self, place: int, array: pa.Array) -> pa.Array:
        try:
            return self._readings[place](array)
        except (pa.ArrowException, ValueError, TypeError, KeyError, RecursionError) as error:
            raise UnsupportedSource(
                f"{self._name}: column {self.fields[place]} has a value that its type does not hold",
                "take it as text, or deliver the file without that value",
            ) from error

    def _batch_rows(self, group: int) -> int:
        found = self._file.metadata.row_group(group)
        return max(1, min(MOST_ROWS, BATCH_BYTES * max(found.num_rows, 1) // max(found.total_byte_size, 1)))


def _row_groups(metadata: pq.FileMetaData) -> list[RowGroup]:
    found, first = [], 1
    for place in range(metadata.num_row_groups):
        group = metadata.row_group(place)
        chunks = [group.column(one) for one in range(group.num_columns)]
        starts = [min(one.data_page_offset, one.dictionary_page_offset or one.data_page_offset) for one in chunks]
        ends = [start + one.total_compressed_size for start, one in zip(starts, chunks, strict=True)]
        found.append(
            RowGroup(first, group.num_rows, min(starts, default=0), max(ends, default=0) - min(starts, default=0))
        )
        first += group.num_rows
    return found


def _type_notes(file: pq.ParquetFile) -> Iterator[str]:
    for place in range(len(file.schema)):
        column = file.schema.column(place)
        if column.physical_type == "INT96":
            yield f"{column.path} is INT96, an outdated type: it is read in microseconds, finer digits are not seen"
        elif str(column.logical_type).find("nanoseconds") >= 0:
            yield f"{column.path} has nanoseconds: records with digits below a microsecond are rejected"


@contextmanager
def _damage(name: str) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno:
            raise
        if "crypt" in str(error):
            raise UnsupportedSource(
                f"{name} is encrypted", "deliver it without encryption; the store encrypts"
            ) from error
        raise UnsupportedSource(f"{name} is damaged: {error}", "deliver it again") from error
