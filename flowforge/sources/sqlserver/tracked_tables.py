"""Which of many tables under Change Tracking have changed, asked at once: what is told apart needs no load.

One question brings every table's log, one more the identity counters, and one for each block of tables says whether CHANGETABLE
has a row since the version of the load before; a last one says what the logs are by then, since clean-up does not wait. A table
whose version is still the database's is not asked: nothing was committed since. Guarantees: a table stands still only where a
load of its own would find nothing: the same source, all changes still there, none since. What is not known of a table, or may
not be asked by this login, or was not asked in time, leaves it to its load, which says so.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from flowforge.domain.errors import FlowForgeError
from flowforge.domain.own_columns import CHANGE_VERSION
from flowforge.sources.plans import LoadedTable, Position, StandsStill
from flowforge.sources.sqlserver.connection import SourceConnection
from flowforge.sources.sqlserver.consistency import SNAPSHOT
from flowforge.sources.sqlserver.database_facts import consistencies, server_identity
from flowforge.sources.sqlserver.in_blocks import CLOSING_SECONDS, Branch, in_snapshots, is_same, without_a_change
from flowforge.sources.sqlserver.optional import optional_rows
from flowforge.sources.sqlserver.statement import quote_identifier
from flowforge.sources.sqlserver.tracked_changes import loaded_version
from flowforge.sources.sqlserver.tracked_log import TrackedLog, ask_logs
from flowforge.sources.sqlserver.tracked_plan import NOTHING, SINCE, TYPE

COUNTER = "identity_current"
_CHANGED = "SELECT {n} AS place WHERE EXISTS (SELECT 1 FROM CHANGETABLE(CHANGES {table}, @v{n}) AS c)"
_COUNTERS = """SELECT s.name AS schema_name, o.name AS object_name,
CONVERT(varchar(40), IDENT_CURRENT(QUOTENAME(s.name) + N'.' + QUOTENAME(o.name))) AS counter
FROM sys.change_tracking_tables AS t
JOIN sys.objects AS o ON o.object_id = t.object_id
JOIN sys.schemas AS s ON s.schema_id = o.schema_id"""
_RETENTION = """SELECT d.retention_period, d.retention_period_units_desc, d.is_auto_cleanup_on
FROM sys.change_tracking_databases AS d WHERE d.database_id = DB_ID()"""
_SECONDS = {"MINUTES": 60, "HOURS": 3_600, "DAYS": 86_400}


class _Asked(NamedTuple):
    place: int
    name: tuple[str, str]
    version: int
    then: Mapping[str, Any]


def tables_without_changes(connection: SourceConnection, tables: Sequence[LoadedTable]) -> StandsStill | None:
    """Of tables under Change Tracking those without a change since their version; None where the database
    does not allow SNAPSHOT, under which no writer is waited for. What one block's question raises leaves out its tables; raises
    what asking for the logs raises."""
    if SNAPSHOT not in consistencies(connection):
        return None
    server = server_identity(connection)
    with in_snapshots(connection):
        began = time.monotonic()
        logs = ask_logs(connection)
        # They are asked for again, on a server that is busy by then.
        closing = max(CLOSING_SECONDS, 3 * (time.monotonic() - began))
        # Of that moment: what each block sees is later, and so has all that was committed up to it.
        version = min((log.version for _, log in logs.values()), default=0)
        known = [one for one in _asked(tables) if one.version <= version and _is_known(one, logs, server)]
        asked, unasked = _with_their_counters(connection, known)
        still = [one for one in asked if one.version == version]
        behind = [one for one in asked if one.version < version]
        unchanged, more = without_a_change(connection, behind, lambda one: one.name, _branch, True, closing)
        again = ask_logs(connection)
    still = [one for one in still + unchanged if _is_known(one, again, server)]
    told = {one.place: (NOTHING.format(one.version, version), SINCE.format(one.version + 1, version)) for one in still}
    position = Position(CHANGE_VERSION, str(version + 1), TYPE)
    return StandsStill(told, position, _kept_seconds(connection) if still else None, "; ".join([*unasked, *more]))


def _asked(tables: Sequence[LoadedTable]) -> list[_Asked]:
    positions = [(place, one, one.last.position) for place, one in enumerate(tables)]
    return [_Asked(n, one.name, loaded_version(at.value), one.last.identity) for n, one, at in positions if at]


def _is_known(one: _Asked, logs: Mapping[tuple[str, str], tuple[int, TrackedLog]], server: Mapping[str, Any]) -> bool:
    """Whether the table is the one that was loaded, with all changes since then."""
    if one.name not in logs:
        return False
    object_id, log = logs[one.name]
    return is_same(one.name, {**server, "object_id": object_id}, one.then) and not log.lost(one.version, one.then)


def _with_their_counters(connection: SourceConnection, known: list[_Asked]) -> tuple[list[_Asked], list[str]]:
    """The tables whose identity counters have not gone back, and why others could not be asked for theirs."""
    counted = [one for one in known if one.then.get(COUNTER) is not None]
    if not counted:
        return known, []
    try:
        rows = connection.rows(_COUNTERS)
    except FlowForgeError as error:
        return [one for one in known if one not in counted], [f"{len(counted)} tables: {error}"]
    counters = {(row["schema_name"], row["object_name"]): {COUNTER: row["counter"]} for row in rows}
    return [one for one in known if one not in counted or is_same(one.name, counters.get(one.name, {}), one.then)], []


def _branch(n: int, one: _Asked) -> Branch:
    table = ".".join(map(quote_identifier, one.name))
    return Branch(_CHANGED.format(n=n, table=table), "bigint", str(one.version))


def _kept_seconds(connection: SourceConnection) -> int | None:
    rows = optional_rows(connection, _RETENTION)
    if not rows or not rows[0]["is_auto_cleanup_on"]:
        return None
    unit = _SECONDS.get(str(rows[0]["retention_period_units_desc"]).upper())
    return unit and int(rows[0]["retention_period"]) * unit
