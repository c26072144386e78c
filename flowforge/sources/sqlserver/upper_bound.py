"""The upper end of an interval, fixed before the first row is read.

Guarantees: it comes from the server's clock, its row versions or its own MAX, never from the client, and a row that
commits later has its cursor at or above it, as long as the promise holds that comes with it. Order: clock, then open
transactions, and only then may reading start.
"""

from collections.abc import Sequence
from typing import NamedTuple

from flowforge.domain.errors import UnsupportedSource
from flowforge.domain.interval import Interval, RowCondition
from flowforge.runtime.settings import settings
from flowforge.sources.sqlserver.connection import SourceConnection
from flowforge.sources.sqlserver.integer_samples import (
    Sample,
    bound_above,
    listing,
    newest_settled,
    remember,
    taken_before,
)
from flowforge.sources.sqlserver.optional import refused, rows_or_refusal
from flowforge.sources.sqlserver.server_clock import behind_of, moved_text, read_clock
from flowforge.sources.sqlserver.sql_text import Source, count_statement, newest_statement, shift_statement
from flowforge.sources.sqlserver.sql_types import cursor_kind, floor_literal, lowest_literal, parse_sql_type
from flowforge.sources.sqlserver.statement import Statement
from flowforge.sources.sqlserver.transactions import (
    OpenTransaction,
    OpenTransactions,
    is_writable,
    open_transactions,
)
from flowforge.sources.sqlserver.writers import STATEMENT_WRITERS, Writers, natives_at_work, refuse_foreign_row_versions

DST_OVERLAP_MS = 65 * 60_000  # what a local clock that is put back an hour can hide, and a little
DAY_MS = 24 * 3_600_000
NOTABLE_AGE_MS = 60_000  # from this age on, a transaction that holds the bound back is reported

_ROWVERSION = "SELECT CONVERT(varchar(18), MIN_ACTIVE_ROWVERSION(), 1) AS literal"

EXACT_ROWVERSION = "exact: every change committed below row version {high}; deletes are not seen"
ANY_ROWVERSION = "exact: every change that is committed; deletes are not seen"
NO_ROWVERSION = "none: this is a read-only replica, where row versions have no safe bound"
EXACT_TIMESTAMP = (
    "exact for stamps that the writing statement takes from this server's clock (a DEFAULT, GETDATE() in it, a trigger)"
)
EXACT_INTEGER = (
    "exact for numbers that only grow and are drawn inside the transaction that commits them, as IDENTITY's are"
)
LAGGING = "{lag} s behind the clock, with as much overlap: may miss a transaction that stays open for longer ({hidden})"
SAMPLED = "{lag} s behind: may miss numbers drawn by a transaction that stays open for longer ({hidden})"
REPLICA = "a read-only replica does not know the primary's open transactions; read from the primary to make it exact"
LONGEST_WAIT_SECONDS = 900  # a message cannot be delayed for longer


class UpperBound(NamedTuple):
    """`high` None: no bound could be proved yet. `overlap_ms` is how far below the watermark reading starts again, `back_ms` how
    much of it is owed to a clock that was put back. `samples` are kept for the next bound of the same cursor.

    `future_rows` are stamped at least a day beyond the clock: no zone explains that, and they wait until it is true.
    `may_miss`: rows that commit late may be below it, as the promise says. `wait_seconds` tells when asking again will give a
    first bound, where only time can. `news`: the samples tell more than those that are kept already.
    """

    high: str | None
    promise: str
    overlap_ms: int = 0
    back_ms: int = 0
    future_rows: int = 0
    samples: tuple[Sample, ...] = ()
    blocker: str | None = None
    wait_seconds: int | None = None
    may_miss: bool = False
    news: bool = True


class Cursor(NamedTuple):
    """A delta column and what it belongs to: a table or a query's text, named `where` in messages; `conditions` are the request's
    on the rows."""

    relation: Source
    where: str
    name: str
    sql_type: str
    nullable: bool
    clock: str
    indexed: bool
    unique: bool = True
    conditions: tuple[RowCondition, ...] = ()
    writers: Writers = STATEMENT_WRITERS
    clock_note: str = ""


def fix_upper_bound(connection: SourceConnection, cursor: Cursor, low: str | None, samples: list[Sample]) -> UpperBound:
    """Takes the bound for a batch that starts now, above the watermark `low`; None when nothing was loaded before.

    Raises UnsupportedSource for row versions on a read-only replica.
    """
    kind = cursor_kind(cursor.sql_type)
    writable = is_writable(connection)
    if kind == "rowversion":
        return _rowversion(connection, cursor, writable)
    if kind == "timestamp":
        return _timestamp(connection, cursor, writable, low, samples)
    return _integer(connection, cursor, writable, low is None, samples)


def promises(connection: SourceConnection) -> dict[str, str]:
    """What a bound of each kind of cursor promises to this login on this server. Raises what asking raises."""
    writable = is_writable(connection)
    seen = open_transactions(connection) if writable else REPLICA
    hidden = None if isinstance(seen, OpenTransactions) else seen
    told = {kind: _promise(kind, hidden) for kind in ("timestamp", "integer")}
    return told | {"rowversion": ANY_ROWVERSION if writable else NO_ROWVERSION}


def _promise(kind: str, hidden: str | None) -> str:
    if hidden is None:
        return EXACT_TIMESTAMP if kind == "timestamp" else EXACT_INTEGER
    return (LAGGING if kind == "timestamp" else SAMPLED).format(lag=settings().cursor_lag_seconds, hidden=hidden)


