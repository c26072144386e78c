"""The records of JSON: one object a line, or one array of objects. Numbers stay the text that they are in the file.

Guarantees: a line, or an element, that is no object is counted and shown, never skipped in silence.
"""

import io
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from flowforge.domain.errors import UnsupportedSource

PORTION = 2**20
LONGEST = 2**27  # characters of one record


class JsonRecord(NamedTuple):
    """One record and the line on which it begins; `fields` None where it is no JSON object, with what it is as `text`."""

    line: int
    fields: dict[str, str | None] | None
    text: str = ""


def read_objects(text: io.TextIOBase, is_array: bool, where: str) -> Iterator[JsonRecord]:
    """The records of a text. Raises UnsupportedSource for an array that is broken, since nothing behind the place can be told."""
    yield from _elements(text, where) if is_array else _lines(text, where)


def _lines(text: io.TextIOBase, where: str) -> Iterator[JsonRecord]:
    for number, line in enumerate(iter(lambda: text.readline(LONGEST), ""), start=1):
        if len(line) == LONGEST:
            raise UnsupportedSource(
                f"{where}: line {number:,} has more than {LONGEST:,} characters", "look at its line ends"
            )
        if not line.strip():
            continue
        try:
            yield _record(number, _decoder.decode(line), line)
        except (json.JSONDecodeError, RecursionError):
            yield JsonRecord(number, None, line.strip())


def _elements(text: io.TextIOBase, where: str) -> Iterator[JsonRecord]:
    buffer, line, place, ended = text.read(PORTION), 1, 0, False
    place = buffer.index("[") + 1
    while True:
        start = place
        while place < len(buffer) and (buffer[place].isspace() or buffer[place] == ","):
            place += 1
        line += buffer.count("\n", start, place)
        if buffer[place : place + 1] == "]":
            return
        try:
            value, end = _decoder.raw_decode(buffer, place)
            found = end < len(buffer) or ended  # a number at the buffer's end may go on
        except (json.JSONDecodeError, RecursionError) as error:
            if ended or len(buffer) - place > LONGEST:
                raise UnsupportedSource(f"{where}: no JSON from line {line:,} on: {error}", "mend the file") from error
            value, end, found = None, place, False
        if found:
            yield _record(line, value, buffer[place:end])
            line += buffer.count("\n", place, end)
            place = end
            continue
        more = text.read(max(PORTION, len(buffer) - place))  # as much again: a long record is tried a few times only
        ended = not more
        buffer, place = buffer[place:] + more, 0


def _record(line: int, value: Any, text: str) -> JsonRecord:
    if not isinstance(value, dict):
        return JsonRecord(line, None, text.strip())
    return JsonRecord(line, {name: _text(field) for name, field in value.items()})


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, _Number):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else _json_text(value)


def _json_text(value: Any) -> str:
    """A nested value as JSON, its numbers with the digits that they have in the file."""
    if isinstance(value, _Number):
        return str(value)
    if isinstance(value, dict):
        return (
            "{"
            + ", ".join(f"{json.dumps(name, ensure_ascii=False)}: {_json_text(v)}" for name, v in value.items())
            + "}"
        )
    if isinstance(value, list):
        return "[" + ", ".join(map(_json_text, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


class _Number(str):
    """A number as its digits stand in the file."""


_decoder = json.JSONDecoder(parse_int=_Number, parse_float=_Number, parse_constant=_Number)
