"""The date and time functions: the server's clock, DATEADD, DATEDIFF, DATEPART and their kin.

All moments of one statement come from one reading of the clock, as on SQL Server. Importing this module registers the
functions.
"""

import re

from ..constants import moment_literal, ticks_of
from ..conversion import convert
from ..errors import SqlError, not_supported
from ..moments import as_ticks, as_timestamp
from ..types import CHARACTERS, SqlType
from ..values import BIGINT, DATETIME, INT, Typed
from .registry import Call, function

_TICKS = {"nanosecond": 0, "microsecond": 10, "millisecond": 10_000, "second": 10_000_000, "minute": 600_000_000,
          "hour": 36_000_000_000, "day": 864_000_000_000, "week": 6_048_000_000_000}  # fmt: skip
_MONTHS = {"month": 1, "quarter": 3, "year": 12}
_ABBREVIATIONS = {
    "yy": "year", "yyyy": "year", "qq": "quarter", "q": "quarter", "mm": "month", "m": "month", "dy": "dayofyear",
    "y": "dayofyear", "dd": "day", "d": "day", "wk": "week", "ww": "week", "dw": "weekday", "w": "weekday", "hh": "hour",
    "mi": "minute", "n": "minute", "ss": "second", "s": "second", "ms": "millisecond", "mcs": "microsecond",
    "ns": "nanosecond", "isowk": "iso_week", "isoww": "iso_week", "tz": "tzoffset",
}  # fmt: skip
_DATETIME2, _DATETIMEOFFSET = SqlType("datetime2", 0, 0, 7), SqlType("datetimeoffset", 0, 0, 7)


def _part(it: Call) -> str:
    word = it.word(0)
    return _ABBREVIATIONS.get(word, word)


@function("GETDATE", "GETUTCDATE", arguments=(0, 0))
def _getdate(it: Call) -> Typed:
    now = _now(it, "GETDATE")
    return Typed(moment_literal(now, DATETIME) or f"ticks_datetime(CAST({now} AS BIGINT))", DATETIME, False)


@function("SYSDATETIME", "SYSUTCDATETIME", arguments=(0, 0))
def _sysdatetime(it: Call) -> Typed:
    return Typed(f"CAST({_now(it, 'SYSDATETIME')} AS BIGINT)", _DATETIME2, False)


def _now(it: Call, local: str) -> int:
    return it.local_ticks if it.name == local else it.utc_ticks


@function("SYSDATETIMEOFFSET", arguments=(0, 0))
def _sysdatetimeoffset(it: Call) -> Typed:
    return Typed(
        f"struct_pack(ticks := CAST({it.utc_ticks} AS BIGINT), off := CAST({it.offset_minutes} AS SMALLINT))",
        _DATETIMEOFFSET,
        False,
    )


def _moment(it: Call, index: int, text_as: SqlType = DATETIME) -> Typed:
    value = it.value(index)
    if value.type is None or value.type.base in CHARACTERS or value.type.base == "int":
        return convert(value, text_as)
    return value


@function("DATEADD", arguments=(3, 3))
def _dateadd(it: Call) -> Typed:
    part, value = _part(it), _moment(it, 2)
    if part in ("weekday", "dayofyear"):
        part = "day"
    kind, number = value.kind, convert(it.value(1), BIGINT).sql
    if part in _MONTHS:
        months = f"to_months(CAST({number} * {_MONTHS[part]} AS INTEGER))"
        ticks = f"(timestamp_ticks({as_timestamp(value)} + {months}) + {as_ticks(value)} % 10)"
        if kind.base in ("date", "datetime", "smalldatetime"):
            return Typed(f"CAST({value.sql} + {months} AS {kind.duckdb})", kind, True)
    elif part in _TICKS:
        step = f"{number} // 100" if part == "nanosecond" else f"{number} * {_TICKS[part]}"
        ticks = f"({as_ticks(value)} + {step})"
        if part != "nanosecond" and (literal := _added(value, number, _TICKS[part])):
            return Typed(literal, kind, True)
    else:
        raise SqlError(155, f"'{it.word(0)}' is not a recognized dateadd option.")
    return _from_ticks(ticks, value)


def _added(value: Typed, number: str, unit: int) -> str | None:
    """The literal of a constant datetime2 and a constant number of units, or None."""
    ticks = ticks_of(value.sql, value.kind) if value.kind.base == "datetime2" else None
    found = re.fullmatch(r"CAST\(\(?(-?\d{1,18})\)? AS BIGINT\)", number)
    return None if ticks is None or found is None else moment_literal(ticks + int(found[1]) * unit, value.kind)


