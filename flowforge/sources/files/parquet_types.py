"""Which of Parquet's types a contract's type takes without loss, and how."""

import json
import math
from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute

from events.files import FileColumn
from flowforge.domain.errors import UnsupportedSource
from flowforge.sources.files.conversions import conversion
from flowforge.sources.files.date_patterns import FIRST, LAST

pc: Any = pyarrow.compute
Reading = Callable[[pa.Array], pa.Array]
INTEGER_DIGITS = {8: 3, 16: 5, 32: 10, 64: 19}


def own_type(kind: pa.DataType) -> str:
    """The contract's word for a type of a file."""
    kind = _plain(kind)
    if pa.types.is_boolean(kind):
        return "boolean"
    if pa.types.is_integer(kind):
        return "decimal(20,0)" if kind == pa.uint64() else "bigint"
    if pa.types.is_floating(kind):
        return "double"
    if pa.types.is_decimal(kind) and kind.precision <= 38 and kind.scale >= 0:
        return f"decimal({kind.precision},{kind.scale})"
    if pa.types.is_date(kind):
        return "date"
    if pa.types.is_timestamp(kind):
        return "timestamp with zone" if kind.tz else "timestamp"
    return "json" if pa.types.is_nested(kind) else "text"


def reading(found: pa.DataType, column: FileColumn, where: str) -> Reading:
    """How a column of this type is read. It gives the contract's type, or texts that the cast takes.

    Raises UnsupportedSource where a value could be lost.
    """
    kind, wanted = _plain(found), conversion(column, where).type
    if _has_binary(kind):
        raise _refused(found, column, where, "bytes have no type here; deliver them as text (base64, hexadecimal)")
    if pa.types.is_null(kind) or _is_text(kind):
        return lambda array: _decoded(array, found).cast(pa.string())
    if pa.types.is_nested(kind) or column.type == "json":
        if column.type in ("json", "text") and pa.types.is_nested(kind):
            return _json_texts
        raise _refused(
            found, column, where, "make it json" if pa.types.is_nested(kind) else f"make it {own_type(kind)}"
        )
    if pa.types.is_timestamp(kind) and column.type.startswith("timestamp") and bool(kind.tz) == bool(wanted.tz):
        return lambda array: _stamps(_decoded(array, found), wanted)
    if pa.types.is_string(wanted) or _fits(kind, wanted):
        return lambda array: _decoded(array, found).cast(wanted)
    raise _refused(found, column, where, f"make it {own_type(kind)}, or text")


def _fits(kind: pa.DataType, wanted: pa.DataType) -> bool:
    if kind == wanted or (pa.types.is_date(kind) and pa.types.is_date(wanted)):
        return True
    if pa.types.is_integer(kind):
        digits = 20 if kind == pa.uint64() else INTEGER_DIGITS[kind.bit_width]
        if pa.types.is_decimal(wanted):
            return digits <= wanted.precision - wanted.scale
        return kind != pa.uint64() if pa.types.is_integer(wanted) else wanted == pa.float64() and kind.bit_width <= 32
    if pa.types.is_decimal(kind) and pa.types.is_decimal(wanted):
        return kind.scale <= wanted.scale and kind.precision - kind.scale <= wanted.precision - wanted.scale
    return pa.types.is_floating(kind) and wanted == pa.float64()


def _plain(kind: pa.DataType) -> pa.DataType:
    if isinstance(kind, pa.BaseExtensionType):
        return _plain(kind.storage_type)
    return _plain(kind.value_type) if isinstance(kind, pa.DictionaryType) else kind


def _decoded(array: Any, found: pa.DataType) -> pa.Array:
    if isinstance(found, pa.BaseExtensionType):
        return _decoded(array.storage, found.storage_type)
    return array.dictionary_decode() if isinstance(found, pa.DictionaryType) else array


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def _has_binary(kind: pa.DataType) -> bool:
    if kind.num_fields:
        return any(_has_binary(_plain(kind.field(place).type)) for place in range(kind.num_fields))
    return (
        pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_fixed_size_binary(kind)
        or pa.types.is_binary_view(kind)
    )


def _stamps(array: pa.Array, wanted: pa.DataType) -> pa.Array:
    """Microseconds; texts, where a value is finer, so that the cast rejects its record alone."""
    kind: Any = array.type
    if kind.unit == "ns":
        whole = pc.cast(array, pa.int64())
        if not pc.all(pc.equal(pc.multiply(pc.divide(whole, 1000), 1000), whole), min_count=0).as_py():
            texts = pc.cast(pc.cast(array, pa.timestamp("ns")), pa.string())
            return pc.binary_join_element_wise(texts, "Z", "") if kind.tz else texts
    stamps = pc.cast(array, wanted)
    micros = pc.cast(stamps, pa.int64())
    if not pc.all(pc.and_(pc.greater_equal(micros, FIRST), pc.less_equal(micros, LAST)), min_count=0).as_py():
        raise ValueError("a year that is not one of 1 to 9999")
    return stamps


def _json_texts(array: pa.Array) -> pa.Array:
    values = array.to_pylist(maps_as_pydicts="strict")
    texts = [None if value is None else json.dumps(_told(value), ensure_ascii=False) for value in values]
    return pa.array(texts, pa.string())


def _told(value: Any) -> Any:
    """A nested value with what JSON has no word for as text: decimals keep their digits, so do NaN and the infinities."""
    if isinstance(value, dict):
        return {str(name): _told(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_told(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, date | datetime | time):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value


def _refused(found: pa.DataType, column: FileColumn, where: str, remedy: str) -> UnsupportedSource:
    return UnsupportedSource(f"{where}: column {column.field} is {found}, the contract says {column.type}", remedy)
