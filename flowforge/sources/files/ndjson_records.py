"""The records of NDJSON: one object a line. Numbers are the text that they are in the file.

Guarantees: a line that is no object, or has a name twice, is a reject. A nested value is its JSON text exactly as written; with
`flatten` the fields of nested objects have their path as name. null, and a field that is not there, are NULL.
"""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from events.files import FileContract
from flowforge.domain.errors import UnsupportedSource
from flowforge.sources.files.byte_signs import has_lone_cr
from flowforge.sources.files.clean_objects import NUMBER, ObjectReader
from flowforge.sources.files.clean_records import Clean, all_as_utf8, as_utf8
from flowforge.sources.files.container import Content
from flowforge.sources.files.framing import Framed
from flowforge.sources.files.json_members import NOTHING, Members, columns_at_once, joined, members_of, written
from flowforge.sources.files.json_texts import texts_of
from flowforge.sources.files.pieces import PIECE
from flowforge.sources.files.quick_records import QuickRecords, Reader
from flowforge.sources.files.rejected import Portion, Rejected
from flowforge.sources.files.text_records import MOST_COLUMNS, Row

BLANKS = " \t\r\n"


class NdjsonRecords(QuickRecords):
    """See records.Records. `fields` are the contract's; further ones are added as they are met."""

    def __init__(self, content: Content, contract: FileContract, quick: bool = True, piece_bytes: int = PIECE):
        contract = contract.model_copy(update={"quote": "", "escape": ""})
        super().__init__(content, contract, False, quick, piece_bytes)
        self._nulls = frozenset(contract.null_words)
        self._null_numbers = pa.array(
            [word.encode() for word in contract.null_words if re.fullmatch(NUMBER, word)], pa.binary()
        )
        self._known = bool(contract.columns)
        self._place: dict[str, int] = {}
        self._folded: dict[str, str] = {}
        for column in contract.columns:
            self._add(column.field)

    def _begin(self, records: Iterator[Framed]) -> None:
        """There is nothing above the data."""

    def _clean_reader(self) -> Reader | None:
        flat = ObjectReader(self._codec, self._nulls, self.fields)
        # A footer adds no field: where there is one, a record is read once it is known to be above it.
        return flat if self._below else _PieceReader(self, flat, self._codec)

    def gather(self, raws: Sequence[bytes]) -> tuple[pa.RecordBatch, list[int]]:
        """Records as texts, with all fields that are known at their end, and the places of those that are rejects."""
        texts, flatten = all_as_utf8(raws, self._codec), self._contract.flatten
        columns = None if flatten else columns_at_once(texts, self.fields)
        odd: list[int] = []
        if columns is None:
            rows, odd = self._rows(raws, members_of(texts, flatten))
            columns = [joined([row.get(name, NOTHING) for row in rows]) for name in self.fields]
        arrays = [texts_of(values, len(raws) - len(odd), self._null_numbers) for values in columns]
        return pa.RecordBatch.from_arrays(arrays, names=list(self.fields)), odd

    def _rows(self, raws: Sequence[bytes], found: Sequence[Members | None]) -> tuple[list[Members], list[int]]:
        """The members of all records, those without a doubt as they were found; and the places of rejects, which have none."""
        rows: list[Members] = []
        odd: list[int] = []
        for place, members in enumerate(found):
            if members is not None and members.keys() <= self._place.keys():
                rows.append(members)
                continue
            try:
                rows.append(written(self._found(self._decoded(raws[place]))))
            except ValueError:
                odd.append(place)
        return rows, odd

    def _portion(self, records: list[Framed], first: int) -> Portion:
        if not self._quick:
            return super()._portion(records, first)
        texts, odd = self.gather([one.raw for one in records])
        found = [self._read(first + place, records[place]) for place in odd]
        rejected, left = [one for one in found if isinstance(one, Rejected)], set(odd)
        kept = [place for place in range(len(records)) if place not in left]
        numbers = pa.array([first + place for place in kept], pa.int64())
        lines = pa.array([records[place].line for place in kept], pa.int64())
        offsets = pa.array([records[place].offset for place in kept], pa.int64())
        return Portion(texts, numbers, rejected, lines, offsets)

    def _decoded(self, raw: bytes) -> str:
        text = raw.decode(self._codec)
        if "\0" in text:
            raise ValueError("it has a NUL character")
        return text

    def _values(self, text: str) -> Row:
        found = self._found(text)
        row: Row = [None] * len(self.fields)
        for name, value in found.items():
            row[self._place[name]] = value
        return row

    def _found(self, text: str) -> dict[str, str | None]:
        found = self._members(text)
        self._check_names(found)
        for name in found:
            if name not in self._place:
                self._add(name)
                if self._known:
                    self.extra.append(name)
        return found

    def _members(self, text: str) -> dict[str, str | None]:
        try:
            whole = _decoder.decode(text)
        except json.JSONDecodeError as error:
            raise ValueError(f"it is no JSON: {error.msg} at character {error.pos + 1:,}") from error
        except RecursionError as error:
            raise ValueError("it is nested too deeply") from error
        if not isinstance(whole, dict):
            raise ValueError("it is no JSON object")
        if any(isinstance(value, dict | list) for value in whole.values()):
            whole = dict(self._nested(text, whole))
        found = {name: self._text(value) for name, value in whole.items()}
        if "\\u" in text and not _has_characters(found):
            raise ValueError("it has half of a surrogate pair, which is no character")
        return found

    def _text(self, value: Any) -> str | None:
        if value is None or isinstance(value, _Number):
            return None if value in self._nulls else value
        if isinstance(value, bool):
            return "true" if value else "false"
        return value

    def _nested(self, text: str, whole: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        seen: set[str] = set()
        for path, value in _members(text, _behind(text, 0), "", self._contract.flatten):
            if path in seen:
                raise ValueError(f"two of its fields have the path {path!r}")
            seen.add(path)
            yield path, value

    def _check_names(self, found: dict[str, str | None]) -> None:
        new = found.keys() - self._place.keys()
        if not new:
            return
        # Of the record alone at first, so that it is refused alike whenever it is read.
        if len({name.strip().casefold() for name in found}) < len(found):
            raise ValueError("two of its fields differ in case or blanks only")
        for name in found:
            if name in new and (other := self._folded.get(name.strip().casefold())) is not None:
                raise ValueError(f"its field {name!r} differs from {other!r} in case or blanks only")
        if len(self.fields) + len(new) > MOST_COLUMNS:
            raise UnsupportedSource(
                f"{self._content.name}: more than {MOST_COLUMNS:,} different fields", "keep what varies in one field"
            )

    def _add(self, name: str) -> None:
        self._place[name] = len(self.fields)
        self._folded[name.strip().casefold()] = name
        self.fields.append(name)


class _PieceReader:
    """See quick_records.Reader: flat objects that are made alike as one text, others by their members."""

    def __init__(self, records: NdjsonRecords, flat: ObjectReader, codec: str):
        self._records, self._flat, self._codec = records, flat, codec

    def read_ahead(self, piece: bytes) -> Clean | None:
        """The objects of a piece that are made alike."""
        return self._flat.read_ahead(piece) if len(piece) <= 2 * PIECE else None  # a long record has no names to save

    def read(self, piece: bytes) -> Clean | None:
        """The objects of a piece; None where its lines may end otherwise, or are no text."""
        if has_lone_cr(piece) or as_utf8(piece, self._codec) is None:
            return None
        lines = [line for line in piece.replace(b"\r\n", b"\n").split(b"\n") if line]
        texts, odd = self._records.gather(lines)
        return Clean(texts, [place + 1 for place in odd], len(lines), len(lines), piece.count(b"\n"))


class _Number(str):
    """A number as its digits stand in the file."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("an object has a name twice")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


_decoder = json.JSONDecoder(
    parse_int=_Number, parse_float=_Number, parse_constant=_no_constant, object_pairs_hook=_unique
)


def _members(text: str, place: int, path: str, flatten: bool) -> Iterator[tuple[str, Any]]:
    """The fields of the object that begins at `place` of a text that is known to be JSON; what is nested, as it is written."""
    place = _behind(text, place + 1)
    while text[place] != "}":
        name, place = _decoder.raw_decode(text, place)
        place = _behind(text, _behind(text, place) + 1)
        value, end = _decoder.raw_decode(text, place)
        if flatten and isinstance(value, dict) and value:
            yield from _members(text, place, f"{path}{name}.", flatten)
        else:
            yield path + name, text[place:end] if isinstance(value, dict | list) else value
        place = _behind(text, end)
        if text[place] == ",":
            place = _behind(text, place + 1)


def _behind(text: str, place: int) -> int:
    while text[place] in BLANKS:
        place += 1
    return place


def _has_characters(found: dict[str, str | None]) -> bool:
    try:
        for name, value in found.items():
            (name + (value or "")).encode()
    except UnicodeEncodeError:
        return False
    return True
