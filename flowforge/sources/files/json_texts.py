"""Columns of JSON values as texts: strings without quotes and escapes, all else as it is written.

Guarantees: the values of a column are told apart by a sign that JSON has only as an escape, and there are as many as were given.
"""

from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute

from flowforge.sources.files.json_members import SEPARATOR

pc: Any = pyarrow.compute
BETWEEN = SEPARATOR.decode()

_text = msgspec.json.Decoder(str).decode


def texts_of(values: bytes, count: int, null_numbers: pa.Array) -> pa.Array:
    """So many JSON values in UTF-8, between separators, as a column of texts. What is null or not there is NULL, and so is a
    number of `null_numbers`."""
    quoted = values.count(SEPARATOR + b'"')
    if count and quoted == count and b"\\" not in values:
        return _apart(memoryview(values)[2:-2], f'"{BETWEEN}"', count)
    raw = _apart(memoryview(values)[1:-1], BETWEEN, count)
    is_null = pc.or_(pc.equal(raw, ""), pc.equal(raw, "null"))
    if len(null_numbers):
        is_null = pc.or_(is_null, pc.is_in(raw, value_set=null_numbers))
    if quoted:
        raw = _unquoted(raw)
    return pc.if_else(is_null, pa.scalar(None, pa.string()), raw)


def _apart(values: memoryview, sign: str, count: int) -> pa.Array:
    """The texts that a sign separates: so many. Their bytes are known to be UTF-8, and are not looked at again."""
    if not count:
        return pa.array([], pa.string())
    places = pa.array([0, len(values)], pa.int32()).buffers()[1]
    whole = pa.Array.from_buffers(pa.string(), 1, [None, places, pa.py_buffer(values)])
    found = pc.list_flatten(pc.split_pattern(whole, sign))
    if len(found) != count:
        raise AssertionError(f"{count} values became {len(found)}")
    return found


def _unquoted(raw: pa.Array) -> pa.Array:
    """The values, the quoted ones without quotes and escapes."""
    quoted = pc.starts_with(raw, '"')
    inner = pc.if_else(quoted, pc.binary_slice(raw.cast(pa.binary()), 1, -1).cast(pa.string()), raw)
    escaped = pc.and_(quoted, pc.match_substring(raw, "\\"))
    if not pc.any(escaped, min_count=0).as_py():
        return inner
    # As bytes: a Python text takes four times as much for one sign beyond U+FFFF.
    meant = [_text(one).encode() for one in raw.filter(escaped).cast(pa.binary()).to_pylist()]
    return pc.replace_with_mask(inner, escaped, pa.array(meant, pa.binary()).cast(pa.string()))
