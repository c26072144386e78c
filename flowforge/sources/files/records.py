"""The records of a delimited text (CSV, TSV) under a stored contract, as texts.

Guarantees: every record is in a portion's texts or among its rejects, with its number; nothing is guessed. NULL is what the
contract says, and never a quoted field. `counted` tells the number of records by another pass, which uses no parser. Memory is
that of a portion: PORTION_ROWS records or PORTION_BYTES, whichever is reached first, and one record.
"""

import re
from collections import deque
from collections.abc import Iterator
from itertools import chain
from types import TracebackType
from typing import Protocol, Self

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


class Records(Protocol):
    """A file's records. `fields` are those of its header, or their places from 1; `extra` those not in the contract."""

    fields: list[str]
    extra: list[str]

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def __iter__(self) -> Iterator[Portion]: ...
    def counted(self) -> int: ...


def open_records(content: Content, contract: FileContract) -> Records:
    """The records of a content. Raises UnsupportedSource for a format that is not read, and for a header that does not fit."""
    if contract.format not in ("csv", "tsv"):
        raise UnsupportedSource(f"{content.name}: {contract.format} is not read yet", "deliver CSV or TSV")
    return DelimitedRecords(content, contract)


class DelimitedRecords:
    """See Records. Entering reads the header; a file without a header has the contract's columns, else its first record's."""

    def __init__(self, content: Content, contract: FileContract):
        contract = _with_marks(content.name, contract)
        self._content, self._contract = content, contract
        self._codec, _ = codec_of(contract.encoding)
        self._marks = Marks.of(contract, self._codec)
        self._split = _Splitter(contract)
        self.fields: list[str] = []
        self.extra: list[str] = []

    def __enter__(self) -> Self:
        self._chunks = chunks_of(self._content, self._contract.encoding)
        name = self._content.name
        records = frame(lines_of(self._chunks, name), self._marks, name)
        for _ in range(self._contract.skip_rows):
            next(records, None)
        first = next(records, None)
        if first is None:
            raise UnsupportedSource(f"{name} has no header and no row", "deliver it again")
        self.fields = self._header(first)
        known = {column.field for column in self._contract.columns}
        self.extra = [field for field in self.fields if known and field not in known]
        if missing := [column.field for column in self._contract.columns if column.field not in self.fields]:
            shown = ", ".join(missing[:10]) + (" …" if len(missing) > 10 else "")
            raise UnsupportedSource(
                f"{name} has no column {shown}", "deliver it with all columns of the job's contract"
            )
        self._records = records if self._contract.header else chain([first], records)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._chunks.close()

    def __iter__(self) -> Iterator[Portion]:
        rows: list[list[str | None]] = []
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
        around = self._contract.skip_rows + self._contract.header + self._contract.skip_footer_rows
        return max(count_records(chunks, self._marks) - around, 0)

    def _header(self, record: Framed) -> list[str]:
        where = f"{self._content.name}: line {record.line:,}"
        try:
            fields = self._split.texts(record.raw.decode(self._codec))
        except (UnicodeDecodeError, ValueError) as error:
            if self._contract.header:
                raise UnsupportedSource(f"{where}: the header: {_reason(error)}", "mend the header") from error
            fields = []
        if len(fields) > MOST_COLUMNS:
            raise UnsupportedSource(f"{where}: {len(fields):,} columns", f"a table has at most {MOST_COLUMNS:,}")
        if not self._contract.header:
            return self._places(len(fields))
        seen: dict[str, str] = {}
        for place, name in enumerate(fields, start=1):
            if not name.strip():
                raise UnsupportedSource(f"{where}: column {place:,} of the header has no name", "name it")
            if (other := seen.setdefault(name.strip().casefold(), name)) is not name:
                raise UnsupportedSource(f"{where}: two columns have one name: {other!r} and {name!r}", "rename one")
        return fields

    def _places(self, found: int) -> list[str]:
        columns = self._contract.columns
        if bad := next((column.field for column in columns if not re.fullmatch(r"[1-9]\d{0,4}", column.field)), None):
            raise UnsupportedSource(
                f"{self._content.name}: without a header a field is its place from 1, not {bad!r}", "mend the contract"
            )
        width = max((int(column.field) for column in columns), default=found)
        if not width:
            raise UnsupportedSource(f"{self._content.name}: its first record cannot be read", "name the job's columns")
        return [str(place) for place in range(1, width + 1)]

    def _read(self, number: int, record: Framed) -> list[str | None] | Rejected:
        try:
            text = record.raw.decode(self._codec)
            if record.is_open:
                self._refuse_hidden(record)
                raise ValueError("a quote is opened and never closed: the record goes on to the end of the file")
            if "\0" in text:
                raise ValueError("it has a NUL character")
            fields = self._split.values(text)
            if len(fields) != len(self.fields):
                raise ValueError(f"it has {len(fields):,} fields, where {len(self.fields):,} are expected")
            return fields
        except (UnicodeDecodeError, ValueError) as error:
            raw = cut_raw(record.raw.decode(self._codec, errors="backslashreplace"))
            return Rejected(number, record.line, record.offset, raw, _reason(error))

    def _refuse_hidden(self, record: Framed) -> None:
        """Refuses an open record that hides others: as one reject they would not count against the budget."""
        if b"\n" in record.raw.rstrip(b"\r\n") or b"\r" in record.raw.rstrip(b"\r\n"):
            raise UnsupportedSource(
                f"{self._content.name}: line {record.line:,}: a quote is opened and never closed",
                "close it; what follows cannot be told apart",
            )

    def _portion(
        self, rows: list[list[str | None]], placed: list[tuple[int, int, int]], rejected: list[Rejected]
    ) -> Portion:
        columns = list(zip(*rows, strict=True)) if rows else [()] * len(self.fields)
        numbers, lines, offsets = zip(*placed, strict=True) if placed else ((), (), ())
        texts = pa.RecordBatch.from_arrays([pa.array(column, pa.string()) for column in columns], names=self.fields)
        return Portion(
            texts, pa.array(numbers, pa.int64()), rejected, pa.array(lines, pa.int64()), pa.array(offsets, pa.int64())
        )


