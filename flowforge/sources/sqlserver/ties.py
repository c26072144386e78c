"""Numbers that several rows can have, such as seconds since 1970 or a day as yyyymmdd: another row may still get the last one.

Guarantees: an exclusive bound over such a number would lose that row, so each load starts with the last number that was read, and
silver, which tells rows apart by key or by content, takes what it has already. Only a column that cannot hold a number twice (an
identity, or alone in a unique index) is bounded exclusively.
"""

from flowforge.domain.given import given
from flowforge.domain.interval import Interval
from flowforge.sources.sqlserver.sql_types import cursor_kind, lowest_literal
from flowforge.sources.sqlserver.upper_bound import Cursor

PROMISE = "; {} is not unique: the rows with its last number are read again with every load"


def ties(cursor: Cursor) -> bool:
    """Whether several rows can have the same value and the later ones are not held off by the bound's own guard."""
    return cursor_kind(cursor.sql_type) == "integer" and not cursor.unique


def last_number(high: str, sql_type: str) -> str | None:
    """The greatest number below a bound; None below which the type has none."""
    return None if high == lowest_literal(sql_type) else str(int(high) - 1)


def with_last_number(interval: Interval, watermark: str | None, known: str) -> Interval:
    """The interval, which may be empty, from the last number below the watermark on.

    With nothing above that number it holds its rows only, and `known` is their digest as they were landed.
    """
    low = last_number(watermark, given(interval.sql_type)) if watermark is not None else None
    told = {"ties": True, "promise": interval.promise + PROMISE.format(interval.column)}
    if watermark is None or low is None:
        return interval.model_copy(update=told)
    if int(given(interval.high)) > int(watermark):
        return interval.model_copy(update=told | {"low": low})
    return interval.model_copy(update=told | {"low": low, "high": watermark, "nulls": False, "known": known})