class _Seen(NamedTuple):
    """The transactions that may still write, as far as they are seen, and why not all are; see OpenTransactions."""

    writing: list[OpenTransaction]
    behind: dict[str, int]
    hidden: str | None


def _seen(
    connection: SourceConnection,
    cursor: Cursor,
    writable: bool,
    behind: dict[str, int] | None = None,
    step_ms: int = 0,
    ahead: Sequence[Statement] = (),
) -> _Seen:
    found = open_transactions(connection, behind, step_ms, cursor.writers, ahead) if writable else REPLICA
    if not isinstance(found, OpenTransactions):
        return _Seen([], {}, found)
    return _Seen(found.writing, found.behind, natives_at_work(connection) if cursor.writers.in_memory else None)


def shifted(connection: SourceConnection, server_time: str, milliseconds: int, sql_type: str) -> str:
    """A server time (style 121) moved and floored to the cursor's unit."""
    return floor_literal(_moved(connection, server_time, milliseconds), sql_type)


def _moved(connection: SourceConnection, server_time: str, milliseconds: int) -> str:
    return moved_text(server_time, milliseconds) or connection.scalar(shift_statement(server_time, milliseconds))


def _rowversion(connection: SourceConnection, cursor: Cursor, writable: bool) -> UpperBound:
    if not writable:
        raise UnsupportedSource(
            f"{cursor.where} at {connection.where} is on a read-only replica, where row versions have no safe bound",
            "read from the primary, or use a timestamp column",
        )
    refuse_foreign_row_versions(connection, cursor.relation, cursor.name, cursor.where)
    found = rows_or_refusal(connection, _ROWVERSION)
    if not isinstance(found, list):
        remedy = "use a timestamp column, or a full load"
        raise refused(
            connection, f"{cursor.where}: MIN_ACTIVE_ROWVERSION, the safe bound of row versions,", found, remedy
        )
    high = found[0]["literal"]
    return UpperBound(high, EXACT_ROWVERSION.format(high=high))


def _timestamp(
    connection: SourceConnection, cursor: Cursor, writable: bool, low: str | None, samples: list[Sample]
) -> UpperBound:
    clock = read_clock(connection, low, samples)
    which = "utc" if parse_sql_type(cursor.sql_type).base == "datetimeoffset" else cursor.clock
    now, back = clock.now(which), clock.back_ms(which)
    # A zone without an offset now may have had one in summer: that its clock went back then is seen, as any other step.
    overlap = DST_OVERLAP_MS if which != "utc" and clock.is_local else 0
    counting = _future_count(connection, cursor, now)
    others, behind, hidden = _seen(connection, cursor, writable, behind_of(samples), clock.step_ms, counting)
    keep = round((settings().guard_seconds if hidden is None else settings().cursor_lag_seconds) * 1000)
    oldest = others[0].age_ms if others else 0
    return UpperBound(
        shifted(connection, now, -(oldest + keep), cursor.sql_type),
        _promise("timestamp", hidden),
        overlap_ms=max(overlap, keep + back),
        back_ms=back,
        future_rows=sum(connection.scalar(question, about=cursor.where) for question in counting),
        samples=(clock.memory(low, behind),),
        blocker=_blocker(others, NOTABLE_AGE_MS),
        may_miss=hidden is not None,
        news=bool(behind) or not clock.is_steady,
    )


def _integer(
    connection: SourceConnection, cursor: Cursor, writable: bool, first: bool, samples: list[Sample]
) -> UpperBound:
    newest = connection.scalar(newest_statement(cursor.relation, cursor.name, cursor.sql_type), about=cursor.where)
    now = read_clock(connection).utc
    others, _, hidden = _seen(connection, cursor, writable)
    sample = {"max": newest, "open": [t.id for t in others], "at": now, "writers": list(cursor.writers)}
    kept = remember(listing(samples, cursor.writers), sample)
    lag = settings().cursor_lag_seconds
    trusted = kept if hidden is None else taken_before(kept, _moved(connection, now, -lag * 1000))
    settled = newest_settled(trusted, sample["open"])
    blocker = None if settled is sample or (hidden is not None and settled) else _blocker(others, 0)
    if hidden is not None and not settled:
        blocker = blocker or f"numbers drawn in the last {lag} s wait for transactions that nobody can see"
    high = bound_above(settled, lowest_literal(cursor.sql_type)) if settled else None
    wait = min(lag + 1, LONGEST_WAIT_SECONDS) if first and hidden and not settled else None
    promise = _promise("integer", hidden)
    return UpperBound(high, promise, samples=tuple(kept), blocker=blocker, wait_seconds=wait, may_miss=bool(hidden))


def _future_count(connection: SourceConnection, cursor: Cursor, now: str) -> list[Statement]:
    """The question how many rows are stamped a day or more beyond the clock; none where counting would read the whole table."""
    if not cursor.indexed:
        return []
    tomorrow = shifted(connection, now, DAY_MS, cursor.sql_type)
    shape = {"column": cursor.name, "sql_type": cursor.sql_type, "where": list(cursor.conditions)}
    beyond = Interval(**shape, low=tomorrow, nulls=False)
    return [count_statement(cursor.relation, beyond)]


def _blocker(others: list[OpenTransaction], from_age_ms: int) -> str | None:
    return f"{others[0].summary} holds the bound back" if others and others[0].age_ms >= from_age_ms else None
