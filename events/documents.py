"""A request's text, read once and in one way.

Guarantees: UTF-8, UTF-16 and UTF-32 are told apart by their byte order mark (Windows PowerShell 5.1 writes UTF-16); what two
readers could take differently is refused with the reason: a field given twice, NaN, half a character. No error repeats what
was read.
"""

import json
from typing import Any

MOST_BYTES = 4 * 2**20  # a job request is a page of JSON
MOST_LEVELS = 40  # the contract itself has nine
MOST_VALUES = 100_000  # ten thousand tables have fewer; each may be a mistake, of which a kilobyte is told


class Unreadable(ValueError):
    """The text is not one JSON document; the message says why, and where, and repeats nothing of it."""


def read_json(content: bytes | str) -> Any:
    """The JSON value that a text holds. Raises Unreadable."""
    if len(content) > MOST_BYTES:
        raise Unreadable(f"larger than {MOST_BYTES // 2**20} MiB")
    try:
        document = json.loads(_text(content), object_pairs_hook=_object, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise Unreadable(f"expected JSON (line {error.lineno}, column {error.colno})") from None
    except RecursionError:
        raise Unreadable(f"nested deeper than {MOST_LEVELS} levels") from None
    except Unreadable:
        raise
    except ValueError:  # Python's limit for the digits of a whole number
        raise Unreadable("expected JSON with numbers of at most 4,300 digits") from None
    _check(document)
    return document


def _text(content: bytes | str) -> str:
    if isinstance(content, str):
        return content.removeprefix("\ufeff")
    encoding = json.detect_encoding(content)
    try:
        return content.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        name = encoding.removesuffix("-sig")
        raise Unreadable(
            f"expected JSON in UTF-8 or UTF-16: byte {error.start} is no {name}; save it as UTF-8"
        ) from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise Unreadable("a field is given twice in one object: which of the two counts cannot be told")
    return made


def _refuse_constant(name: str) -> None:
    raise Unreadable(f"{name} is not JSON")


def _check(document: Any) -> None:
    """Bounds the depth, so that whoever walks the document may recurse, and the values, each of which may be a mistake; refuses
    text that no store can keep."""
    level, left = [document], MOST_VALUES
    for _ in range(MOST_LEVELS):
        left -= len(level)
        if left < 0:
            raise Unreadable(f"more than {MOST_VALUES:,} values")
        for value in level:
            for text in value if isinstance(value, dict) else [value]:
                if isinstance(text, str) and not _is_whole(text):
                    raise Unreadable("a text holds half a character (an unpaired surrogate)")
        level = [
            inner for value in level if isinstance(value, dict | list)
            for inner in (value.values() if isinstance(value, dict) else value)
        ]  # fmt: skip
        if not level:
            return
    raise Unreadable(f"nested deeper than {MOST_LEVELS} levels")


def _is_whole(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text) if not text.isascii() else True