def _from_ticks(ticks: str, like: Typed) -> Typed:
    """Local ticks as the type of `like`."""
    kind = like.kind
    if kind.base == "date":
        return Typed(f"CAST(ticks_timestamp({ticks}) AS DATE)", kind, True)
    if kind.base in ("datetime", "smalldatetime"):
        return Typed(f"ticks_{kind.base}({ticks})", kind, True)
    if kind.base == "time":
        return Typed(f"({ticks} % 864000000000)", kind, True)
    if kind.base == "datetime2":
        return Typed(ticks, kind, True)
    text = f"struct_pack(ticks := {ticks} - ({like.sql}).off * 600000000::BIGINT, off := ({like.sql}).off)"
    return Typed(f"CASE WHEN {like.sql} IS NULL THEN NULL ELSE {text} END", kind, True)


def _utc_ticks(value: Typed) -> str:
    return f"({value.sql}).ticks" if value.kind.base == "datetimeoffset" else as_ticks(value)


@function("DATEDIFF", "DATEDIFF_BIG", arguments=(3, 3))
def _datediff(it: Call) -> Typed:
    part, first, second = _part(it), _moment(it, 1, _DATETIME2), _moment(it, 2, _DATETIME2)
    kind = BIGINT if it.name == "DATEDIFF_BIG" else INT
    if part == "dayofyear":
        part = "day"
    if part in _MONTHS:
        a, b = as_timestamp(first), as_timestamp(second)
        text = f"(year({b}) * 12 + month({b}) - 1) // {_MONTHS[part]} - (year({a}) * 12 + month({a}) - 1) // {_MONTHS[part]}"
    elif part == "week":
        a, b = _utc_ticks(first), _utc_ticks(second)
        text = f"({b} // 864000000000 + 1) // 7 - ({a} // 864000000000 + 1) // 7"
    elif part == "nanosecond":
        text = f"({_utc_ticks(second)} - {_utc_ticks(first)}) * 100"
    elif part in _TICKS:
        text = f"{_utc_ticks(second)} // {_TICKS[part]} - {_utc_ticks(first)} // {_TICKS[part]}"
    else:
        raise SqlError(155, f"'{it.word(0)}' is not a recognized {it.name.lower()} option.")
    return Typed(f"CAST({text} AS {kind.duckdb})", kind, first.nullable or second.nullable)


@function("DATEPART", arguments=(2, 2))
def _datepart(it: Call) -> Typed:
    part, value = _part(it), _moment(it, 1)
    ticks, stamp = as_ticks(value), as_timestamp(value)
    fractions = {"millisecond": f"{ticks} % 10000000 // 10000", "microsecond": f"{ticks} % 10000000 // 10",
                 "nanosecond": f"{ticks} % 10000000 * 100"}  # fmt: skip
    parts = {
        name: f"{name}({stamp})"
        for name in ("year", "quarter", "month", "day", "dayofyear", "hour", "minute", "second")
    }
    parts |= fractions | {
        "weekday": f"dayofweek({stamp}) + 1",
        "iso_week": f"week({stamp})",
        "tzoffset": f"({value.sql}).off",
    }
    if part not in parts:
        raise not_supported(f"DATEPART({part})")
    return Typed(f"CAST({parts[part]} AS INTEGER)", INT, value.nullable)


@function("YEAR", "MONTH", "DAY", arguments=(1, 1))
def _calendar(it: Call) -> Typed:
    value = _moment(it, 0)
    return Typed(f"CAST({it.name.lower()}({as_timestamp(value)}) AS INTEGER)", INT, value.nullable)


@function("EOMONTH", arguments=(1, 1))
def _eomonth(it: Call) -> Typed:
    value = _moment(it, 0)
    return Typed(f"last_day({as_timestamp(value)})", SqlType("date"), value.nullable)


@function("DATEFROMPARTS", arguments=(3, 3))
def _datefromparts(it: Call) -> Typed:
    return Typed(f"make_date({', '.join(it.converted(i, BIGINT) for i in range(3))})", SqlType("date"))


@function("SWITCHOFFSET", "TODATETIMEOFFSET", arguments=(2, 2))
def _offset(it: Call) -> Typed:
    value, zone = it.value(0), it.text(1).sql
    off = f"text_offset('2000-01-01 00:00:00 ' || {zone})"
    scale = value.type.scale if value.type and value.type.base in ("datetime2", "datetimeoffset") else 7
    kind = SqlType("datetimeoffset", 0, 0, scale)
    if it.name == "TODATETIMEOFFSET":
        ticks = f"{as_ticks(convert(value, SqlType('datetime2', 0, 0, 7)))} - {off} * 600000000::BIGINT"
    else:
        ticks = f"({convert(value, kind).sql}).ticks"
    return Typed(f"CASE WHEN {value.sql} IS NULL THEN NULL ELSE struct_pack(ticks := {ticks}, off := {off}) END", kind)
