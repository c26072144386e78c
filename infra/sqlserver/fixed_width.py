"""Columns of fixed width as the bytes of their cells, a column at a time, [MS-TDS] 2.2.5.5."""

import decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .types import INTEGERS, SqlType

TICKS_PER_DAY = 864_000_000_000
_EPOCH_DAYS = 719_162  # 0001-01-01 to 1970-01-01
_DATETIME_EPOCH_DAYS = 693_595  # 0001-01-01 to 1900-01-01


def fixed_payload(array: pa.Array, sql_type: SqlType) -> np.ndarray:
    """The (rows, width) bytes of a fixed-width column; NULL rows hold anything."""
    base, width = sql_type.base, sql_type.payload_width
    if base in INTEGERS:
        return little_endian(_integers(array), width)
    if base == "bit":
        return filled(array, False).cast(pa.uint8()).to_numpy().reshape(-1, 1)
    if base in ("real", "float"):
        floats = filled(array, 0).cast(pa.float32() if base == "real" else pa.float64()).to_numpy()
        return np.ascontiguousarray(floats).view(np.uint8).reshape(-1, width)
    if base in ("decimal", "money", "smallmoney"):
        return _decimal_payload(array, sql_type)
    if base == "date":
        return little_endian(_integers(array) + _EPOCH_DAYS, 3)
    if base in ("datetime", "smalldatetime"):
        return _datetime_payload(array, base)
    if base == "uniqueidentifier":
        return _guid_payload(array)
    return _ticks_payload(array, sql_type)


def _decimal_payload(array: pa.Array, sql_type: SqlType) -> np.ndarray:
    low, high = _decimal_words(array)
    rows = len(low)
    if sql_type.base == "smallmoney":
        return little_endian(low, 4)
    if sql_type.base == "money":  # the high half comes first, [MS-TDS] 2.2.5.5.1.3
        halves = np.ascontiguousarray(low).view(np.uint32).reshape(rows, 2)
        return np.ascontiguousarray(halves[:, ::-1]).view(np.uint8).reshape(rows, 8)
    negative = high < 0
    payload = np.zeros((rows, 17), np.uint8)
    payload[:, 0] = ~negative
    payload[:, 1:9] = little_endian(np.where(negative, ~low + np.uint64(1), low), 8)
    payload[:, 9:17] = little_endian(np.where(negative, ~high + (low == 0), high), 8)
    return payload[:, : sql_type.payload_width]


def _datetime_payload(array: pa.Array, base: str) -> np.ndarray:
    microseconds = _integers(array)
    days = np.floor_divide(microseconds, 86_400_000_000)
    in_day = microseconds - days * 86_400_000_000
    days = days + (_EPOCH_DAYS - _DATETIME_EPOCH_DAYS)
    if base == "datetime":  # 1/300 s
        return np.concatenate([little_endian(days, 4), little_endian((in_day * 3 + 5000) // 10000, 4)], axis=1)
    return np.concatenate([little_endian(days, 2), little_endian(in_day // 60_000_000, 2)], axis=1)


def _ticks_payload(array: pa.Array, sql_type: SqlType) -> np.ndarray:
    """time, datetime2 and datetimeoffset from their 100 ns ticks."""
    offsets = None
    if sql_type.base == "datetimeoffset":
        offsets = _integers(pc.call_function("struct_field", [array], pc.StructFieldOptions("off")))
        array = pc.call_function("struct_field", [array], pc.StructFieldOptions("ticks"))
    ticks = _integers(array)
    days = np.floor_divide(ticks, TICKS_PER_DAY)
    in_day = (ticks - days * TICKS_PER_DAY) // 10 ** (7 - sql_type.scale)
    parts = [little_endian(in_day, sql_type.time_width)]
    if sql_type.base != "time":
        parts.append(little_endian(days, 3))
    if offsets is not None:
        parts.append(little_endian(offsets, 2))
    return np.concatenate(parts, axis=1)


# byte order of a GUID on the wire, as positions of the canonical text's bytes
_GUID_ORDER = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15]
_HEX_DIGITS = np.zeros(256, np.uint8)
for _value, _digit in enumerate(b"0123456789abcdef"):
    _HEX_DIGITS[_digit] = _HEX_DIGITS[ord(chr(_digit).upper())] = _value


def _guid_payload(array: pa.Array) -> np.ndarray:
    text = filled(array.cast(pa.string()), "00000000-0000-0000-0000-000000000000")
    joined = pc.call_function("binary_join_element_wise", [text, pa.scalar("", pa.string()), ""])
    data = "".join(joined.to_pylist()).replace("-", "").encode()
    digits = _HEX_DIGITS[np.frombuffer(data, np.uint8)].reshape(-1, 16, 2)
    return (digits[:, :, 0] << 4 | digits[:, :, 1])[:, _GUID_ORDER]


def little_endian(values: np.ndarray, width: int) -> np.ndarray:
    return np.ascontiguousarray(values).view(np.uint8).reshape(len(values), 8)[:, :width]


def filled(array: pa.Array, value: object) -> pa.Array:
    return array.fill_null(value) if array.null_count else array


def validity(array: pa.Array) -> np.ndarray | None:
    return None if array.null_count == 0 else array.is_valid().to_numpy(zero_copy_only=False)


def _integers(array: pa.Array) -> np.ndarray:
    """The values of an integer, date or timestamp array as int64; NULL rows hold zero."""
    if pa.types.is_date32(array.type):
        array = array.view(pa.int32())
    elif pa.types.is_timestamp(array.type):
        array = array.view(pa.int64())
    array = filled(array, 0)
    return array.to_numpy(zero_copy_only=False).astype(np.int64)


def _decimal_words(array: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """decimal128 as (low uint64, high int64)."""
    array = filled(array, decimal.Decimal(0))
    words = np.frombuffer(array.buffers()[1], np.uint64, 2 * (len(array) + array.offset)).reshape(-1, 2)
    return words[array.offset :, 0], words[array.offset :, 1].view(np.int64)
