"""Pieces of NDJSON whose lines are all made alike, read by pyarrow's reader of CSV: the quick way beside `ndjson_records`.

A machine writes each line with the same names in the same order. Where that is so of a piece, proved by one expression over all
of it, the names are taken out; what is left is CSV whose fields are JSON's own texts: strings in quotes, numbers digit by digit.

Guarantees: what it gives is what reading line by line would give, to the last character. Not taken are nested values, names that
are not known yet, halves of surrogate pairs, and everything that is not plainly JSON.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute
import pyarrow.csv

from flowforge.sources.files.clean_records import Clean, as_utf8, batch_of, is_all
from flowforge.sources.files.framing import has_lone_cr
from flowforge.sources.files.pieces import PIECE

pc: Any = pyarrow.compute
csv: Any = pyarrow.csv
NUMBER = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"  # RFC 8259, 6
STRING = r'"(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*"'
VALUE = f"(?:{STRING}|{NUMBER}|true|false|null)"
# The same for Python's own patterns, which keep each step of a loop that could go back: gigabytes of a long text.
RUNS = VALUE.replace(r"\x00-\x1f]|", r"\x00-\x1f]++|").replace(')*"', ')*+"').encode()
# No colon, comma or brace: what separates a name from its neighbours is then found in no other place.
NAME = re.compile(r'[^"\\\x00-\x1f:,{}]+')
ESCAPE = re.compile(rb"\\(u....|.)", re.DOTALL)
BEGINS = re.compile(rb"(?<!\\)\\")  # where an escape begins for certain
MEANT = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"/": b"/"}
MOST_SHAPES = 64

_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class ObjectReader:
    """Reads pieces of whole lines. `fields` grows elsewhere: a piece has columns for all that are in it by then."""

    def __init__(self, codec: str, null_words: Iterable[str], fields: list[str]):
        self._codec, self._fields = codec, fields
        self._nulls = ["null", *(word for word in null_words if re.fullmatch(NUMBER, word))]
        self._shapes: dict[tuple[str, ...], _Shape] = {}

    def read(self, piece: bytes) -> Clean | None:
        """There is no other way."""
        return None

    def read_ahead(self, piece: bytes) -> Clean | None:
        """The objects of a piece; None where there is a doubt."""
        fields = list(self._fields)  # they may grow meanwhile
        data = as_utf8(piece, self._codec)
        if data is None or has_lone_cr(data):
            return None
        shape = self._shape_of(data)
        if shape is None or not shape.fits(data):
            return None
        try:
            table = self._parsed(shape.texts(data), shape.names)
        except (pa.ArrowInvalid, _Doubtful):
            return None
        lines, rows = data.count(b"\n"), table.num_rows
        ends = lines + (not data.endswith(b"\n"))
        counted = ends if rows == ends else sum(map(bool, data.replace(b"\r", b"").split(b"\n")))
        if rows != counted:
            return None
        columns = [
            table.column(name) if name in shape.names else pa.nulls(table.num_rows, pa.string()) for name in fields
        ]
        return Clean(batch_of(pa.Table.from_arrays(columns, names=fields)), [], rows, counted, lines)

    def _parsed(self, texts: bytes, names: Sequence[str]) -> pa.Table:
        return csv.read_csv(
            pa.BufferReader(texts),
            csv.ReadOptions(use_threads=False, block_size=len(texts) + 1, column_names=names),
            csv.ParseOptions(double_quote=False, escape_char="\\", newlines_in_values=True),
            csv.ConvertOptions(
                check_utf8=False,
                column_types=pa.schema([(name, pa.string()) for name in names]),
                null_values=self._nulls,
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )

    def _shape_of(self, data: bytes) -> "_Shape | None":
        """The shape of the first line; None where it has none that all could have."""
        line = data.lstrip(b"\r\n").partition(b"\n")[0].rstrip(b"\r")
        try:
            names = tuple(_members(line))  # one that is there twice makes no shape: its line has more signs
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return None
        if not names or not all(map(NAME.fullmatch, names)) or not set(names) <= set(self._fields):
            return None
        known = self._shapes.get(names)
        if known is None and len(self._shapes) < MOST_SHAPES:
            known = _Shape.of(line, names)
            if known:
                self._shapes[names] = known
        return known


class _Doubtful(Exception):
    """A piece that is read line by line."""


class _Shape:
    """Lines with these names between the same signs: `{"a": `, `, "b": `, `}`."""

    def __init__(self, names: tuple[str, ...], before: Sequence[bytes], end: bytes):
        self.names = names
        self._first, *others = before
        self._others = re.compile(b"|".join(map(re.escape, others))) if others else None
        self._end = end
        line = VALUE.join(_quoted(sign) for sign in [*before, end])
        self._whole = f"\\A(?:(?:{line})?\\r?\\n)*(?:{line})?\\z"

    @classmethod
    def of(cls, line: bytes, names: tuple[str, ...]) -> "_Shape | None":
        """The shape of a line, None where its signs cannot be told from its values."""
        before, rest = [], line
        for place, name in enumerate(names):
            sign = rb"\{[ \t]*" if place == 0 else rb"[ \t]*,[ \t]*"
            quoted = re.escape(f'"{name}"'.encode())
            found = re.match(b"(" + sign + quoted + rb"[ \t]*:[ \t]*)" + RUNS, rest)
            if not found:
                return None
            before.append(found[1])
            rest = rest[found.end() :]
        return cls(names, before, rest) if re.fullmatch(rb"[ \t]*\}", rest) else None

    def fits(self, data: bytes) -> bool:
        return is_all(data, self._whole)

    def texts(self, data: bytes) -> bytes:
        """A piece that fits, without the names; its escapes are those of CSV. Raises _Doubtful."""
        if not data.endswith(b"\n"):
            data += b"\n"
        data = data.replace(self._first, b"")
        if self._others:
            data = self._others.sub(b",", data)
        data = data.replace(self._end + b"\n", b"\n")
        if b"\r" in data:
            data = data.replace(self._end + b"\r\n", b"\n")
        return _with_meant(data) if b"\\" in data else data


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
    if code == 0 or 0xD800 <= code <= 0xDFFF:
        raise _Doubtful
    text = chr(code).encode()
    return b"\\" + text if text in (b'"', b"\\") else text


def _quoted(sign: bytes) -> str:
    """A literal of RE2, byte by byte."""
    return "".join(f"\\x{byte:02x}" for byte in sign)
