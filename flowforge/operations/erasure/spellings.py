"""The ways in which a value may be written: in the text of a rejected record, in a sentinel row, as the bound of a slice.

Guarantees: what may be the value is taken for it. A text or a record too many goes, and none is left for how it is written.
"""

import json
import re
import unicodedata
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

from flowforge.sources.files.rejected import LONGEST_RAW

GROUP = "[.,'\u2019\\s_]?"  # between groups of digits: of three, or of two above the last three
JSON_ESCAPE = re.compile(r'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})')
MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)(?:[ T](\d\d:\d\d(?::\d\d)?)(?:\.(\d+))?\s*([+-]\d\d(?::?\d\d)?|Z)?)?")


def loose(text: str) -> str:
    """One form for all ways to write a value: times to microseconds in UTC, numbers, texts without case, accents and blanks."""
    plain = str(text).strip()
    if found := MOMENT.fullmatch(plain):
        day, time, fraction, zone = found.groups()
        moment = datetime.fromisoformat(f"{day}T{time or '00:00'}").replace(
            microsecond=int((fraction or "")[:6].ljust(6, "0"))
        )
        if zone and zone != "Z":
            moment = datetime.fromisoformat(f"{moment.isoformat()}{zone}").astimezone(UTC).replace(tzinfo=None)
        return moment.isoformat()
    try:
        return f"{Decimal(plain).normalize():f}"
    except InvalidOperation:
        parts = unicodedata.normalize("NFKD", plain.casefold())
        return "".join(sign for sign in parts if not unicodedata.combining(sign))


def whole_number(value: str, abutting: bool) -> re.Pattern[str]:
    """A whole number in a text: with zeros before it or behind its point, its digits in groups or not, of either sign."""
    plain = str(abs(int(Decimal(value))))
    digits = ""
    for place, digit in enumerate(plain):
        left = len(plain) - place
        digits += (GROUP if place and (left % 3 == 0 or (left > 3 and left % 2)) else "") + digit
    return re.compile(f"0*{digits}" if abutting else rf"(?<![\w.])0*{digits}(?:[.,]0*)?(?!\w)")


def words(value: str, abutting: bool) -> re.Pattern[str]:
    """A text in a text, in any case; as words of their own, unless fields stand beside each other with nothing between."""
    inner = re.escape(value.strip())
    return re.compile(inner if abutting else rf"(?<!\w){inner}(?!\w)", re.IGNORECASE)


def is_cut(raw: str) -> bool:
    """Whether a rejected record is not kept whole, so that nobody can tell whose it is."""
    return len(raw) > LONGEST_RAW


def readings(raw: str) -> Iterator[str]:
    """A record's text, and what it says where signs of it are escaped: by JSON, or as quotes of a delimited file."""
    yield raw
    if "\\" in raw:
        yield JSON_ESCAPE.sub(lambda found: json.loads(f'"{found[0]}"'), raw)
    if '""' in raw:
        yield raw.replace('""', '"')
