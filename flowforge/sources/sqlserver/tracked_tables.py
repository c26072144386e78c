"""Which of many tables under Change Tracking have changed, asked at once: what is told apart needs no load.

One question brings every table's log, one for each TABLES_AT_ONCE tables says whether CHANGETABLE has a row since the version of
the load before, and one more what the logs are by then (clean-up does not wait for a snapshot). Guarantees: a table stands still
only where a load of its own would find nothing: the same source, all changes still there, none since. What is not known of a
table, or may not be asked by this login, leaves it to its load, which says so.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from flowforge.domain.errors import Fatal, SourceChanged
from flowforge.domain.own_columns import CHANGE_VERSION
from flowforge.sources.plans import LastRead, Position, StandsStill
from flowforge.sources.sqlserver.connection import SourceConnection
from flowforge.sources.sqlserver.consistency import SNAPSHOT
from flowforge.sources.sqlserver.database_facts import consistencies, server_identity
from flowforge.sources.sqlserver.identity import refuse_changed_source
from flowforge.sources.sqlserver.optional import optional_rows
from flowforge.sources.sqlserver.statement import quote_identifier
from flowforge.sources.sqlserver.tracked_changes import loaded_version
from flowforge.sources.sqlserver.tracked_log import TrackedLog, ask_logs, one_moment
from flowforge.sources.sqlserver.tracked_plan import NOTHING, SINCE, TYPE

# A branch of UNION ALL joins the log with the table of commits: some 5 KB of text, and a plan that is made in milliseconds.
TABLES_AT_ONCE = 50
COUNTER = "identity_current"
_CHANGED = "SELECT {n} AS place WHERE EXISTS (SELECT 1 FROM CHANGETABLE(CHANGES {table}, {version}) AS c)"
_COUNTER = "SELECT {n} AS place, CONVERT(varchar(40), IDENT_CURRENT({literal})) AS counter"
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
    does not allow SNAPSHOT, under which alone log and version go together. Raises what asking raises."""
    if SNAPSHOT not in consistencies(connection):
        return None
    server = server_identity(connection)
    with one_moment(connection):
        logs = ask_logs(connection)
        asked = [one for one in _asked(tables) if _is_known(one, logs, server)]
        unchanged = _unchanged(connection, asked, server)
        still = [one for one in asked if one.place in unchanged]
        again = ask_logs(connection)
    still = [one for one in still if _is_known(one, again, server)]
    if not still:
        return StandsStill({}, Position(CHANGE_VERSION, "0", TYPE))
    version = logs[still[0].name][1].version
    told = {one.place: (NOTHING.format(one.version, version), SINCE.format(one.version + 1, version)) for one in still}
    return StandsStill(told, Position(CHANGE_VERSION, str(version + 1), TYPE), _kept_seconds(connection))


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


def _unchanged(connection: SourceConnection, asked: Sequence[_Asked], server: Mapping[str, Any]) -> set[int]:
    """The places of the tables without a change, whose counters have not gone back either."""
    found: set[int] = set()
    for start in range(0, len(asked), TABLES_AT_ONCE):
        block = asked[start : start + TABLES_AT_ONCE]
        counted = [one for one in block if one.then.get(COUNTER) is not None]
        try:
            changed = {row["place"] for row in connection.rows(_UNION.join(map(_changed, block)))}
            rows = connection.rows(_UNION.join(map(_counter, counted))) if counted else []
        except Fatal:  # of one of them, whose own load says why
            continue
        counters = {row["place"]: {COUNTER: row["counter"]} for row in rows if row["counter"] is not None}
        same = (one for one in block if _is_same(one, {**server, "object_id": None, **counters.get(one.place, {})}))
        found |= {one.place for one in same} - changed
    return found


def _changed(one: _Asked) -> str:
    return _CHANGED.format(n=one.place, table=_written(one), version=one.version)


def _counter(one: _Asked) -> str:
    return _COUNTER.format(n=one.place, literal="N'" + _written(one).replace("'", "''") + "'")


def _written(one: _Asked) -> str:
    return ".".join(map(quote_identifier, one.name))


def _kept_seconds(connection: SourceConnection) -> int | None:
    rows = optional_rows(connection, _RETENTION)
    if not rows or not rows[0]["is_auto_cleanup_on"]:
        return None
    unit = _SECONDS.get(str(rows[0]["retention_period_units_desc"]).upper())
    return unit and int(rows[0]["retention_period"]) * unit
