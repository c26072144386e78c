"""Pieces of NDJSON whose lines are all made alike, read by pyarrow's reader of CSV: the quick way beside `ndjson_records`.

A machine writes each line with the same names in the same order, and each of its fields either in quotes or not. Where that is so
of a piece, proved by one expression over all of it, every line has the same number of quotes: split there, it is a row of CSV
whose delimiter is the quote, and some of its columns are the values: strings as they are, numbers digit by digit.

Guarantees: what it gives is what reading line by line would give, to the last character. Not taken are nested values, fields that
are once text and once a number, names that are not known yet, halves of surrogate pairs, and everything that is not plainly JSON.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute
import pyarrow.csv

from flowforge.sources.files.byte_signs import has_lone_cr
from flowforge.sources.files.clean_records import Clean, as_utf8, batch_of, is_all
from flowforge.sources.files.pieces import PIECE

pc: Any = pyarrow.compute
csv: Any = pyarrow.csv
NUMBER = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"  # RFC 8259, 6
BARE = f"(?:{NUMBER}|true|false|null)"
STRING = r'"(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*"'
VALUE = f"(?:{STRING}|{NUMBER}|true|false|null)"
TEXT = f"(?:{STRING}|null)"
# The same for Python's own patterns, which keep each step of a loop that could go back: gigabytes of a long text.
RUNS = VALUE.replace(r"\x00-\x1f]|", r"\x00-\x1f]++|").replace('"(?:', '"(?>(?:').replace(')*"', ')*)"').encode()
# No colon, comma or brace: what separates a name from its neighbours is then found in no other place.
NAME = re.compile(r'[^"\\\x00-\x1f:,{}]+')
ESCAPE = re.compile(rb"\\(u....|.)", re.DOTALL)
BEGINS = re.compile(rb"(?<!\\)\\")  # where an escape begins for certain
MEANT = {b"b": b"\b", b"f": b"\f", b"n": b"\\\n", b"r": b"\\\r", b"t": b"\t", b"/": b"/"}
NULL = "\x1f"  # in quotes, for null: JSON has this sign only as an escape
MOST_SHAPES = 64

_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class ObjectReader:
    """Reads pieces of whole lines. `fields` grows elsewhere: a piece has columns for all that are in it by then."""

    def __init__(self, codec: str, null_words: Iterable[str], fields: list[str]):
        self._codec, self._fields = codec, fields
        words = ["null", *(word for word in null_words if re.fullmatch(NUMBER, word))]
        self._nulls = pa.array([word.encode() for word in words], pa.binary())
        self._shapes: dict[tuple[tuple[str, ...], tuple[bool, ...]], _Shape | None] = {}

    def read(self, piece: bytes) -> Clean | None:
        """There is no other way."""
        return None

    def read_ahead(self, piece: bytes) -> Clean | None:
        """The objects of a piece; None where there is a doubt."""
        fields = list(self._fields)  # they may grow meanwhile
        data = as_utf8(piece, self._codec)
        if data is None or has_lone_cr(data):
            return None
        shape = self._shape_of(data, fields)
        if shape is None or not shape.fits(data):
            return None
        try:
            found = shape.columns(data, self._nulls)
        except (pa.ArrowInvalid, _Doubtful):
            return None
        lines, rows = data.count(b"\n"), len(found[shape.names[0]])
        ends = lines + (not data.endswith(b"\n"))
        counted = ends if rows == ends else sum(map(bool, data.replace(b"\r", b"").split(b"\n")))
        if rows != counted:
            return None
        columns = [found[name] if name in found else pa.nulls(rows, pa.string()) for name in fields]
        return Clean(batch_of(pa.Table.from_arrays(columns, names=fields)), [], rows, counted, lines)

    def _shape_of(self, data: bytes, fields: Sequence[str]) -> "_Shape | None":
        """The shape of the first line; None where it has none that all could have."""
        line = data.lstrip(b"\r\n").partition(b"\n")[0].rstrip(b"\r")
        try:
            members = _members(line)  # one that is there twice makes no shape: its line has more signs
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return None
        names = tuple(members)
        if not names or not all(map(NAME.fullmatch, names)) or not set(names) <= set(fields):
            return None
        firsts = [bytes(value)[:1] for value in members.values()]
        if b"n" in firsts:  # null: the field's other values tell whether they are in quotes
            signs = _signs_of(line, names)
            texts = [b'"' if sign + b'"' in data else first for sign, first in zip(signs or (), firsts, strict=False)]
            firsts = [text if first == b"n" else first for first, text in zip(firsts, texts, strict=False)]
        key = names, tuple(first == b'"' for first in firsts)
        if key not in self._shapes and len(self._shapes) < MOST_SHAPES:
            signs = _signs_of(line, names)
            self._shapes[key] = _Shape(names, signs, key[1]) if signs else None
        return self._shapes.get(key)


class _Doubtful(Exception):
    """A piece that is read line by line."""


class _Shape:
    """Lines with these names between the same signs (`{"a": `, `, "b": `, `}`), of fields that are `quoted` or not."""

    def __init__(self, names: tuple[str, ...], signs: Sequence[bytes], quoted: Sequence[bool]):
        self.names, self._quoted, self._signs = names, quoted, signs[:-1]
        values = [TEXT if one else BARE for one in quoted]
        line = "".join(_literal(sign) + value for sign, value in zip(signs, [*values, ""], strict=True))
        self._whole = f"\\A(?:(?:{line})?\\r?\\n)*(?:{line})?\\z"
        values = [b'"\0"' if one else b"\0" for one in quoted]
        parts = b"".join(sign + value for sign, value in zip(signs, [*values, b""], strict=True)).split(b'"')
        self._names = [str(place) for place in range(len(parts))]
        self._places = [place for place, part in enumerate(parts) if b"\0" in part]
        self._cuts = [
            (parts[place].index(b"\0"), parts[place].index(b"\0") + 1 - len(parts[place])) for place in self._places
        ]
        self._convert = csv.ConvertOptions(
            check_utf8=False,
            include_columns=[str(place) for place in self._places],
            column_types={
                str(place): pa.string() if one else pa.binary() for place, one in zip(self._places, quoted, strict=True)
            },
            null_values=[NULL],
            strings_can_be_null=True,
        )

    def fits(self, data: bytes) -> bool:
        return is_all(data, self._whole)

    def columns(self, data: bytes, nulls: pa.Array) -> dict[str, pa.ChunkedArray]:
        """The values of a piece that fits; `nulls` are NULL where they are not in quotes. Raises _Doubtful."""
        data = self._with_quoted_nulls(data)
        if b"\\" in data and (b"\\\\" in data or data.count(b"\\") > data.count(b'\\"')):
            data = _with_meant(data)
        table = csv.read_csv(
            pa.BufferReader(data),
            csv.ReadOptions(use_threads=False, block_size=len(data) + 1, column_names=self._names),
            csv.ParseOptions(
                delimiter='"', quote_char=False, double_quote=False, escape_char="\\", newlines_in_values=True
            ),
            self._convert,
        )
        return {
            name: column if one else _bare(column, *cut, nulls)
            for name, column, one, cut in zip(self.names, table.columns, self._quoted, self._cuts, strict=True)
        }

    def _with_quoted_nulls(self, data: bytes) -> bytes:
        """A piece whose nulls are NULL in quotes, where the field's values are."""
        behind = [sign[sign.rindex(b'"') :] for sign in self._signs]
        for sign in {sign for sign, one in zip(behind, self._quoted, strict=True) if one}:
            if sign + b"null" not in data:
                continue
            if b"\\" + sign + b"null" in data:
                raise _Doubtful  # within a text
            written = f'"{NULL}"'.encode()
            data = data.replace(sign + b"null", sign + written)
            for whole, one in zip(self._signs, self._quoted, strict=True):
                if not one and whole.endswith(sign):
                    data = data.replace(whole + written, whole + b"null")
        return data


