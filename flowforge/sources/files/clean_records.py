"""Pieces of a delimited text that leave no doubt, read by pyarrow: the quick way beside `fields`.

Guarantees: what it gives is what `fields` would give, to the last character; a piece in which anything could be read in two ways
is not taken. Those are: bytes that are no text of the encoding, NUL, a CR alone, a quote inside of a field without quotes, text
behind a closing quote, a byte order mark, and a number of records that the line ends outside of quotes do not have.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import pyarrow as pa
import pyarrow.compute
import pyarrow.csv

from events.files import FileContract
from flowforge.sources.files.byte_signs import are_quotes_clean, lines_of
from flowforge.sources.files.framing import Marks
from flowforge.sources.files.record_count import count_records

pc: Any = pyarrow.compute
csv: Any = pyarrow.csv
MARK = "\ufeff".encode()
UNIT_SEPARATOR = "\x1f"  # pyarrow's delimiter where there is none: it takes no NUL


class Clean(NamedTuple):
    """`texts` are the records of a piece without those of other widths, whose numbers, from 1, are `odd`; `count` all of them,
    `counted` all by their line ends and quotes alone, `lines` its LFs."""

    texts: pa.RecordBatch
    odd: list[int]
    count: int
    counted: int
    lines: int


class CleanReader:
    """Reads pieces of whole records. See quick_records.Reader."""

    def __init__(self, contract: FileContract, marks: Marks, codec: str, fields: list[str]):
        self._marks, self._codec = marks, codec
        self._schema = pa.schema([(field, pa.string()) for field in fields])
        delimiter = UNIT_SEPARATOR if contract.delimiter == "\0" else contract.delimiter
        self._unread = (b"\0", UNIT_SEPARATOR.encode()) if delimiter != contract.delimiter else (b"\0",)
        self._signs = (delimiter.encode(), contract.quote.encode())
        self._parse = {"delimiter": delimiter, "quote_char": contract.quote or False, "newlines_in_values": True}
        self._convert = csv.ConvertOptions(
            check_utf8=False,  # `as_utf8` has
            column_types=self._schema,
            null_values=[*contract.null_words, *([""] if contract.empty_is_null else [])],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        )

    @classmethod
    def of(cls, contract: FileContract, marks: Marks, codec: str, fields: list[str]) -> Self | None:
        """None for a dialect that pyarrow does not have."""
        one = len(contract.delimiter) == 1 and len(contract.quote) <= 1
        if (
            not one
            or contract.escape
            or contract.quote == UNIT_SEPARATOR
            or not (contract.delimiter + contract.quote).isascii()
            or not fields
        ):
            return None
        return cls(contract, marks, codec, fields)

    def read(self, piece: bytes) -> Clean | None:
        """There is no other way."""
        return None

    def read_ahead(self, piece: bytes) -> Clean | None:
        """The records of a piece; None where there is a doubt."""
        data = as_utf8(piece, self._codec)
        if data is None or any(byte in data for byte in self._unread):
            return None
        lines = lines_of(data)
        if lines is None or not are_quotes_clean(data, *self._signs):
            return None
        if data.isspace() and not data.strip(b"\r\n"):
            return Clean(batch_of(self._schema.empty_table()), [], 0, 0, lines)
        ends = lines + (not data.endswith(b"\n"))
        if not data.endswith(b"\n"):
            data += b"\n"  # without it pyarrow takes an empty last field behind a quoted one for quoted, too
        odd: list[int] = []

        def set_aside(row: Any) -> str:
            odd.append(row.number)
            return "skip"

        parse = csv.ParseOptions(**self._parse, invalid_row_handler=set_aside)
        names = csv.ReadOptions(use_threads=False, block_size=len(data) + 1, column_names=self._schema.names)
        try:
            table = csv.read_csv(pa.BufferReader(data), names, parse, self._convert)
        except pa.ArrowInvalid:
            return None
        count = table.num_rows + len(odd)
        # Blank lines and quoted ends, which most pieces have not, only add ends: as many as records are one's each.
        counted = ends if count == ends else count_records([piece], self._marks)
        return Clean(batch_of(table), odd, count, counted, lines) if count == counted else None


def is_all(data: bytes, pattern: str) -> bool:
    """Whether all of the bytes are one match of a pattern of RE2, whose time is linear. They are not copied."""
    return pc.match_substring_regex(_as_binary(data), pattern)[0].as_py()


def _as_binary(data: bytes) -> pa.Array:
    """Bytes as the one value of an array. They are not copied."""
    places = pa.array([0, len(data)], pa.int32()).buffers()[1]
    return pa.Array.from_buffers(pa.binary(), 1, [None, places, pa.py_buffer(data)])


def as_utf8(piece: bytes, codec: str) -> bytes | None:
    """A piece in UTF-8; None where it is no text of the codec, or begins with a byte order mark, which pyarrow leaves out."""
    if piece.isascii():
        return piece
    if codec == "utf-8":
        return piece if is_utf8(piece) and not piece.startswith(MARK) else None
    try:
        data = piece.decode(codec).encode()
    except UnicodeDecodeError:
        return None
    return None if data.startswith(MARK) else data


def all_as_utf8(pieces: Sequence[bytes], codec: str) -> Sequence[bytes]:
    """Pieces in UTF-8; one that is no text of the codec is empty. Most are looked at together."""
    whole = b"\n".join(pieces) if len(pieces) > 1 else b"".join(pieces)
    if whole.isascii() or (codec == "utf-8" and is_utf8(whole)):
        return pieces
    return [as_utf8(piece, codec) or b"" for piece in pieces]


def is_utf8(data: bytes) -> bool:
    """Whether bytes are UTF-8. Arrow's own look at them lets other threads go on, and copies nothing."""
    try:
        _as_binary(data).cast(pa.string())
    except pa.ArrowInvalid:
        return False
    return True


def batch_of(table: pa.Table) -> pa.RecordBatch:
    """A table of one block as a batch."""
    batches = table.combine_chunks().to_batches()
    return batches[0] if batches else pa.RecordBatch.from_pylist([], schema=table.schema)
