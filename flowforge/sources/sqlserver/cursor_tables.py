"""Which of many tables have a row at or above their watermarks, asked at once: the others need no load.

Of tables that are read by a column with a time. The catalog is asked about all of them together, and one question for each block
of tables says whether there is a row from the watermark on, with the overlap that a load of its own would read again. Guarantees:
a table stands still only where its own load would find nothing: the same source, the same definition of the table, a clock that
has not been put back, no row and no NULL there. Its watermark stays, so a row that is passed over now is found by the next
question. What is not known of a table leaves it to its load; so does a reading of the clock that was kept more than six hours ago
(`server_clock.KEPT_MS`), so that every table is looked at by itself that often, its sentinel rows as well.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from events.targets import SourceTable
from flowforge.runtime.settings import settings
from flowforge.sources.plans import LoadedTable, StandsStill
from flowforge.sources.sqlserver import catalog_sql
from flowforge.sources.sqlserver.any_rows import SMALL_ROWS
from flowforge.sources.sqlserver.asked_together import is_dated
from flowforge.sources.sqlserver.bounds import PlannedInterval
from flowforge.sources.sqlserver.connection import SourceConnection
from flowforge.sources.sqlserver.consistency import LOCKED, SNAPSHOT
from flowforge.sources.sqlserver.database_facts import consistencies, server_identity
from flowforge.sources.sqlserver.description import TableDescription
from flowforge.sources.sqlserver.in_blocks import Branch, in_snapshots, is_same, without_a_change
from flowforge.sources.sqlserver.optional import optional_rows
from flowforge.sources.sqlserver.server_clock import ServerClock, compared, read_clock
from flowforge.sources.sqlserver.sql_types import convert_expression, cursor_kind, floor_literal, parse_sql_type
from flowforge.sources.sqlserver.statement import PASSING_LOCKED, quote_identifier, quote_literal
from flowforge.sources.sqlserver.upper_bound import DST_OVERLAP_MS, EXACT_TIMESTAMP, promises

NOTHING = "no rows from {} on"
MODIFIED = "modified"  # of a cursor's memory: when the definition of its table was last changed
COUNTER = "identity_current"
IDS_AT_ONCE = 500
QUICK_MS, MOST_READINGS = 100, 3
MARGIN_MS = 1_000  # what a clock may have drifted that still counts as steady, and more
_EARLIEST = "1901"  # years; below there are the beginnings of types
_NEW = "SELECT {n} AS place WHERE EXISTS (SELECT 1 FROM {table}{hint} WHERE {column} >= {bound}{nulls})"


class _Asked(NamedTuple):
    """A table, with the place at which it is asked for, and from where on a load would read it."""

    place: int
    table: LoadedTable
    start: str

    @property
    def object_id(self) -> int:
        return int(self.table.last.identity["object_id"])


class _Catalog(NamedTuple):
    """What the catalog says of tables, by their numbers."""

    tables: Mapping[int, Mapping[str, Any]]
    leading: Mapping[int, set[str]]
    rows: Mapping[int, int]
    counters: Mapping[int, str | None]
    filtered: set[int]


def tables_without_new_rows(connection: SourceConnection, tables: Sequence[LoadedTable]) -> StandsStill:
    """Of tables that are read by a column those in which no row is new. What one block's question raises leaves out its tables;
    raises what asking for clock and catalog raises."""
    dated = [n for n, table in enumerate(tables) if is_dated(table)]
    if not dated:
        return StandsStill({})
    consistency = consistencies(connection)[0]
    server, clock, promise = server_identity(connection), _quick_clock(connection), promises(connection)["timestamp"]
    exact = promise == EXACT_TIMESTAMP
    keep_ms = round((settings().guard_seconds if exact else settings().cursor_lag_seconds) * 1000)
    asked = list(_asked({n: tables[n] for n in dated}, clock, keep_ms))
    catalog = _ask_catalog(connection, [one.object_id for one in asked])
    known = [one for one in asked if _is_known(one, catalog, server)]
    hint = PASSING_LOCKED if consistency == LOCKED else ""
    in_snapshot = consistency == SNAPSHOT
    with in_snapshots(connection) if in_snapshot else nullcontext():
        still, unasked = without_a_change(
            connection, known, lambda one: one.table.name, lambda n, one: _branch(n, one, hint), in_snapshot
        )
    told = {
        one.place: (NOTHING.format(one.table.last.position.value), promise) for one in still if one.table.last.position
    }
    return StandsStill(told, unasked="; ".join(unasked))


def _quick_clock(connection: SourceConnection) -> ServerClock:
    """The server's clock; an answer that took long, which looks like a clock that was moved, is asked for again."""
    readings: list[tuple[int, ServerClock]] = []
    while len(readings) < MOST_READINGS:
        clock = read_clock(connection)
        readings.append((time.time_ns() // 1_000_000 - clock.ours_ms, clock))
        if readings[-1][0] <= QUICK_MS:
            break
    return min(readings, key=lambda one: one[0])[1]


def with_definition(
    plan: PlannedInterval, table: TableDescription | None, memory: Sequence[dict[str, Any]]
) -> PlannedInterval:
    """The plan of a load, whose memory for the next one tells when the definition of its table was last changed, too."""
    modified, sql_type = _text(table.facts.get("modify_date")) if table else None, plan.interval.sql_type
    if modified is None or sql_type is None or cursor_kind(sql_type) != "timestamp" or not plan.samples:
        return plan
    samples = [*plan.samples[:-1], plan.samples[-1] | {MODIFIED: modified}]
    is_news = plan.news or not memory or memory[-1].get(MODIFIED) != modified
    return plan.model_copy(update={"samples": samples, "news": is_news})


def _asked(tables: Mapping[int, LoadedTable], clock: ServerClock, keep_ms: int) -> Iterator[_Asked]:
    """Those, by their places, whose watermark was taken by a clock that has not been put back since."""
    for place, table in tables.items():
        at = table.last.position
        if not at or not at.type or not compared(clock, at.value, table.last.memory).is_steady:
            continue
        start = _start(at.value, at.type, table.read, clock, keep_ms) if _is_keyed(table) else at.value
        if start:
            yield _Asked(place, table, start)


def _is_keyed(table: LoadedTable) -> bool:
    """Whether silver may tell rows apart, so that a load reads some of them again."""
    return bool(table.key or table.last.identity.get("primary_key", True))


def _start(low: str, sql_type: str, read: SourceTable, clock: ServerClock, keep_ms: int) -> str | None:
    """Somewhat below where a load would begin to read; None where that cannot be said."""
    if low < _EARLIEST:
        return None
    which = "utc" if parse_sql_type(sql_type).base == "datetimeoffset" else read.cursor_clock
    overlap_ms = max(keep_ms, DST_OVERLAP_MS if which != "utc" and clock.is_local else 0) + MARGIN_MS
    moment = datetime.fromisoformat(low.removesuffix(" +00:00")[:26]) - timedelta(milliseconds=overlap_ms)
    return floor_literal(f"{moment.isoformat(' ', 'microseconds')}0", sql_type)


def _ask_catalog(connection: SourceConnection, object_ids: Sequence[int]) -> _Catalog:
    tables, leading, rows, counters = {}, {}, {}, {}
    for first in range(0, len(object_ids), IDS_AT_ONCE):
        ids = ", ".join(map(str, object_ids[first : first + IDS_AT_ONCE]))
        tables |= {row["object_id"]: row for row in connection.rows(catalog_sql.TABLES_OF.format(ids=ids))}
        for row in connection.rows(catalog_sql.LEADING_OF.format(ids=ids)):
            leading.setdefault(row["object_id"], set()).add(row["name"])
        sizes = optional_rows(connection, catalog_sql.ROWS_OF.format(ids=ids)) or []
        rows |= {row["object_id"]: int(row["row_estimate"]) for row in sizes if row["row_estimate"] is not None}
        numbers = optional_rows(connection, catalog_sql.COUNTERS_OF.format(ids=ids)) or []
        counters |= {row["object_id"]: row["counter"] for row in numbers}
    filters = optional_rows(connection, catalog_sql.ROW_FILTERS) or []
    return _Catalog(tables, leading, rows, counters, {row["target_object_id"] for row in filters})


def _is_known(one: _Asked, catalog: _Catalog, server: Mapping[str, Any]) -> bool:
    """Whether it is the table that was loaded, as it was defined then, and the question costs little."""
    table, last, now = one.table, one.table.last, catalog.tables.get(one.object_id)
    if now is None or (now["schema_name"], now["name"]) != table.name or one.object_id in catalog.filtered:
        return False
    # The writers of the first may be hidden, so that more is read again; the others have no locks to pass over.
    if now.get("is_memory_optimized") or now.get("is_external"):
        return False
    defined = last.memory[-1].get(MODIFIED) if last.memory else None
    if defined is None or defined != _text(now.get("modify_date")):
        return False
    facts = {**server, "object_id": one.object_id, COUNTER: catalog.counters.get(one.object_id)}
    if not is_same(table.name, facts, last.identity):
        return False
    column = last.position.cursor if last.position else ""
    is_small = catalog.rows.get(one.object_id, SMALL_ROWS + 1) <= SMALL_ROWS
    return is_small or column in catalog.leading.get(one.object_id, ())


def _branch(n: int, one: _Asked, hint: str) -> Branch:
    at, read = one.table.last.position, one.table.read
    assert at is not None and at.type is not None  # noqa: S101  _asked passes on no other
    column, bound = quote_identifier(at.cursor), convert_expression(f"@v{n}", at.type)
    counts_nulls = read.null_cursor == "fail" or (read.null_cursor == "include" and _is_keyed(one.table))
    nulls = f" OR {column} IS NULL" if counts_nulls else ""
    table = ".".join(map(quote_identifier, one.table.name))
    text = _NEW.format(n=n, table=table, hint=hint, column=column, bound=bound, nulls=nulls)
    return Branch(text, "varchar(40)", quote_literal(one.start))


def _text(moment: Any) -> str | None:
    return None if moment is None else str(moment)
