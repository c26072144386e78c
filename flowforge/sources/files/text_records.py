"""What all texts have in common: records become portions of texts and rejects; each has its number; they are counted again.

Guarantees: memory is that of a portion: PORTION_ROWS records or PORTION_BYTES, whichever is reached first, and one record.
"""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator
from types import TracebackType
from typing import Self

import pyarrow as pa

from events.files import FileContract
from flowforge.domain.errors import UnsupportedSource
from flowforge.sources.files.container import Content
from flowforge.sources.files.framing import Framed, Marks, chunks_of, codec_of, frame, lines_of
from flowforge.sources.files.record_count import count_records
from flowforge.sources.files.rejected import Portion, Rejected, cut_raw

PORTION_ROWS = 8_192
PORTION_BYTES = 2**24
MOST_COLUMNS = 10_000
Row = list[str | None]


class TextRecords(ABC):
    """See records.Records. `has_header`: the first record is none of the data."""

    def __init__(self, content: Content, contract: FileContract, has_header: bool):
        self._content, self._contract, self._has_header = content, contract, has_header
        self._codec, _ = codec_of(contract.encoding)
        self._marks = Marks.of(contract, self._codec)
        self.fields: list[str] = []
        self.extra: list[str] = []

    @abstractmethod
    def _begin(self, records: Iterator[Framed]) -> Iterator[Framed]:
        """Sets `fields`, and gives the records of the data. Raises UnsupportedSource."""

    @abstractmethod
    def _values(self, text: str) -> Row:
        """The fields of a record, in the order of `fields`; fewer where `fields` grew by later ones. Raises ValueError."""

    def __enter__(self) -> Self:
        self._chunks = chunks_of(self._content, self._contract.encoding)
        name = self._content.name
        records = frame(lines_of(self._chunks, name), self._marks, name)
        try:
            for _ in range(self._contract.skip_rows):
                next(records, None)
            self._records = self._begin(records)
        except BaseException:
            self._chunks.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._chunks.close()

    def __iter__(self) -> Iterator[Portion]:
        rows: list[Row] = []
        placed: list[tuple[int, int, int]] = []
        rejected: list[Rejected] = []
        size = 0
        for number, record in enumerate(_without_last(self._records, self._contract.skip_footer_rows), start=1):
            found = self._read(number, record)
            size += len(record.raw)
            if isinstance(found, Rejected):
                rejected.append(found)
            else:
                rows.append(found)
                placed.append((number, record.line, record.offset))
            if len(rows) + len(rejected) >= PORTION_ROWS or size >= PORTION_BYTES:
                yield self._portion(rows, placed, rejected)
                rows, placed, rejected, size = [], [], [], 0
        if rows or rejected:
            yield self._portion(rows, placed, rejected)

    def counted(self) -> int:
        """The number of data records, by a pass of its own over the bytes."""
        chunks = chunks_of(self._content, self._contract.encoding)
        around = self._contract.skip_rows + self._has_header + self._contract.skip_footer_rows
        return max(count_records(chunks, self._marks) - around, 0)

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

    def _portion(self, rows: list[Row], placed: list[tuple[int, int, int]], rejected: list[Rejected]) -> Portion:
        width = len(self.fields)
        full = (row if len(row) == width else [*row, *[None] * (width - len(row))] for row in rows)
        columns = list(zip(*full, strict=True)) if rows else [()] * width
        numbers, lines, offsets = zip(*placed, strict=True) if placed else ((), (), ())
        texts = pa.RecordBatch.from_arrays([pa.array(column, pa.string()) for column in columns], names=self.fields)
        return Portion(
            texts, pa.array(numbers, pa.int64()), rejected, pa.array(lines, pa.int64()), pa.array(offsets, pa.int64())
        )


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
