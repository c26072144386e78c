"""The interval of a batch: where it starts, and the bound that the server fixes before the first row is read.

Guarantees: half-open, `low <= cursor < high`; `high` comes from the server's clock, its row versions or its own MAX, never from the
client; a row that commits after the bound was taken has its cursor at or above it, as long as the promise holds that the plan spells
out. Literals are the server's own text. Order: clock, then open transactions, and only then may reading start.
"""

from typing import Any, NamedTuple, Protocol

from pydantic import BaseModel, ConfigDict, Field

from events.targets import SourceTable
from flowforge.errors import UnsupportedSource
from flowforge.settings import settings
from flowforge.source.catalog import find_column
from flowforge.source.connection import SourceConnection
from flowforge.source.integer_samples import Sample, bound_above, newest_before, newest_settled, remember
from flowforge.source.sql_text import (
    Source,
    is_empty_statement,
    newest_statement,
    normalise_statement,
    null_count_statement,
    shift_statement,
)
from flowforge.source.sql_types import CURSOR_TYPES, cursor_kind, floor_literal, lowest_literal, parse_sql_type
from flowforge.source.transactions import OpenTransaction, is_writable, open_transactions, sees_open_transactions
from flowforge.state.batch import Interval, SourceColumn

FULL_LOAD = "full load: every row that was committed when the read reached it"
NOTABLE_AGE_MS = 60_000  # from this age on, a transaction that holds the bound back is reported

_CLOCK = """SELECT CONVERT(varchar(27), SYSDATETIME(), 121) AS local_now,
CONVERT(varchar(27), SYSUTCDATETIME(), 121) AS utc_now"""
_ROWVERSION = "SELECT CONVERT(varchar(18), MIN_ACTIVE_ROWVERSION(), 1) AS literal"


class Described(Protocol):
    """A TableDescription, or the columns of a query with an empty `primary_key`."""

    columns: list[SourceColumn]
    primary_key: list[str]


class Plan(BaseModel):
    """The interval to read; `empty` when there is nothing between low and high, `reason` then says why.

    `samples` go back into the next plan of the same table. `blocker` names a transaction that holds the bound back.
    """

    model_config = ConfigDict(frozen=True)

    interval: Interval
    samples: list[dict[str, Any]] = Field(default_factory=list)
    blocker: str | None = None
    empty: bool = False
    reason: str = ""


class _Bound(NamedTuple):
    """`high` None: no bound could be proved yet. `overlap_ms` is how far below the watermark reading starts again."""

    high: str | None
    promise: str
    overlap_ms: int = 0
    samples: tuple[Sample, ...] = ()
    blocker: str | None = None


class _Cursor(NamedTuple):
    relation: Source
    where: str
    name: str
    sql_type: str
    nullable: bool
    clock: str


def plan_interval(
    connection: SourceConnection,
    description: Described,
    source: SourceTable,
    low: str | None,
    samples: list[dict[str, Any]] | None,
    keyed: bool | None = None,
    credentials: Any = None,
) -> Plan:
    """Plans the next batch of a table, or of the query in `source`.

    `low` is the stored watermark; without one the seed `source.last_watermark` counts, inclusive. `keyed` tells whether the
    destination merges by a key (default: the table has a primary key): only then are rows read twice on purpose, as overlap and
    as NULL cursors. Raises UnknownColumn, and UnsupportedSource for a cursor that cannot bound a load or a seed that is not of its type.
    """
    if not source.is_incremental or source.delta_column is None:
        return Plan(interval=Interval(promise=FULL_LOAD))
    cursor = _cursor(description, source)
    if keyed is None:
        keyed = bool(description.primary_key)
    if source.null_cursor == "fail" and cursor.nullable:
        _refuse_nulls(connection, cursor)
    stored = low is not None
    start = low if stored else source.last_watermark
    if start is not None:
        start = _normalised(connection, cursor, start, "the stored watermark" if stored else "lastWatermark")
    bound = _bound(connection, cursor, start, samples or [])
    return _plan(connection, cursor, source, bound, start, stored, keyed)


def _cursor(description: Described, source: SourceTable) -> _Cursor:
    where = "the query" if source.query else description.qualified_name
    column = find_column(description.columns, source.delta_column, where)
    if cursor_kind(column.sql_type) is None:
        raise UnsupportedSource(
            f"{where}: column {column.name!r} of type {column.sql_type} cannot be a delta column: its values do not grow exactly",
            f"use a column of type {CURSOR_TYPES}, or a full load",
        )
    return _Cursor(
        source.query or description, where, column.name, column.sql_type, column.nullable, source.cursor_clock
    )


def _refuse_nulls(connection: SourceConnection, cursor: _Cursor) -> None:
    count = connection.scalar(null_count_statement(cursor.relation, cursor.name), about=cursor.where)
    if count:
        raise UnsupportedSource(
            f"{cursor.where}: {count} rows have no {cursor.name!r}, and nullCursor is fail",
            "fill the column, or set nullCursor to include or exclude",
        )


def _normalised(connection: SourceConnection, cursor: _Cursor, literal: str, field: str) -> str:
    literal = literal.strip()
    malformed = cursor.sql_type == "rowversion" and len(literal) != 18
    printed = (
        None if malformed else connection.scalar(normalise_statement(literal, cursor.sql_type), about=cursor.where)
    )
    if printed is None:
        example = {"rowversion": "0x00000000000007D1", "integer": "10001"}
        kind = cursor_kind(cursor.sql_type)
        raise UnsupportedSource(
            f"{cursor.where}: {field} {literal[:60]!r} is not a value of {cursor.name!r} ({cursor.sql_type})",
            f"write {field} like {example.get(kind, '2024-01-31 or 2024-01-31 23:59:59')}",
        )
    return printed


