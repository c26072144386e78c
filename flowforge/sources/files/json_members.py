"""The members of many JSON objects at once: the quick way beside `ndjson_records` for what is nested or differs.

msgspec finds where each value is, checks that it is JSON, and takes nothing out of it (`Raw`): numbers keep their digits, nested
values are as written.

Guarantees: what it gives is what reading record by record would give, to the last character. An object that is not what RFC 8259
says, or that has a name twice in any depth, is left to `ndjson_records`, which reads it or says what is wrong with it.
"""

import json
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

import msgspec

Value = Any  # msgspec.Raw, or the bytes of a JSON value; NOTHING where the object has no such member
Members = dict[str, Value]  # by name or path
NOTHING = b""
SEPARATOR = b"\x1e"  # JSON has this sign only as an escape
UNLIKELY = (rb"\u003a", rb"\u003A")  # a colon that is written so
ESCAPED = rb"\u003"  # how these begin: one search where there are none
AT_ONCE = 2**18  # bytes whose values are held at once, to look for a name that is there twice
LONG = 2**20  # bytes; as Python's text they could take four times as much, for one sign beyond U+FFFF
ALIKE = bytes(
    min(byte, 0x7F) for byte in range(256)
)  # names that only such signs tell apart are left to `ndjson_records`
WIDEST = 256  # fields; a class of more is dear to make and slow to fill in another order
PLAIN = re.compile(r'[^"\\\x00-\x1f]*')  # what msgspec takes for the name of a class's field

_absent = msgspec.Raw(NOTHING)
_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_any = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


def columns_at_once(texts: Sequence[bytes], fields: Sequence[str]) -> list[bytes] | None:
    """The values of each field, between separators, of objects in UTF-8; None where one of them is doubtful."""
    if not texts or len(fields) > WIDEST or not all(map(PLAIN.fullmatch, fields)):
        return None
    known = _class_of(tuple(fields))
    try:
        rows = list(map(msgspec.structs.astuple, map(known.decode, texts)))
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    columns = list(zip(*rows, strict=True))
    found = list(map(joined, columns))
    if not _has_all(texts, found, len(rows), fields):
        return None
    nested = [values for values, one in zip(columns, found, strict=True) if _is_nested(one)]
    parts = list(_in_parts(list(map(len, texts)))) if nested else []
    once = (_all_once(_there(values[part.start : part.stop])) for values in nested for part in parts)
    return found if all(once) else None


def members_of(texts: Sequence[bytes], flatten: bool) -> list[Members | None]:
    """The members of each object, in UTF-8; None where there is a doubt. `flatten`: those of nested objects, by path."""
    found: list[Members | None] = []
    for text in texts:
        try:
            members = _members(text)
            found.append(_flat(members) if flatten else members)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            found.append(None)
    there = [place for place, one in enumerate(found) if one is not None]
    for part in _in_parts([len(texts[place]) for place in there]):
        some = [there[at] for at in part]
        if not _all_once([texts[place] for place in some]):
            for place in some:
                if not _all_once([texts[place]]):
                    found[place] = None
    return found


def written(values: dict[str, str | None]) -> Members:
    """Members that were read elsewhere."""
    return {name: json.dumps(value, ensure_ascii=False).encode() for name, value in values.items()}


def joined(values: Iterable[Value]) -> bytes:
    """The values of a column between separators."""
    return SEPARATOR.join((NOTHING, *values, NOTHING))


@lru_cache(maxsize=64)
def _class_of(fields: tuple[str, ...]) -> msgspec.json.Decoder[Any]:
    """Decodes into a class with these fields, which msgspec fills in half the time of a dict."""
    places = [f"f{place}" for place in range(len(fields))]
    known = msgspec.defstruct(
        "Row",
        [(place, msgspec.Raw, _absent) for place in places],
        rename=dict(zip(places, fields, strict=True)),
        forbid_unknown_fields=True,
        gc=False,
    )
    return msgspec.json.Decoder(known)


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


def _has_all(texts: Iterable[bytes], columns: Sequence[bytes], count: int, fields: Sequence[str]) -> bool:
    """Whether so many rows have all members of their objects. One that was dropped, since its name is there twice, misses its own
    colon: what was kept has then fewer than the texts."""
    whole = b"\n".join(texts)
    if ESCAPED in whole and any(sign in whole for sign in UNLIKELY):
        return False
    kept = 0
    for name, values in zip(fields, columns, strict=True):
        absent = values[1:-1].split(SEPARATOR).count(NOTHING) if SEPARATOR * 2 in values else 0
        kept += values.count(b":") + (count - absent) * (1 + name.count(":"))
    return kept == whole.count(b":")


def _is_nested(values: bytes) -> bool:
    return SEPARATOR + b"{" in values or SEPARATOR + b"[" in values


def _there(values: Iterable[Value]) -> list[Value]:
    return [value for value in values if value is not _absent]


def _all_once(texts: Collection[Value]) -> bool:
    """Whether no value has a name twice. What is decoded and encoded again has then as many colons, those in strings among them;
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


def _in_parts(sizes: Sequence[int], start: int = 0) -> Iterator[range]:
    """The places of values of these sizes, some at a time: they have AT_ONCE bytes, or are one that has more."""
    if len(sizes) > 1 and sum(sizes) > AT_ONCE:
        half = len(sizes) // 2
        yield from _in_parts(sizes[:half], start)
        yield from _in_parts(sizes[half:], start + half)
    elif sizes:
        yield range(start, start + len(sizes))
