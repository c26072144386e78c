"""The members of many JSON objects at once, as texts: the quick way beside `ndjson_records` for what is nested or differs.

msgspec finds where each value is and takes nothing out of it (`Raw`): numbers keep their digits, nested values are as written.

Guarantees: what it gives is what reading record by record would give, to the last character. An object that is not what RFC 8259
says, or that has a name twice in any depth, is left to `ndjson_records`, which reads it or says what is wrong with it.
"""

import json
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute

pc: Any = pyarrow.compute
Members = dict[str, Any]  # by name or path: msgspec.Raw, or the bytes of a JSON value
UNLIKELY = (rb"\u003a", rb"\u003A")  # a colon that is written so
AT_ONCE = 2**18  # bytes whose values are held at once, to look for a name that is there twice
NOTHING = b""
LONG = 2**20  # bytes; as Python's text they could take four times as much, for one sign beyond U+FFFF
ALIKE = bytes(
    min(byte, 0x7F) for byte in range(256)
)  # names that only such signs tell apart are left to `ndjson_records`

_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_any = msgspec.json.Decoder().decode
_text = msgspec.json.Decoder(str).decode
_encode = msgspec.json.Encoder().encode


def members_of(texts: Sequence[bytes], flatten: bool) -> list[Members | None]:
    """The members of each object, in UTF-8; None where there is a doubt. `flatten`: those of nested objects, by path."""
    found: list[Members | None] = []
    for text in texts:
        try:
            members = _members(text)
            found.append(_flat(members) if flatten else members)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            found.append(None)
    for some in _in_parts(texts, [place for place, one in enumerate(found) if one is not None]):
        if not _all_once([texts[place] for place in some]):
            for place in some:
                if not _all_once([texts[place]]):
                    found[place] = None
    return found


def written(values: dict[str, str | None]) -> Members:
    """Members that were read elsewhere."""
    return {name: json.dumps(value, ensure_ascii=False).encode() for name, value in values.items()}


def texts_of(rows: Sequence[Members], name: str, null_numbers: pa.Array) -> pa.Array:
    """A member of each row as a column of texts. What is null or not there is NULL, and so is a number of `null_numbers`."""
    raw = pa.array([bytes(row.get(name, NOTHING)) for row in rows], pa.binary())
    first = pc.binary_slice(raw, 0, 1)
    is_null = pc.or_(pc.equal(first, NOTHING), pc.equal(raw, b"null"))
    if len(null_numbers):
        is_null = pc.or_(is_null, pc.is_in(raw, value_set=null_numbers))
    quoted = pc.equal(first, b'"')
    if pc.any(quoted, min_count=0).as_py():
        raw = _unquoted(raw, quoted)
    return pc.if_else(is_null, pa.scalar(None, pa.string()), raw.cast(pa.string()))


def _unquoted(raw: pa.Array, quoted: pa.Array) -> pa.Array:
    """The values, the quoted ones without quotes and escapes."""
    inner = pc.if_else(quoted, pc.binary_slice(raw, 1, -1), raw)
    escaped = pc.and_(quoted, pc.match_substring(raw, "\\"))
    if not pc.any(escaped, min_count=0).as_py():
        return inner
    meant = [_text(one).encode() for one in raw.filter(escaped).to_pylist()]
    return pc.replace_with_mask(inner, escaped, pa.array(meant, pa.binary()))


def _flat(members: Members, path: str = "") -> Members:
    """Raises ValueError where two have one path."""
    found: Members = {}
    size = 0
    for name, raw in members.items():
        inner = _members(raw) if bytes(memoryview(raw)[:1]) == b"{" else None
        part = _flat(inner, f"{path}{name}.") if inner else {path + name: raw}
        found |= part
        size += len(part)
    if len(found) < size:
        raise ValueError("two have one path")
    return found


def _all_once(texts: Collection[bytes]) -> bool:
    """Whether no object has a name twice. What is decoded and encoded again has then as many colons, those in strings among them;
    each member that was dropped would miss its own."""
    whole = b"[" + b",".join(texts) + b"]"
    if len(whole) > LONG:
        whole = whole.translate(ALIKE)
    if any(sign in whole for sign in UNLIKELY):
        return len(texts) == 1 and _all_once_by_python(whole)
    try:
        return _encode(_any(whole)).count(b":") == whole.count(b":")
    except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError):  # a number that has no Python form
        return len(texts) == 1 and _all_once_by_python(whole)


def _all_once_by_python(whole: bytes) -> bool:
    try:
        json.loads(whole, object_pairs_hook=_unique, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return False
    return True


def _unique(pairs: list[tuple[str, Any]]) -> None:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("an object has a name twice")


def _in_parts(texts: Sequence[bytes], places: Iterable[int]) -> Iterable[list[int]]:
    """The places, some at a time: their texts have AT_ONCE bytes, or are one that has more."""
    part: list[int] = []
    size = 0
    for place in places:
        if part and size + len(texts[place]) > AT_ONCE:
            yield part
            part, size = [], 0
        part.append(place)
        size += len(texts[place])
    if part:
        yield part
