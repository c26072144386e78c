"""Which of many tables under Change Tracking have changed, asked at once: what is told apart needs no load.

One question brings every table's log, one more the identity counters, and one for each block of tables says whether CHANGETABLE
has a row since the version of the load before; a last one says what the logs are by then, since clean-up does not wait. A table
whose version is still the database's is not asked: nothing was committed since. Guarantees: a table stands still only where a
load of its own would find nothing: the same source, all changes still there, none since. What is not known of a table, or may
not be asked by this login, or was not asked in time, leaves it to its load, which says so.

Versions are parameters, and a table keeps its block however many others are asked beside it: so the server keeps the plan of a
block, where a text with the versions in it would be compiled, and kept, for each run anew.
"""

import math
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple
from zlib import crc32

from flowforge.domain.errors import FlowForgeError, SourceChanged
from flowforge.domain.own_columns import CHANGE_VERSION
from flowforge.runtime.time_limit import deadline
from flowforge.sources.plans import LastRead, Position, StandsStill
from flowforge.sources.sqlserver.connection import SourceConnection
from flowforge.sources.sqlserver.consistency import SNAPSHOT
from flowforge.sources.sqlserver.database_facts import consistencies, server_identity
from flowforge.sources.sqlserver.identity import refuse_changed_source
from flowforge.sources.sqlserver.optional import optional_rows
from flowforge.sources.sqlserver.statement import quote_identifier, quote_literal
from flowforge.sources.sqlserver.tracked_changes import loaded_version
from flowforge.sources.sqlserver.tracked_log import TrackedLog, ask_logs
from flowforge.sources.sqlserver.tracked_plan import NOTHING, SINCE, TYPE

# In a block, about, and no more on average: a branch of UNION ALL joins the log with the table of commits, some 5 KB of text, and
# is planned in milliseconds.
TABLES_AT_ONCE = 50
CLOSING_SECONDS = 2.0  # what is left for the last question
COUNTER = "identity_current"
_CHANGED = "SELECT {n} AS place WHERE EXISTS (SELECT 1 FROM CHANGETABLE(CHANGES {table}, @v{n}) AS c)"
_COUNTERS = """SELECT s.name AS schema_name, o.name AS object_name,
CONVERT(varchar(40), IDENT_CURRENT(QUOTENAME(s.name) + N'.' + QUOTENAME(o.name))) AS counter
FROM sys.change_tracking_tables AS t
JOIN sys.objects AS o ON o.object_id = t.object_id
JOIN sys.schemas AS s ON s.schema_id = o.schema_id"""
_UNION = "\nUNION ALL\n"
_RETENTION = """SELECT d.retention_period, d.retention_period_units_desc, d.is_auto_cleanup_on
FROM sys.change_tracking_databases AS d WHERE d.database_id = DB_ID()"""
_SECONDS = {"MINUTES": 60, "HOURS": 3_600, "DAYS": 86_400}


class _Asked(NamedTuple):
    place: int
    name: tuple[str, str]
    version: int
    then: Mapping[str, Any]


def tables_without_changes(
    connection: SourceConnection, tables: Sequence[tuple[tuple[str, str], LastRead]]
) -> StandsStill | None:
    """Of tables (schema and name, as the catalog spells them) those without a change since their version; None where the database
    does not allow SNAPSHOT, under which no writer is waited for. What one block's question raises leaves out its tables; raises
    what asking for the logs raises."""
    if SNAPSHOT not in consistencies(connection):
        return None
    server = server_identity(connection)
    with _in_snapshots(connection):
        logs = ask_logs(connection)
        # Of that moment: what each block sees is later, and so has all that was committed up to it.
        version = min((log.version for _, log in logs.values()), default=0)
        known = [one for one in _asked(tables) if one.version <= version and _is_known(one, logs, server)]
        asked, unasked = _with_their_counters(connection, known)
        still = [one for one in asked if one.version == version]
        unchanged, more = _unchanged(connection, _blocks([one for one in asked if one.version < version]))
        again = ask_logs(connection)
    still = [one for one in still + unchanged if _is_known(one, again, server)]
    told = {one.place: (NOTHING.format(one.version, version), SINCE.format(one.version + 1, version)) for one in still}
    position = Position(CHANGE_VERSION, str(version + 1), TYPE)
    return StandsStill(told, position, _kept_seconds(connection) if still else None, "; ".join([*unasked, *more]))


