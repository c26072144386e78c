"""Where a person wants a load to start, as the literal that the column itself would print. Pure.

Guarantees: what is given is read as it was written or refused: no offset is dropped, no text is guessed at, no digit is rounded
up past a row. An instant with an offset becomes the column's own time only where that is known (`cursorClock` utc, or a
datetimeoffset); which local time it was on a server elsewhere, and in summer, nobody here can tell.
"""

import re
from datetime import datetime, timedelta

from flowforge.sources.base import NotAValue
from flowforge.sources.sqlserver.sql_types import INTEGERS, floor_literal, parse_sql_type

EXAMPLES = {"rowversion": "0x00000000000007D1", "integer": "10001", "timestamp": "2024-01-31 or 2024-01-31 23:59:59"}
_ROWVERSION = re.compile("0x[0-9A-Fa-f]{16}")
_INTEGER = re.compile(r"[+-]?[0-9]{1,38}")
_MOMENT = re.compile(
    r"(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[T ](?P<time>[0-9]{2}:[0-9]{2}(?::[0-9]{2})?)(?:\.(?P<digits>[0-9]{1,7}))?)?"
    r"(?P<zone> ?(?:Z|[+-][0-9]{2}:[0-9]{2}))?"
)


def seed_literal(text: str, sql_type: str, clock: str = "unknown") -> str:
    """The lowest cursor value at or after `text`, or the one just below it, as the server prints a column of this type.

    `clock` is the request's `cursorClock`. Raises NotAValue.
    """
    kind, text = parse_sql_type(sql_type), text.strip()
    example = f"write it like {EXAMPLES.get(kind.cursor_kind or '', 'a value of a possible cursor')}"
    if kind.cursor_kind == "timestamp":
        return _moment(text, sql_type, clock, example)
    if kind.cursor_kind == "rowversion" and _ROWVERSION.fullmatch(text):
        return "0x" + text[2:].upper()
    if kind.cursor_kind == "integer" and _INTEGER.fullmatch(text):
        number = int(text)
        limit = 10**kind.precision - 1
        low, high = INTEGERS.get(kind.base, (-limit, limit))
        if low <= number <= high:
            return str(number)
    raise NotAValue(f"is not a value of type {sql_type}", example)


def _moment(text: str, sql_type: str, clock: str, example: str) -> str:
    found = _MOMENT.fullmatch(text)
    try:
        moment = datetime.fromisoformat(f"{found['day']} {found['time'] or '00:00'}") if found else None
        zone = found["zone"] if found else None
        if moment and zone:
            moment = _without_offset(moment, zone.strip(), sql_type, clock)
    except (ValueError, OverflowError) as error:
        if isinstance(error, NotAValue):
            raise
        moment = None
    if moment is None or found is None:
        raise NotAValue(f"is not a value of type {sql_type}", example)
    return floor_literal(f"{moment.isoformat(sep=' ')}.{(found['digits'] or '').ljust(7, '0')}", sql_type)


def _without_offset(moment: datetime, zone: str, sql_type: str, clock: str) -> datetime:
    if parse_sql_type(sql_type).base != "datetimeoffset" and clock != "utc":
        whose = "the server's local time" if clock == "local" else "an unknown clock's time"
        raise NotAValue(
            f"has an offset, and {sql_type} holds {whose} without one",
            "write it as the column holds it, without an offset; or, if the column holds UTC, set cursorClock to utc",
        )
    offset = "+00:00" if zone == "Z" else zone
    hours, minutes = int(offset[1:3]), int(offset[4:])
    if hours > 14 or minutes > 59:
        raise ValueError(zone)
    behind = timedelta(hours=hours, minutes=minutes)
    return moment - behind if offset[0] == "+" else moment + behind
