"""The interval of a batch: where it starts, where it ends, and what that promises.

Guarantees: half-open, `low <= cursor < high`, with literals as the server prints them. The stored watermark never
moves back; a batch reads again from a little below it where the destination can take rows twice. A plan with nothing
to read says so, and why.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, Field

from events.targets import SourceTable
from flowforge.domain.errors import UnsupportedSource
from flowforge.domain.given import given
from flowforge.domain.interval import Interval, RowCondition
from flowforge.domain.source_columns import SourceColumn
from flowforge.runtime.settings import settings
from flowforge.sources.sqlserver.connection import SourceConnection
from flowforge.sources.sqlserver.description import TableDescription, find_column
from flowforge.sources.sqlserver.proof import require_cursor
from flowforge.sources.sqlserver.sentinel_rows import is_before
from flowforge.sources.sqlserver.server_clock import NOTABLE_BACK_MS
from flowforge.sources.sqlserver.sql_text import null_count_statement
from flowforge.sources.sqlserver.sql_types import CURSOR_TYPES, cursor_kind, parse_sql_type
from flowforge.sources.sqlserver.stamping import Clock, clock_of
from flowforge.sources.sqlserver.starting_point import starting_point
from flowforge.sources.sqlserver.statement import qualified, quote_identifier
from flowforge.sources.sqlserver.ties import ties, with_last_number
from flowforge.sources.sqlserver.upper_bound import Cursor, UpperBound, fix_upper_bound, shifted
from flowforge.sources.sqlserver.writers import is_of_period, writers_of

FULL_LOAD = "full load: every row that was committed when the read reached it"


class Described(Protocol):
    """A TableDescription, or the columns of a query with an empty `primary_key`."""

    @property
    def columns(self) -> Sequence[SourceColumn]:
        """The columns that can be read."""
        ...

    @property
    def primary_key(self) -> list[str]:
        """The names of its columns, in order."""
        ...


class PlannedInterval(BaseModel):
    """The interval to read; `empty` when there is nothing between low and high, `reason` then says why.

    `samples` go back into the next plan of the same table; without `news` those that were given say the same. `blocker` names a
    transaction that holds the bound back, where one does so for long or nothing could be read. `future_rows` counts rows stamped
    a day or more beyond the server's clock, where the cursor is indexed: they are read when their time comes. `wait_seconds` is
    set where the first load only has to wait that long. What a person should know of it is in the interval's `notes`.
    """

    model_config = ConfigDict(frozen=True)

    interval: Interval
    samples: list[dict[str, Any]] = Field(default_factory=list)
    blocker: str | None = None
    empty: bool = False
    reason: str = ""
    future_rows: int = 0
    wait_seconds: int | None = None
    news: bool = True

    def told(self, notes: Sequence[str]) -> "PlannedInterval":
        """The plan with further notes, before those that it has."""
        told = self.interval.model_copy(update={"notes": [*notes, *self.interval.notes]})
        return self.model_copy(update={"interval": told})


def plan_interval(
    connection: SourceConnection,
    description: Described,
    source: SourceTable,
    low: str | None,
    samples: list[dict[str, Any]] | None,
    keyed: bool | None = None,
    known: str = "",
    *,
    conditions: Sequence[RowCondition] = (),
) -> PlannedInterval:
    """Plans the next batch of a table, or of the query in `source`.

    `low` is the stored watermark; without one the seed `source.last_watermark` counts, inclusive. `keyed` tells
    whether the destination merges by a key (default: the table has a primary key): only then are rows read twice on
    purpose, as overlap and as NULL cursors. `known` is the digest of the rows with the last number below the watermark, as they
    were landed; `conditions` are the request's on the rows. Raises UnknownColumn, and UnsupportedSource for a cursor that cannot
    bound a load or a seed that is not of its type, SourceChanged for a watermark that the server reads as another value.
    """
    if not source.is_incremental or source.delta_column is None:
        return PlannedInterval(interval=Interval(where=list(conditions), promise=FULL_LOAD))
    cursor = find_cursor(description, source)._replace(conditions=tuple(conditions))
    cursor = cursor._replace(writers=writers_of(connection, cursor.relation, cursor.name, cursor.sql_type))
    require_cursor(connection.reference, cursor.sql_type, connection.scalar)
    if keyed is None:
        keyed = bool(description.primary_key)
    if source.null_cursor == "fail" and cursor.nullable:
        _refuse_nulls(connection, cursor)
    stored = low is not None
    start = starting_point(connection, cursor, low, source.last_watermark)
    bound = fix_upper_bound(connection, cursor, start, samples or [])
    nulls = source.null_cursor == "include" and cursor.nullable and (not stored or keyed)
    overlap_ms = bound.overlap_ms if stored and keyed else 0
    plan = _plan(connection, cursor, bound, start, nulls, overlap_ms)
    return _with_ties(plan, start if stored else None, known) if ties(cursor) and bound.high is not None else plan


def _with_ties(plan: PlannedInterval, watermark: str | None, known: str) -> PlannedInterval:
    interval = with_last_number(plan.interval, watermark, known)
    nothing = plan.empty and interval.low == plan.interval.low
    return plan.model_copy(update={"interval": interval, "empty": nothing, "reason": plan.reason if nothing else ""})


def find_cursor(description: Described, source: SourceTable) -> Cursor:
    """The delta column of what is read. Raises UnknownColumn, and UnsupportedSource for one that cannot bound a load."""
    table = description if isinstance(description, TableDescription) and not source.query else None
    where = table.qualified_name if table else "the query"
    # Further columns of a composite cursor decide nothing: rows that tie on the first are read together, low <= c < high.
    column, *_ = [
        find_column(description.columns, name, where) for name in (given(source.delta_column), *source.tie_columns)
    ]
    if cursor_kind(column.sql_type) is None:
        raise UnsupportedSource(
            f"{where}: column {column.name!r} of type {column.sql_type} cannot be a delta column: its values do not grow exactly",
            f"use a column of type {CURSOR_TYPES}, or a full load",
        )
    clock, note = ("utc", "") if is_of_period(column) else _clock(column, source)
    return Cursor(
        relation=table or given(source.query),
        where=where,
        name=column.name,
        sql_type=column.sql_type,
        nullable=column.nullable,
        clock=clock,
        clock_note=note,
        indexed=column.name in getattr(description, "indexed_columns", ()),
        unique=isinstance(description, TableDescription) and description.is_unique(column.name),
    )


def _clock(column: SourceColumn, source: SourceTable) -> tuple[Clock, str]:
    kind = cursor_kind(column.sql_type)
    is_plain = kind == "timestamp" and parse_sql_type(column.sql_type).base != "datetimeoffset"
    return clock_of(column, source.cursor_clock) if is_plain else (source.cursor_clock, "")


def _refuse_nulls(connection: SourceConnection, cursor: Cursor) -> None:
    count = connection.scalar(null_count_statement(cursor.relation, cursor.name, cursor.conditions), about=cursor.where)
    if count:
        raise UnsupportedSource(
            f"{cursor.where}: {count} rows have no {cursor.name!r}, and nullCursor is fail",
            "fill the column, or set nullCursor to include or exclude",
        )


def _plan(
    connection: SourceConnection, cursor: Cursor, bound: UpperBound, low: str | None, nulls: bool, overlap_ms: int
) -> PlannedInterval:
    kept = {"samples": list(bound.samples), "blocker": bound.blocker, "future_rows": bound.future_rows}
    kept |= {"wait_seconds": bound.wait_seconds, "news": bound.news}
    interval = Interval(
        column=cursor.name,
        sql_type=cursor.sql_type,
        low=low,
        high=bound.high,
        nulls=nulls,
        where=list(cursor.conditions),
        promise=bound.promise,
        notes=[*_notes(cursor, bound), *_clock_notes(bound, low, overlap_ms)],
    )
    if bound.high is None:
        return PlannedInterval(
            interval=interval, empty=True, reason=f"no safe bound yet: {bound.blocker or 'ask again'}", **kept
        )
    if low is not None and not is_before(low, bound.high, cursor.sql_type):
        return PlannedInterval(interval=interval, empty=True, reason=f"nothing is settled above {low}", **kept)
    if overlap_ms and low is not None:
        interval = interval.model_copy(update={"low": _overlapped(connection, cursor, low, overlap_ms)})
    return PlannedInterval(interval=interval, **kept)


def _notes(cursor: Cursor, bound: UpperBound) -> list[str]:
    notes = [f"{cursor.name}: {bound.promise}"] if bound.may_miss else []
    notes += [cursor.clock_note] if cursor.clock_note else []
    if not cursor.indexed and isinstance(cursor.relation, TableDescription) and cursor.relation.type == "table":
        where = f"{qualified(cursor.relation)} ({quote_identifier(cursor.name)})"
        notes.append(f"{cursor.name} leads no index: every load reads the whole table; CREATE INDEX ... ON {where}")
    if bound.blocker:
        notes.append(bound.blocker)
    return notes


def _clock_notes(bound: UpperBound, low: str | None, overlap_ms: int) -> list[str]:
    if low is None or bound.back_ms < NOTABLE_BACK_MS:
        return []
    went = f"the server's clock went back by {bound.back_ms / 1000:.0f} s since {low} was the watermark"
    if overlap_ms:
        return [f"{went}: so much more is read again below it, with the first load after the clock has passed it"]
    return [
        f"{went}: rows stamped meanwhile are below it, and without a key they are not read again; load the table anew"
    ]


def _overlapped(connection: SourceConnection, cursor: Cursor, low: str, overlap_ms: int) -> str:
    is_date = parse_sql_type(cursor.sql_type).base == "date"
    if low[:4] <= "1900" or (is_date and overlap_ms <= settings().guard_seconds * 1000):
        return low  # the type's own beginning; and a day is more than a guard
    return shifted(connection, low.removesuffix(" +00:00"), -overlap_ms, cursor.sql_type)