def _bound(connection: SourceConnection, cursor: _Cursor, low: str | None, samples: list[Sample]) -> _Bound:
    kind = cursor_kind(cursor.sql_type)
    writable = is_writable(connection)
    if kind == "rowversion":
        if not writable:
            raise UnsupportedSource(
                f"{cursor.where} at {connection.where} is on a read-only replica, where row versions have no safe bound",
                "read from the primary, or use a timestamp column",
            )
        high = connection.scalar(_ROWVERSION)
        return _Bound(high, f"exact: every change committed below row version {high}; deletes are not seen")
    visible = writable and sees_open_transactions(connection)
    take = _timestamp_bound if kind == "timestamp" else _integer_bound
    return take(connection, cursor, visible, low, samples)


def _timestamp_bound(
    connection: SourceConnection, cursor: _Cursor, visible: bool, low: str | None, samples: list[Sample]
) -> _Bound:
    clock = connection.rows(_CLOCK)[0]
    is_offset = parse_sql_type(cursor.sql_type).base == "datetimeoffset"
    now = _column_clock(clock, "utc" if is_offset else cursor.clock)
    if not visible:
        lag = settings().cursor_lag_seconds
        high = _shifted(connection, now, -lag * 1000, cursor.sql_type)
        promise = f"kept {lag} s behind the clock with as much overlap: this login cannot see open transactions, so a "
        promise += (
            f"transaction that stays open for more than {lag} s may be missed (GRANT VIEW SERVER STATE makes it exact)"
        )
        return _Bound(high, promise, lag * 1000)
    others = open_transactions(connection)
    guard = round(settings().guard_seconds * 1000)
    oldest = others[0].age_ms if others else 0
    high = _shifted(connection, now, -(oldest + guard), cursor.sql_type)
    promise = "exact for stamps set by this server's clock inside the transaction that commits them"
    return _Bound(high, promise, guard, blocker=_blocker(others))


def _column_clock(clock: dict[str, str], which: str) -> str:
    if which == "unknown":
        return min(clock["local_now"], clock["utc_now"])  # fixed width: text order is time order
    return clock["utc_now" if which == "utc" else "local_now"]


def _shifted(connection: SourceConnection, server_time: str, milliseconds: int, sql_type: str) -> str:
    return floor_literal(connection.scalar(shift_statement(server_time, milliseconds)), sql_type)


def _integer_bound(
    connection: SourceConnection, cursor: _Cursor, visible: bool, low: str | None, samples: list[Sample]
) -> _Bound:
    newest = connection.scalar(newest_statement(cursor.relation, cursor.name, cursor.sql_type), about=cursor.where)
    now = connection.rows(_CLOCK)[0]["utc_now"]
    others = open_transactions(connection) if visible else []
    sample = {"max": newest, "open": [t.id for t in others], "at": now}
    kept = remember(samples, sample)
    lowest = lowest_literal(cursor.sql_type)
    if visible:
        settled = newest_settled(kept, sample["open"])
        promise = (
            "exact for numbers that only grow and are drawn inside the transaction that commits them, as IDENTITY's are"
        )
        blocker = None if settled is sample else _blocker(others, 0)
    else:
        lag = settings().cursor_lag_seconds
        settled = newest_before(kept, connection.scalar(shift_statement(now, -lag * 1000))) if low else sample
        promise = (
            f"this login cannot see open transactions: rows of a transaction that stays open for more than {lag} s, or "
        )
        promise += "during the first load, may be missed (GRANT VIEW SERVER STATE makes it exact)"
        blocker = (
            None if settled else f"numbers drawn within the last {lag} s wait until their transactions must have ended"
        )
    high = bound_above(settled, lowest) if settled else None
    return _Bound(high, promise, samples=tuple(kept), blocker=blocker)


def _blocker(others: list[OpenTransaction], from_age_ms: int = NOTABLE_AGE_MS) -> str | None:
    return f"{others[0].summary} holds the bound back" if others and others[0].age_ms >= from_age_ms else None


def _plan(
    connection: SourceConnection,
    cursor: _Cursor,
    source: SourceTable,
    bound: _Bound,
    low: str | None,
    stored: bool,
    keyed: bool,
) -> Plan:
    nulls = source.null_cursor == "include" and cursor.nullable and (not stored or keyed)
    interval = Interval(
        column=cursor.name, sql_type=cursor.sql_type, low=low, high=bound.high, nulls=nulls, promise=bound.promise
    )
    kept = {"samples": list(bound.samples), "blocker": bound.blocker}
    if bound.high is None:
        return Plan(interval=interval, empty=True, reason=f"no safe bound yet: {bound.blocker or 'ask again'}", **kept)
    if low is not None and connection.scalar(is_empty_statement(low, bound.high, cursor.sql_type)):
        reason = f"nothing is settled above {low}" + (f": {bound.blocker}" if bound.blocker else "")
        return Plan(interval=interval, empty=True, reason=reason, **kept)
    if stored and keyed and bound.overlap_ms:
        interval = interval.model_copy(update={"low": _overlapped(connection, cursor, low, bound.overlap_ms)})
    return Plan(interval=interval, **kept)


def _overlapped(connection: SourceConnection, cursor: _Cursor, low: str, overlap_ms: int) -> str:
    is_date = parse_sql_type(cursor.sql_type).base == "date"
    if low[:4] <= "1900" or (is_date and overlap_ms <= settings().guard_seconds * 1000):
        return low  # the type's own beginning; and a day is more than a guard
    return _shifted(connection, low.removesuffix(" +00:00"), -overlap_ms, cursor.sql_type)
