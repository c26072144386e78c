"""Constants converted while a statement is compiled: what Python can do exactly, DuckDB need not bind, nor do per row.

`folded` gives None for whatever it is not sure of; the ordinary conversion then decides, and raises SQL Server's error. To bind
one of the macros for moments takes DuckDB a millisecond: the clock, which most questions of a load name, is a constant too.
"""

import datetime as dt
import re

from .types import CHARACTERS, INTEGERS, SqlType

_TICKS_PER_DAY = 864_000_000_000
_MINUTE = 600_000_000
_DATETIME_LEAST = 639_905 * _TICKS_PER_DAY  # 1753-01-01
_BEYOND = 3_652_059 * _TICKS_PER_DAY  # 10000-01-01
_TICKS_LITERAL = re.compile(r"CAST\((\d+) AS BIGINT\)")
_TIMESTAMP_LITERAL = re.compile(r"TIMESTAMP '([0-9-]{10} [0-9:]{8}(?:\.\d{3,6})?)'")
_MOMENT = re.compile(
    r"(?P<year>\d{4})-?(?P<month>\d\d)-?(?P<day>\d\d)"
    r"(?:[ T](?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:\.(?P<fraction>\d{1,7}))?)?)?(?: ?(?P<zone>Z|[+-]\d\d:\d\d))?"
)
_LIMITS = {
    "tinyint": (0, 255),
    "smallint": (-(2**15), 2**15 - 1),
    "int": (-(2**31), 2**31 - 1),
    "bigint": (-(2**63), 2**63 - 1),
}


def folded(text: str, target: SqlType) -> str | None:
    """The DuckDB literal of a string constant as `target`, or None."""
    if target.base in CHARACTERS:
        return _folded_text(text, target)
    if target.base in INTEGERS:
        low, high = _LIMITS[target.base]
        whole = re.fullmatch(r"[+-]?\d{1,20}", text)
        return f"CAST({int(text)} AS {target.duckdb})" if whole and low <= int(text) <= high else None
    if target.base in ("date", "datetime", "smalldatetime", "datetime2", "datetimeoffset"):
        return _folded_moment(text, target)
    return None


def _folded_text(text: str, target: SqlType) -> str | None:
    if target.length > 0:
        if len(text) > target.length:
            return None
        if target.base in ("char", "nchar"):
            text = text.ljust(target.length)
    return "'" + text.replace("'", "''") + "'"


def _folded_moment(text: str, target: SqlType) -> str | None:
    found = _MOMENT.fullmatch(text)
    if not found:
        return None
    try:
        day = dt.date(int(found["year"]), int(found["month"]), int(found["day"]))
        dt.time(int(found["hour"] or 0), int(found["minute"] or 0), int(found["second"] or 0))
    except ValueError:
        return None
    seconds = int(found["hour"] or 0) * 3600 + int(found["minute"] or 0) * 60 + int(found["second"] or 0)
    ticks = (day.toordinal() - 1) * _TICKS_PER_DAY + seconds * 10_000_000 + int((found["fraction"] or "").ljust(7, "0"))
    return _moment_literal(ticks, _offset(found["zone"]), target)


def _offset(zone: str | None) -> int:
    if zone in (None, "Z"):
        return 0
    return (-1 if zone[0] == "-" else 1) * (int(zone[1:3]) * 60 + int(zone[4:6]))


def ticks_of(literal: str, kind: SqlType) -> int | None:
    """The ticks of 100 ns since 0001-01-01 of a datetime2's or datetime's literal; None for other text, and before 1753."""
    ticks = None
    if kind.base == "datetime2" and (found := _TICKS_LITERAL.fullmatch(literal)):
        ticks = int(found[1])
    elif kind.base == "datetime" and (found := _TIMESTAMP_LITERAL.fullmatch(literal)):
        since = dt.datetime.fromisoformat(found[1]) - dt.datetime(1, 1, 1)
        seconds, rest = since.days * 86_400 + since.seconds, since.microseconds
        ticks = seconds * 10_000_000 + ((rest * 3 + 5_000) // 10_000 * 100_000 + 1) // 3  # in thirds of 10 ms
    return ticks if ticks is not None and _DATETIME_LEAST <= ticks < _BEYOND else None


def ticks_text(ticks: int, digits: int, separator: str) -> str:
    """Such ticks as text, with so many digits of the second, none to seven; further ones are cut off."""
    moment = dt.datetime(1, 1, 1) + dt.timedelta(seconds=ticks // 10_000_000)
    text = moment.isoformat(separator)
    return f"{text}.{ticks % 10_000_000:07}"[: len(text) + 1 + digits] if digits else text


def moment_literal(ticks: int, target: SqlType) -> str | None:
    """The DuckDB literal of local ticks as a date, datetime or datetime2; None where `target` does not hold them."""
    return _moment_literal(ticks, 0, target) if _DATETIME_LEAST <= ticks < _BEYOND else None


def _moment_literal(ticks: int, offset: int, target: SqlType) -> str | None:
    if target.base == "date":
        return f"DATE '{dt.date.fromordinal(ticks // _TICKS_PER_DAY + 1)}'"
    if target.base == "datetime":
        if ticks < _DATETIME_LEAST:
            return None
        days, in_day = divmod(ticks, _TICKS_PER_DAY)
        thirds = (in_day * 3 + 50_000) // 100_000
        moment = dt.datetime.fromordinal(days + 1) + dt.timedelta(
            seconds=thirds // 300, milliseconds=(thirds % 300 * 10 + 1) // 3
        )
        return f"TIMESTAMP '{moment}'"
    if target.base == "smalldatetime":
        return None
    unit = 10 ** (7 - target.scale)
    rounded = (ticks + unit // 2) // unit * unit
    if target.base == "datetime2":
        return f"CAST({rounded} AS BIGINT)"
    return f"struct_pack(ticks := CAST({rounded - offset * _MINUTE} AS BIGINT), off := CAST({offset} AS SMALLINT))"
