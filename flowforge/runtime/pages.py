"""Pages of a list: how many entries are wanted, and the place at which the next page goes on.

A place is what names the last entry that was shown, as one opaque word (`next` in an answer, `cursor` in a request). It only says
where to go on: whoever makes one up sees what the list itself shows.
"""

import base64
import json
from collections.abc import Iterable
from typing import Any

from events.request import InvalidRequest

MOST_CHARACTERS = 8_192  # of a cursor; it travels in an address
MOST_BYTES = 1_024  # of one part: DynamoDB's limit for a sort key
ANSWER_BYTES = 4_000_000  # of a page, as JSON: an answer of a function holds 6 MB
PROBLEM = "expected what an answer's `next` has told; leave it out to begin with the first page"


def cursor_of(*place: str) -> str:
    """A place as one word of letters, digits, `-`, `_` and `.`."""
    return ".".join(base64.urlsafe_b64encode(part.encode()).decode().rstrip("=") for part in place)


def place_of(cursor: str | None, parts: int) -> list[str] | None:
    """The place of a cursor with so many parts; None where none is given. Raises InvalidRequest."""
    if not cursor:
        return None
    place = [_decoded(part) for part in cursor.split(".", parts)] if len(cursor) <= MOST_CHARACTERS else []
    if len(place) != parts or not all(place):
        raise InvalidRequest([{"field": "cursor", "problem": PROBLEM}])
    return place


def fitting(entries: Iterable[dict[str, Any]], most_bytes: int = ANSWER_BYTES) -> list[dict[str, Any]]:
    """The first entries, as many as fit into an answer, and one at least. No more is taken of `entries` than one beyond."""
    fit: list[dict[str, Any]] = []
    for entry in entries:
        most_bytes -= len(json.dumps(entry, default=str))
        if fit and most_bytes < 0:
            break
        fit.append(entry)
    return fit


def _decoded(part: str) -> str:
    """Empty where it is none of ours."""
    try:
        found = base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
        return found.decode() if len(found) <= MOST_BYTES and 0 not in found else ""
    except ValueError:
        return ""