class _Splitter:
    """Splits a record into fields. Raises ValueError with the reason where one cannot be told."""

    def __init__(self, contract: FileContract):
        self._delimiter, self._quote, self._escape = contract.delimiter, contract.quote, contract.escape
        self._nulls = frozenset(contract.null_words) | (frozenset({""}) if contract.empty_is_null else frozenset())
        ends, quote, escape = re.escape(self._delimiter), re.escape(self._quote), re.escape(self._escape)
        inner = f"(?:(?!{quote}|{escape}).|{escape}.)" if escape else f"(?:(?!{quote}).|{quote}{quote})"
        self._quoted = re.compile(f"{quote}({inner}*+){quote}(?={ends}|\\Z)", re.DOTALL) if quote else None
        plain = f"(?:(?!{ends}|{escape}).|{escape}.)" if escape else f"(?:(?!{ends}).)"
        self._plain = re.compile(f"({plain}*+)(?={ends}|\\Z)", re.DOTALL)
        self._unescape = re.compile(f"{escape}(.)", re.DOTALL) if escape else None

    def values(self, text: str) -> list[str | None]:
        nulls = self._nulls
        if self._is_plain(text):
            return [None if field in nulls else field for field in text.split(self._delimiter)]
        return [None if not quoted and field in nulls else field for field, quoted in self._parts(text)]

    def texts(self, text: str) -> list[str]:
        return text.split(self._delimiter) if self._is_plain(text) else [field for field, _ in self._parts(text)]

    def _is_plain(self, text: str) -> bool:
        return not (self._quote and self._quote in text) and not (self._escape and self._escape in text)

    def _parts(self, text: str) -> Iterator[tuple[str, bool]]:
        place = 0
        while True:
            quoted = self._quoted if self._quote and text.startswith(self._quote, place) else None
            found = (quoted or self._plain).match(text, place)
            if not found:
                raise ValueError(
                    "there is text behind a closing quote" if quoted else "an escape sign has nothing behind it"
                )
            yield self._meant(found[1], quoted is not None), quoted is not None
            place = found.end()
            if place == len(text):
                return
            place += len(self._delimiter)

    def _meant(self, text: str, quoted: bool) -> str:
        if self._unescape:
            return self._unescape.sub(r"\1", text) if self._escape in text else text
        return text.replace(self._quote * 2, self._quote) if quoted else text


def _with_marks(where: str, contract: FileContract) -> FileContract:
    """The contract with the delimiter that is meant: a tab for TSV; for one column a sign that no record may have."""
    delimiter = "\t" if contract.format == "tsv" and contract.delimiter == "," else contract.delimiter or "\0"
    marks = [mark for mark in (delimiter, contract.quote, contract.escape) if mark]
    if len(set(marks)) < len(marks) or any("\r" in mark or "\n" in mark for mark in marks):
        raise UnsupportedSource(
            f"{where}: delimiter, quote and escape must differ, and none may be a line end", "mend the contract"
        )
    return contract.model_copy(update={"delimiter": delimiter})


def _without_last(records: Iterator[Framed], count: int) -> Iterator[Framed]:
    held: deque[Framed] = deque()
    for record in records:
        held.append(record)
        if len(held) > count:
            yield held.popleft()


def _reason(error: ValueError) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start + 1:,} of the record (0x{error.object[error.start]:02X}) is no {error.encoding}"
    return str(error)
