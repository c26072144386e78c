"""Arrow batches to ROW tokens, a column at a time.

Each column becomes one or more pyarrow binary arrays (length prefix, payload, terminator); joined element by element
they are the rows of the token stream, [MS-TDS] 2.2.7.20. No Python runs per row except for sql_variant, hierarchyid
and the deprecated LOB types, which are rare. Values come in the representation that `types.py` describes.
"""

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from . import rare_types
from .fixed_width import filled, fixed_payload, little_endian, validity
from .types import CHARACTERS, CLR, UNICODE, SqlType
from .values import LONE_FROM

_ROW_TOKEN = b"\xd1"  # [MS-TDS] 2.2.7.20
LONE = re.compile("[\U0010d800-\U0010dfff]")
_MAX_BATCH_BYTES = 32 << 20  # of Arrow data encoded at once: bounds memory with large cells


def encode_batches(batch: pa.RecordBatch, types: list[SqlType]):
    """Yields the ROW tokens of a batch, in pieces whose size does not grow with the cells."""
    pieces = max(1, -(-batch.nbytes // _MAX_BATCH_BYTES))
    step = max(1, -(-batch.num_rows // pieces))
    for start in range(0, batch.num_rows, step):
        yield _encode(batch.slice(start, step), types)


class Encoded:
    """A batch that is sent again and again: encoded once, as long as it is asked for with the same types."""

    def __init__(self, batch: pa.RecordBatch):
        self._batch = batch
        self._encoded: tuple[list[SqlType], list[bytes]] = [], []

    @property
    def num_rows(self) -> int:
        """How many rows it has."""
        return self._batch.num_rows

    def slice(self, start: int, count: int | None = None) -> pa.RecordBatch:
        """Some of its rows, as a batch like any other."""
        return self._batch.slice(start, count)

    def tokens(self, types: list[SqlType]) -> list[bytes]:
        """Its ROW tokens."""
        known, encoded = self._encoded
        if known != types:
            encoded = [bytes(data) for data in encode_batches(self._batch, types)]
            self._encoded = types, encoded
        return encoded


def _encode(batch: pa.RecordBatch, types: list[SqlType]) -> memoryview:
    rows = batch.num_rows
    parts = [_fixed_length(np.full((rows, 1), _ROW_TOKEN[0], np.uint8))]
    for column, sql_type in zip(batch.columns, types, strict=True):
        parts += _column(column, sql_type)
    joined = pc.call_function("binary_join_element_wise", [*parts, pa.scalar(b"", pa.binary())])
    if isinstance(joined, pa.ChunkedArray):
        joined = joined.combine_chunks()
    offsets = np.frombuffer(joined.buffers()[1], np.int32)
    return memoryview(joined.buffers()[2])[int(offsets[joined.offset]) : int(offsets[joined.offset + rows])]


def _column(array: pa.Array, sql_type: SqlType) -> list[pa.Array]:
    """One column's cells, as binary arrays to be joined element by element."""
    if isinstance(array, pa.DictionaryArray):
        array = array.dictionary_decode()
    base = sql_type.base
    if base in ("text", "ntext", "image", "sql_variant", "hierarchyid"):
        cells = [rare_types.cell(value, sql_type) for value in array.to_pylist()]
        return [pa.array(cells, pa.binary())]
    if base in CHARACTERS or base in CLR or base in ("binary", "varbinary", "rowversion"):
        return _variable(array, sql_type)
    return [_with_length_byte(fixed_payload(array, sql_type), validity(array))]


def _fixed_length(data: np.ndarray) -> pa.Array:
    rows, width = data.shape
    offsets = np.arange(0, rows * width + 1, width, dtype=np.int32)
    return _binary(rows, offsets, np.ascontiguousarray(data))


def _binary(rows: int, offsets: np.ndarray, data) -> pa.Array:
    return pa.Array.from_buffers(pa.binary(), rows, [None, pa.py_buffer(offsets), pa.py_buffer(data)])


def _offsets(lengths: np.ndarray) -> np.ndarray:
    offsets = np.zeros(len(lengths) + 1, np.int32)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def _with_length_byte(payload: np.ndarray, valid: np.ndarray | None) -> pa.Array:
    rows, width = payload.shape
    cells = np.empty((rows, width + 1), np.uint8)
    cells[:, 0] = width
    cells[:, 1:] = payload
    if valid is None:
        return _fixed_length(cells)
    cells[~valid, 0] = 0
    kept = np.ones((rows, width + 1), bool)
    kept[~valid, 1:] = False
    return _binary(rows, _offsets(np.where(valid, width + 1, 1)), cells[kept])


# --- variable width


def _variable(array: pa.Array, sql_type: SqlType) -> list[pa.Array]:
    valid = validity(array)
    if sql_type.base in CHARACTERS:
        lengths, data = _encoded_text(filled(array.cast(pa.string()), ""), sql_type.base in UNICODE)
    else:
        lengths, data = _raw_values(filled(array.cast(pa.binary()), b""))
    body = _binary(len(array), _offsets(lengths), data)
    if sql_type.is_plp:
        return _partially_length_prefixed(lengths, valid, body)
    prefix = lengths.astype(np.uint16)
    if valid is not None:
        prefix[~valid] = 0xFFFF
    return [_fixed_length(prefix.view(np.uint8).reshape(-1, 2)), body]


def _raw_values(array: pa.Array) -> tuple[np.ndarray, bytes]:
    offsets = np.frombuffer(array.buffers()[1], np.int32, len(array) + 1 + array.offset)[array.offset :]
    data = np.frombuffer(array.buffers()[2] or b"", np.uint8)[offsets[0] : offsets[-1]]
    return np.diff(offsets).astype(np.int64), data.tobytes()


def _encoded_text(array: pa.Array, unicode: bool) -> tuple[np.ndarray, bytes]:
    """Byte lengths and bytes: UTF-16 for national types, code page 1252 for the others."""
    byte_lengths, data = _raw_values(array)
    codes = np.frombuffer(data, np.uint8)
    if not unicode:
        if not (codes >= 0x80).any():
            return byte_lengths, data
        encoded = [value.encode("cp1252", "replace") for value in array.to_pylist()]
        return np.fromiter(map(len, encoded), np.int64, len(encoded)), b"".join(encoded)
    units = pc.call_function("utf8_length", [array]).to_numpy(zero_copy_only=False).astype(np.int64)
    if (codes >= 0xF0).any():  # characters beyond the BMP take a surrogate pair
        before = np.concatenate([[0], np.cumsum(codes >= 0xF0)])
        ends = np.cumsum(byte_lengths)
        units = units + before[ends] - before[ends - byte_lengths]
    if b"\xf4\x8d" in data:  # half a pair, see `values`
        return units * 2 - 2 * _lone_counts(array), _with_lone(data.decode("utf-8")).encode("utf-16le", "surrogatepass")
    return units * 2, data.decode("utf-8").encode("utf-16le")


def _with_lone(text: str) -> str:
    return LONE.sub(lambda found: chr(ord(found[0]) - LONE_FROM), text)


def _lone_counts(array: pa.Array) -> np.ndarray:
    return np.array([len(LONE.findall(value)) for value in array.to_pylist()], np.int64)


def _partially_length_prefixed(lengths: np.ndarray, valid: np.ndarray | None, body: pa.Array) -> list[pa.Array]:
    """PLP cells: total length, one chunk (none when empty), terminator; eight 0xFF for NULL. [MS-TDS] 2.2.5.2.3."""
    rows = len(lengths)
    prefix = np.zeros((rows, 12), np.uint8)
    prefix[:, :8] = little_endian(lengths, 8)
    prefix[:, 8:] = little_endian(lengths, 4)
    empty = lengths == 0
    kept = np.ones((rows, 12), bool)
    kept[empty, 8:] = False
    terminator_lengths = np.full(rows, 4, np.int64)
    if valid is not None:
        prefix[~valid, :8] = 0xFF
        terminator_lengths[~valid] = 0
    head = _binary(rows, _offsets(np.where(empty, 8, 12)), prefix[kept])
    ends = _offsets(terminator_lengths)
    return [head, body, _binary(rows, ends, bytes(int(ends[-1])))]
