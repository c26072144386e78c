"""Arrow batches to ROW tokens, a column at a time.

Each column becomes one or more pyarrow binary arrays (length prefix, payload, terminator); joined element by element
they are the rows of the token stream, [MS-TDS] 2.2.7.19. No Python runs per row except for sql_variant, hierarchyid
and the deprecated LOB types, which are rare. Values come in the representation that `types.py` describes.
"""

import decimal
import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from . import rare_types
from .types import CHARACTERS, CLR, INTEGERS, UNICODE, SqlType
from .values import LONE_FROM

TICKS_PER_DAY = 864_000_000_000
_EPOCH_DAYS = 719_162  # 0001-01-01 to 1970-01-01
_DATETIME_EPOCH_DAYS = 693_595  # 0001-01-01 to 1900-01-01
_ROW_TOKEN = b"\xd1"
LONE = re.compile("[\U0010d800-\U0010dfff]")
_MAX_BATCH_BYTES = 32 << 20  # of Arrow data encoded at once: bounds memory with large cells


def encode_batches(batch: pa.RecordBatch, types: list[SqlType]):
    """Yields the ROW tokens of a batch, in pieces whose size does not grow with the cells."""
    pieces = max(1, -(-batch.nbytes // _MAX_BATCH_BYTES))
    step = max(1, -(-batch.num_rows // pieces))
    for start in range(0, batch.num_rows, step):
        yield _encode(batch.slice(start, step), types)


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
    return [_with_length_byte(_fixed_payload(array, sql_type), _validity(array))]


# --- fixed width


def _fixed_payload(array: pa.Array, sql_type: SqlType) -> np.ndarray:
    """The (rows, width) bytes of a fixed-width column; NULL rows hold anything."""
    base, width = sql_type.base, sql_type.payload_width
    if base in INTEGERS:
        return _little_endian(_integers(array), width)
    if base == "bit":
        return _filled(array, False).cast(pa.uint8()).to_numpy().reshape(-1, 1)
    if base in ("real", "float"):
        floats = _filled(array, 0).cast(pa.float32() if base == "real" else pa.float64()).to_numpy()
        return np.ascontiguousarray(floats).view(np.uint8).reshape(-1, width)
    if base in ("decimal", "money", "smallmoney"):
        return _decimal_payload(array, sql_type)
    if base == "date":
        return _little_endian(_integers(array) + _EPOCH_DAYS, 3)
    if base in ("datetime", "smalldatetime"):
        return _datetime_payload(array, base)
    if base == "uniqueidentifier":
        return _guid_payload(array)
    return _ticks_payload(array, sql_type)


def _decimal_payload(array: pa.Array, sql_type: SqlType) -> np.ndarray:
    low, high = _decimal_words(array)
    rows = len(low)
    if sql_type.base == "smallmoney":
        return _little_endian(low, 4)
    if sql_type.base == "money":  # the high half comes first, [MS-TDS] 2.2.5.5.1.3
        halves = np.ascontiguousarray(low).view(np.uint32).reshape(rows, 2)
        return np.ascontiguousarray(halves[:, ::-1]).view(np.uint8).reshape(rows, 8)
    negative = high < 0
    payload = np.zeros((rows, 17), np.uint8)
    payload[:, 0] = ~negative
    payload[:, 1:9] = _little_endian(np.where(negative, ~low + np.uint64(1), low), 8)
    payload[:, 9:17] = _little_endian(np.where(negative, ~high + (low == 0), high), 8)
    return payload[:, : sql_type.payload_width]


def _datetime_payload(array: pa.Array, base: str) -> np.ndarray:
    microseconds = _integers(array)
    days = np.floor_divide(microseconds, 86_400_000_000)
    in_day = microseconds - days * 86_400_000_000
    days = days + (_EPOCH_DAYS - _DATETIME_EPOCH_DAYS)
    if base == "datetime":  # 1/300 s
        return np.concatenate([_little_endian(days, 4), _little_endian((in_day * 3 + 5000) // 10000, 4)], axis=1)
    return np.concatenate([_little_endian(days, 2), _little_endian(in_day // 60_000_000, 2)], axis=1)


def _ticks_payload(array: pa.Array, sql_type: SqlType) -> np.ndarray:
    """time, datetime2 and datetimeoffset from their 100 ns ticks."""
    offsets = None
    if sql_type.base == "datetimeoffset":
        offsets = _integers(pc.call_function("struct_field", [array], pc.StructFieldOptions("off")))
        array = pc.call_function("struct_field", [array], pc.StructFieldOptions("ticks"))
    ticks = _integers(array)
    days = np.floor_divide(ticks, TICKS_PER_DAY)
    in_day = (ticks - days * TICKS_PER_DAY) // 10 ** (7 - sql_type.scale)
    parts = [_little_endian(in_day, sql_type.time_width)]
    if sql_type.base != "time":
        parts.append(_little_endian(days, 3))
    if offsets is not None:
        parts.append(_little_endian(offsets, 2))
    return np.concatenate(parts, axis=1)


# byte order of a GUID on the wire, as positions of the canonical text's bytes
_GUID_ORDER = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15]
_HEX_DIGITS = np.zeros(256, np.uint8)
for _value, _digit in enumerate(b"0123456789abcdef"):
    _HEX_DIGITS[_digit] = _HEX_DIGITS[ord(chr(_digit).upper())] = _value


def _guid_payload(array: pa.Array) -> np.ndarray:
    text = _filled(array.cast(pa.string()), "00000000-0000-0000-0000-000000000000")
    joined = pc.call_function("binary_join_element_wise", [text, pa.scalar("", pa.string()), ""])
    data = "".join(joined.to_pylist()).replace("-", "").encode()
    digits = _HEX_DIGITS[np.frombuffer(data, np.uint8)].reshape(-1, 16, 2)
    return (digits[:, :, 0] << 4 | digits[:, :, 1])[:, _GUID_ORDER]


def _little_endian(values: np.ndarray, width: int) -> np.ndarray:
    return np.ascontiguousarray(values).view(np.uint8).reshape(len(values), 8)[:, :width]


def _filled(array: pa.Array, value: object) -> pa.Array:
    return array.fill_null(value) if array.null_count else array


def _validity(array: pa.Array) -> np.ndarray | None:
    return None if array.null_count == 0 else array.is_valid().to_numpy(zero_copy_only=False)


def _integers(array: pa.Array) -> np.ndarray:
    """The values of an integer, date or timestamp array as int64; NULL rows hold zero."""
    if pa.types.is_date32(array.type):
        array = array.view(pa.int32())
    elif pa.types.is_timestamp(array.type):
        array = array.view(pa.int64())
    array = _filled(array, 0)
    return array.to_numpy(zero_copy_only=False).astype(np.int64)


def _decimal_words(array: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """decimal128 as (low uint64, high int64)."""
    array = _filled(array, decimal.Decimal(0))
    words = np.frombuffer(array.buffers()[1], np.uint64, 2 * (len(array) + array.offset)).reshape(-1, 2)
    return words[array.offset :, 0], words[array.offset :, 1].view(np.int64)


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
    valid = _validity(array)
    if sql_type.base in CHARACTERS:
        lengths, data = _encoded_text(_filled(array.cast(pa.string()), ""), sql_type.base in UNICODE)
    else:
        lengths, data = _raw_values(_filled(array.cast(pa.binary()), b""))
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
    prefix[:, :8] = _little_endian(lengths, 8)
    prefix[:, 8:] = _little_endian(lengths, 4)
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
