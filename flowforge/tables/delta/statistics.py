"""Statistics of a data file for the Delta log, from those that DuckDB returns of a Parquet file that it has written.

Guarantees: pure. A bound is never inside the values: what cannot be told exactly in JSON (NaN, infinities, decimals of more
digits than a float holds, long text, bytes, years that ISO 8601 lacks) has none, and times, of which Delta takes milliseconds,
are rounded outwards. Rows and NULLs are always told.
"""

import json
import math
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

INDEXED_COLUMNS = 32  # Delta's own default, `delta.dataSkippingNumIndexedCols`: the log stays small
LONGEST_TEXT = 64
EXACT_DIGITS = 15
WHOLE = ("SMALLINT", "INTEGER", "BIGINT")

Bound = Callable[[str, bool], Any]


def delta_statistics(rows: int, types: Mapping[str, str], found: Mapping[str, Mapping[str, str]]) -> str:
    """The JSON text; `types` are the table's columns (name -> DuckDB type), `found` are DuckDB's figures of them."""
    told: dict[str, Any] = {"numRecords": rows, "minValues": {}, "maxValues": {}, "nullCount": {}}
    for name, kind in list(types.items())[:INDEXED_COLUMNS]:
        figures = found.get(name, {})
        if "null_count" in figures:
            told["nullCount"][name] = int(figures["null_count"])
        least, most = _bounds(kind, figures)
        if least is not None and most is not None:
            told["minValues"][name], told["maxValues"][name] = least, most
    return json.dumps(told)


def _bounds(kind: str, figures: Mapping[str, str]) -> tuple[Any, Any]:
    bound = _bound_of(kind)
    if bound is None or "min" not in figures or "max" not in figures or figures.get("has_nan") == "true":
        return None, None
    try:
        return bound(figures["min"], False), bound(figures["max"], True)
    except (ValueError, OverflowError):
        return None, None


def _bound_of(kind: str) -> Bound | None:
    if kind.startswith("DECIMAL"):
        return _decimal
    if kind in WHOLE:
        return lambda text, up: int(text)
    return {
        "FLOAT": _float,
        "DOUBLE": _float,
        "VARCHAR": _text,
        "DATE": lambda text, up: date.fromisoformat(text).isoformat(),
        "TIMESTAMP": lambda text, up: _moment(text, up).isoformat(timespec="milliseconds"),
        "TIMESTAMP WITH TIME ZONE": _instant,
    }.get(kind)


def _decimal(text: str, up: bool) -> float:
    if sum(map(str.isdigit, text)) > EXACT_DIGITS:
        raise ValueError
    return float(text)


def _float(text: str, up: bool) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError
    return value


def _text(text: str, up: bool) -> str:
    if len(text) > LONGEST_TEXT:
        raise ValueError
    return text


def _moment(text: str, up: bool) -> datetime:
    """The time in whole milliseconds at or before it, or `up`: at or after it."""
    moment = datetime.fromisoformat(text)
    beyond = moment.microsecond % 1000
    if not beyond:
        return moment
    return moment + timedelta(microseconds=1000 - beyond if up else -beyond)


def _instant(text: str, up: bool) -> str:
    return _moment(text, up).astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
