"""What all texts have in common: records become portions of texts and rejects; each has its number; they are counted again.

Guarantees: memory is that of a portion: PORTION_ROWS records or PORTION_BYTES, whichever is reached first, and one record.
"""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import closing
from itertools import chain
from types import TracebackType
from typing import Self

import pyarrow as pa

from events.files import FileColumn, FileContract
from flowforge.domain.errors import UnsupportedSource
from flowforge.domain.slice_plan import ByteRange
from flowforge.sources.files.container import Content
from flowforge.sources.files.framing import Framed, Marks, Taken, chunks_of, codec_of, frame, lines_of, range_of
from flowforge.sources.files.record_count import RecordCounter, count_records
from flowforge.sources.files.rejected import Portion, Rejected, cut_raw
from flowforge.sources.files.splits import find_splits

PORTION_ROWS = 8_192
PORTION_BYTES = 2**22
MOST_COLUMNS = 10_000
MOST_ABOVE = 2**25  # bytes above the data that are held; behind more, blank lines mostly, records are read one by one
Row = list[str | None]


class TextRecords(ABC):
    """See records.Records. `has_header`: the first record is none of the data."""

    def __init__(self, content: Content, contract: FileContract, has_header: bool):
        self._content, self._contract, self._has_header = content, contract, has_header
        self._codec, _ = codec_of(contract.encoding)
        self._marks = Marks.of(contract, self._codec)
        self.fields: list[str] = []
        self.extra: list[str] = []
        self.notes = list(content.notes)
        self._total: int | None = None
        self._by_parts = False
        self._head: list[bytes] | None = None
        self._part: ByteRange | None = None
        self._start = 1, 0  # the line and the offset behind what stands above the data

    @property
    def columns(self) -> list[FileColumn]:
        """The contract's, or else one for each field that is known by now."""
        return self._contract.columns or [FileColumn(name=name, field=name) for name in self.fields]

    @abstractmethod
    def _begin(self, records: Iterator[Framed]) -> Framed | None:
        """Sets `fields`; takes what stands above the data, and returns a record of the data that it had to look at.
        Raises UnsupportedSource."""

    @abstractmethod
    def _values(self, text: str) -> Row:
        """The fields of a record, in the order of `fields`; fewer where `fields` grew by later ones. Raises ValueError."""

    def splits(self, size: int) -> list[ByteRange]:
        """The parts of about `size` bytes in which this text can be read instead, found by one pass over it; `only` reads one.
        Raises UnsupportedSource where it has to be read at once."""
        above = self._contract.skip_rows + self._has_header
        below = self._contract.skip_footer_rows
        return find_splits(self._content, self._contract.encoding, self._marks, above, below, size)

    def only(self, split: ByteRange) -> Self:
        """Reads one of its splits, and counts it."""
        self._part = split
        return self

    def __enter__(self) -> Self:
        part = self._part
        first = range_of(self._content, part.start, part.end) if part and part.is_first else None
        self._chunks = self._passing(first or chunks_of(self._content, self._contract.encoding))
        name = self._content.name
        taken = Taken(lines_of(self._chunks, name))
        records = frame(taken, self._marks, name)
        try:
            for _ in range(self._contract.skip_rows):
                next(records, None)
            seen = self._begin(records)
            self._records = chain([seen], records) if seen else records
            self._start = (seen.line, seen.offset) if seen else (taken.lines + 1, taken.bytes)
        except BaseException:
            self._chunks.close()
            raise
        if part and not part.is_first:
            self._enter(part)
        return self

    def _enter(self, split: ByteRange) -> None:
        """Goes on at a split, once the header is read."""
        self._chunks.close()
        self._total, self._start = None, (split.line, split.offset)
        if self._head is not None:
            self._head = []
        self._chunks = self._passing(range_of(self._content, split.start, split.end))
        name = self._content.name
        records = frame(lines_of(self._chunks, name), self._marks, name)
        self._records = (
            one._replace(line=one.line + split.line - 1, offset=one.offset + split.offset) for one in records
        )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._chunks.close()

    def __iter__(self) -> Iterator[Portion]:
        held: list[Framed] = []
        size, first = 0, self._first
        for record in _without_last(self._records, self._below):
            held.append(record)
            size += len(record.raw)
            if len(held) >= PORTION_ROWS or size >= PORTION_BYTES:
                yield self._portion(held, first)
                first += len(held)
                held, size = [], 0
        if held:
            yield self._portion(held, first)

    def counted(self) -> int:
        """The number of data records, counted in the bytes themselves while they were read; by a pass of its own where they were
        not read to their end."""
        part = self._part
        if self._total is None:
            again = range_of(self._content, part.start, part.end) if part else None
            again = again or chunks_of(self._content, self._contract.encoding)
            self._total = count_records(again, self._marks)
        above = 0 if part and not part.is_first else self._contract.skip_rows + self._has_header
        return max(self._total - above - self._below, 0)

    @property
    def _first(self) -> int:
        return self._part.row_number if self._part else 1

    @property
    def _below(self) -> int:
        """Records behind the data that are in what is read."""
        return 0 if self._part and self._part.end is not None else self._contract.skip_footer_rows

    def _passing(self, chunks: Generator[bytes, None, None]) -> Generator[bytes, None, None]:
        """Bytes, whose records are counted on their way, unless that is done part by part; those before the data are kept in
        `_head`, where there is one and they are not too many."""
        counter, above = RecordCounter(self._marks), 0
        with closing(chunks):
            for chunk in chunks:
                if not self._by_parts:
                    counter.add(chunk)
                if self._head is not None:
                    above += len(chunk)
                    self._head = [*self._head, chunk] if above <= MOST_ABOVE else None
                yield chunk
        self._total = None if self._by_parts else counter.total()

    def _read(self, number: int, record: Framed) -> Row | Rejected:
        try:
            text = record.raw.decode(self._codec)
            if record.is_open:
                self._refuse_hidden(record)
                raise ValueError("a quote is opened and never closed: the record goes on to the end of the file")
            if "\0" in text:
                raise ValueError("it has a NUL character")
            return self._values(text)
        except ValueError as error:
            raw = cut_raw(record.raw.decode(self._codec, errors="backslashreplace"))
            return Rejected(number, record.line, record.offset, raw, reason_of(error))

    def _refuse_hidden(self, record: Framed) -> None:
        """Refuses an open record that hides others: as one reject they would not count against the budget."""
        if b"\n" in record.raw.rstrip(b"\r\n") or b"\r" in record.raw.rstrip(b"\r\n"):
            raise UnsupportedSource(
                f"{self._content.name}: line {record.line:,}: a quote is opened and never closed",
                "close it; what follows cannot be told apart",
            )

    def _portion(self, records: list[Framed], first: int) -> Portion:
        """The portion of records, read; the first has the number `first`."""
        rows: list[Row] = []
        placed: list[tuple[int, int, int]] = []
        rejected: list[Rejected] = []
        for number, record in enumerate(records, start=first):
            found = self._read(number, record)
            if isinstance(found, Rejected):
                rejected.append(found)
            else:
                rows.append(found)
                placed.append((number, record.line, record.offset))
        width = len(self.fields)
        full = (row if len(row) == width else [*row, *[None] * (width - len(row))] for row in rows)
        columns = list(zip(*full, strict=True)) if rows else [()] * width
        texts = pa.RecordBatch.from_arrays([pa.array(column, pa.string()) for column in columns], names=self.fields)
        numbers, lines, offsets = (pa.array(known, pa.int64()) for known in _columns(placed))
        return Portion(texts, numbers, rejected, lines, offsets)


def _columns(placed: list[tuple[int, int, int]]) -> Iterator[tuple[int, ...]]:
    return iter(zip(*placed, strict=True)) if placed else iter(((), (), ()))


def _without_last(records: Iterator[Framed], count: int) -> Iterator[Framed]:
    held: deque[Framed] = deque()
    for record in records:
        held.append(record)
        if len(held) > count:
            yield held.popleft()


def reason_of(error: ValueError) -> str:
    """What is wrong with a record, without any value of it."""
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start + 1:,} of the record (0x{error.object[error.start]:02X}) is no {error.encoding}"
    return str(error)