@contextmanager
def _in_snapshots(connection: SourceConnection) -> Iterator[None]:
    """Each statement of the block sees what was committed when it began, and waits for no writer. In no transaction: a statement
    that fails would take the others with it."""
    connection.run("SET TRANSACTION ISOLATION LEVEL SNAPSHOT")
    try:
        yield
    finally:
        with suppress(FlowForgeError):
            connection.run("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")


def _asked(tables: Sequence[tuple[tuple[str, str], LastRead]]) -> list[_Asked]:
    positions = [(place, name, last, last.position) for place, (name, last) in enumerate(tables)]
    return [_Asked(n, name, loaded_version(at.value), last.identity) for n, name, last, at in positions if at]


def _is_known(one: _Asked, logs: Mapping[tuple[str, str], tuple[int, TrackedLog]], server: Mapping[str, Any]) -> bool:
    """Whether the table is the one that was loaded, with all changes since then."""
    if one.name not in logs:
        return False
    object_id, log = logs[one.name]
    return _is_same(one, {**server, "object_id": object_id}) and not log.lost(one.version, one.then)


def _is_same(one: _Asked, now: dict[str, Any]) -> bool:
    try:
        return not refuse_changed_source(".".join(one.name), now, dict(one.then))
    except SourceChanged:
        return False


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
    return [one for one in known if one not in counted or _is_same(one, counters.get(one.name, {}))], []


def _blocks(asked: Sequence[_Asked]) -> list[list[_Asked]]:
    """The tables in blocks by their names."""
    count = 1
    while count * TABLES_AT_ONCE < len(asked):
        count *= 2  # seldom another: with it most tables change their block
    found = defaultdict(list)
    for one in asked:
        found[crc32(".".join(one.name).encode()) % count].append(one)
    return [found[number] for number in sorted(found)]


def _unchanged(connection: SourceConnection, blocks: Sequence[Sequence[_Asked]]) -> tuple[list[_Asked], list[str]]:
    """The tables without a change, and why others could not be asked."""
    found: list[_Asked] = []
    unasked: list[str] = []
    slowest = 0.0
    for number, block in enumerate(blocks):
        began = time.monotonic()
        if (deadline() or math.inf) - began < CLOSING_SECONDS + 2 * slowest:
            return found, [*unasked, f"{sum(map(len, blocks[number:]))} tables: no time was left for them"]
        try:
            changed = {row["place"] for row in connection.rows(_question(block))}
        except (
            FlowForgeError
        ) as error:  # of one of them, whose own load says why; or of the server, and the next may be heard
            unasked.append(f"{len(block)} tables: {error}")
            continue
        finally:
            slowest = max(slowest, time.monotonic() - began)
        found += [one for n, one in enumerate(block) if n not in changed]
    return found, unasked


def _question(block: Sequence[_Asked]) -> str:
    """Gives the places of those tables of a block that have changed, in a text that does not tell their versions."""
    branches = (_CHANGED.format(n=n, table=".".join(map(quote_identifier, one.name))) for n, one in enumerate(block))
    declared = ", ".join(f"@v{n} bigint" for n in range(len(block)))
    values = ", ".join(f"@v{n} = {one.version}" for n, one in enumerate(block))
    return f"EXEC sp_executesql {quote_literal(_UNION.join(branches))}, N'{declared}', {values}"


def _kept_seconds(connection: SourceConnection) -> int | None:
    rows = optional_rows(connection, _RETENTION)
    if not rows or not rows[0]["is_auto_cleanup_on"]:
        return None
    unit = _SECONDS.get(str(rows[0]["retention_period_units_desc"]).upper())
    return unit and int(rows[0]["retention_period"]) * unit