def _signs_of(line: bytes, names: Sequence[str]) -> list[bytes] | None:
    """What stands before each value of a line, and behind the last; None where it cannot be told from the values."""
    signs, rest = [], line
    for place, name in enumerate(names):
        sign = rb"\{[ \t]*" if place == 0 else rb"[ \t]*,[ \t]*"
        quoted = re.escape(f'"{name}"'.encode())
        found = re.match(b"(" + sign + quoted + rb"[ \t]*:[ \t]*)" + RUNS, rest)
        if not found:
            return None
        signs.append(found[1])
        rest = rest[found.end() :]
    return [*signs, rest] if re.fullmatch(rb"[ \t]*\}", rest) else None


def _bare(values: pa.ChunkedArray, left: int, right: int, nulls: pa.Array) -> pa.ChunkedArray:
    """Values without the signs around them."""
    found = pc.binary_slice(values, left, right or None)
    is_null = pc.is_in(found, value_set=nulls)
    if pc.any(is_null, min_count=0).as_py():
        found = pc.if_else(is_null, pa.scalar(None, pa.binary()), found)
    return found.cast(pa.string())


def _with_meant(data: bytes) -> bytes:
    """The escapes of JSON as those of CSV, in steps: `sub` holds all that it has found at once, of a long record gigabytes."""
    found, start = bytearray(), 0
    while start < len(data):
        cut = BEGINS.search(data, start + PIECE)
        end = cut.start() if cut else len(data)
        found += ESCAPE.sub(_meant, data[start:end])
        start = end
    return bytes(found)


def _meant(escape: re.Match[bytes]) -> bytes:
    sign = escape[1]
    if sign in (b'"', b"\\"):
        return escape[0]
    if sign in MEANT:
        return MEANT[sign]
    code = int(sign[1:], 16)
    if code in (0, ord(NULL)) or 0xD800 <= code <= 0xDFFF:
        raise _Doubtful
    text = chr(code).encode()
    return b"\\" + text if text in (b'"', b"\\", b"\r", b"\n") else text


def _literal(sign: bytes) -> str:
    """A literal of RE2, byte by byte."""
    return "".join(f"\\x{byte:02x}" for byte in sign)
