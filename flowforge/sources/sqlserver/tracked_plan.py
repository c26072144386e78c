"""What a load by Change Tracking reads next: the table once, then what has changed since the version of the load before.

The position is a version, kept as any other bound: `low <= _change_version < high`, so that it stands for the first version that
is not loaded yet. The first load fixes `high` in a SNAPSHOT transaction before it reads a row: whatever is committed below it is
seen by every later read, and whatever is committed above comes with the next load, once more where the read has it already, which
changes nothing in a table that is merged by its key. So the read may be sliced, and needs no lock.

Guarantees: a table in which nothing has changed moves its position on, or clean-up would overtake it; changes that are not all
there any more stop the table, or make it be read anew, as the request wants it (`onGap`).
"""

from collections.abc import Sequence
from dataclasses import replace

from flowforge.domain.errors import ChangesLost, SourceChanged, UnsupportedSource
from flowforge.domain.interval import Interval
from flowforge.domain.own_columns import CHANGE_TYPE, CHANGE_VERSION
from flowforge.domain.source_columns import SourceColumn
from flowforge.sources.plans import Description, LastRead, Nothing, ReadPlan
from flowforge.sources.splits import fitting
from flowforge.sources.sqlserver.change_tracking import ask_database, ask_table, statements_for, why_never
from flowforge.sources.sqlserver.connection import SourceConnection
from flowforge.sources.sqlserver.consistency import SNAPSHOT
from flowforge.sources.sqlserver.description import TableDescription
from flowforge.sources.sqlserver.identity import refuse_changed_source
from flowforge.sources.sqlserver.recount import plan_counting
from flowforge.sources.sqlserver.slices import plan_change_slices, plan_slices
from flowforge.sources.sqlserver.tracked_changes import any_change_statement, loaded_version
from flowforge.sources.sqlserver.tracked_log import TrackedLog, ask_log, one_moment, readable

TYPE = "bigint"  # of versions
FIRST = (
    "exact: every row up to version {0} of the database; what is committed above it meanwhile comes with the next load"
)
SINCE = "exact: every insert, update and delete committed from version {0} up to version {1} of the database"
NOTHING = "nothing has changed since version {0}, up to version {1}"
FORK = "recovery_fork"


def tracked_columns(columns: Sequence[SourceColumn], table: TableDescription) -> list[SourceColumn]:
    """The columns as changes have them: all but the key's are NULL in a deletion. Raises UnsupportedSource for a table that
    cannot be tracked, or whose columns cannot be read so."""
    name = table.qualified_name
    if problem := why_never(table):
        raise UnsupportedSource(f"{name}: changeTracking: {problem}", "Load it by a delta column, or as a whole.")
    taken = [column.name for column in columns if column.name.lower() in (CHANGE_TYPE, CHANGE_VERSION)]
    if taken:
        raise UnsupportedSource(
            f"{name}: the column {taken[0]!r} has the name of one that changeTracking adds",
            "Give it another name in the lake (databaseConfig.rename), or leave it out (databaseConfig.columns.exclude).",
        )
    if any(column.graph_type is not None for column in table.columns):
        raise UnsupportedSource(
            f"{name}: changeTracking: a graph table's own columns cannot be joined with its changes",
            "Load it by a delta column, or as a whole.",
        )
    key = {column.lower() for column in table.primary_key}
    return [
        column if column.at_source.lower() in key else column.model_copy(update={"nullable": True})
        for column in columns
    ]


def plan_tracked(connection: SourceConnection, description: Description, last: LastRead) -> ReadPlan:
    """The next read of a table. Raises UnsupportedSource where it is not tracked, or not readable so, SourceChanged for another
    source, ChangesLost where changes are gone and the request wants to be told."""
    refuse_without_snapshot(connection, description)
    with one_moment(connection):
        return plan_in_snapshot(connection, description, last)


def refuse_without_snapshot(connection: SourceConnection, description: Description) -> None:
    """Raises UnsupportedSource where the database does not allow SNAPSHOT isolation."""
    if SNAPSHOT not in description.detail.offered:
        statements = ask_database(connection).statements
        raise UnsupportedSource(
            f"{description.name}: changeTracking reads under SNAPSHOT isolation, which the database does not allow",
            f"Run at the source: {'; '.join(statements)}.",
        )


def plan_in_snapshot(
    connection: SourceConnection, description: Description, last: LastRead, at: int | None = None
) -> ReadPlan:
    """The same in a transaction that is open; `at` is the version that all tables of it go up to."""
    table: TableDescription = description.detail.table
    _refuse_other_key(description, table)
    log = _asked(connection, table)
    if at is not None:
        log = log._replace(version=at)
    mark = last.position
    if mark is None:
        return _whole(connection, description, log, [])
    version = loaded_version(mark.value)
    renews = description.wanted.read.on_gap == "full_refresh"
    notes = _refuse_other_source(description, last, renews=renews)
    if lost := log.lost(version, last.identity) or (_other_fork(description, last) if renews else ""):
        return _lost(connection, description, log, lost, notes, renews=renews)
    changed = bool(connection.rows(any_change_statement(table, version), about=table.qualified_name))
    # Clean-up does not wait for a snapshot: what it has taken since would not be missed above.
    if lost := _asked(connection, table).lost(version, last.identity):
        return _lost(connection, description, log, lost, notes, renews=renews)
    found = _since(description, log, version, [*notes, *description.notes], changed=changed)
    return found if found.nothing or at is not None else _in_slices(connection, description, found)


def _asked(connection: SourceConnection, table: TableDescription) -> TrackedLog:
    log = ask_log(connection, table)
    if log is None or log.min_valid_version is None:
        database = ask_database(connection)
        return readable(table, log, statements_for(database, table, ask_table(connection, table)))
    return log


def _refuse_other_key(description: Description, table: TableDescription) -> None:
    wanted = {name.lower() for name in description.wanted.key}
    if wanted and wanted != {name.lower() for name in table.primary_key}:
        raise UnsupportedSource(
            f"{table.qualified_name}: silverConfig.primaryKey is {', '.join(description.wanted.key)}, and Change Tracking tells "
            f"rows apart by the table's own key: {', '.join(table.primary_key)}",
            "Leave silverConfig.primaryKey out.",
        )


def _refuse_other_source(description: Description, last: LastRead, *, renews: bool) -> list[str]:
    """Raises SourceChanged for another source, with what helps where no version of it means what it did; returns notes for the
    run. A table that is to be read anew after a gap is, after a restore, too."""
    facts = [description.identity, last.identity]
    now, then = [{k: v for k, v in one.items() if not (renews and k == FORK)} for one in facts]
    try:
        return refuse_changed_source(description.name, now, then)
    except SourceChanged as error:
        name = description.wanted.bronze_table
        raise SourceChanged(
            str(error),
            f"Load the whole table: flowforge watermark reset {name} --yes, then load again. If it is the same data with the "
            f"same versions (another name of the server): flowforge watermark accept {name}.",
        ) from None


def _other_fork(description: Description, last: LastRead) -> str:
    was, now = last.identity.get(FORK), description.identity.get(FORK)
    differs = was is not None and now is not None and was != now
    return "the database was restored, or failed over with a loss of data" if differs else ""


def _lost(
    connection: SourceConnection,
    description: Description,
    log: TrackedLog,
    lost: str,
    notes: list[str],
    *,
    renews: bool,
) -> ReadPlan:
    if renews:
        told = f"the table was read anew, since changes of it are lost: {lost} (onGap full_refresh)"
        return _whole(connection, description, log, [told, *notes])
    bronze_table = description.wanted.bronze_table
    raise ChangesLost(
        f"{description.name}: changes of it are lost: {lost}",
        f"flowforge watermark reset {bronze_table} --yes, then load again: that reads the whole table, and takes out what is "
        "gone. With databaseConfig.onGap full_refresh a load does so by itself; CHANGE_RETENTION should be longer than loads may "
        "stand still.",
    )


def _whole(connection: SourceConnection, description: Description, log: TrackedLog, notes: list[str]) -> ReadPlan:
    """The table as it is, with the version from which changes follow."""
    table, read = description.detail.table, description.wanted.read
    conditions = list(description.detail.conditions)
    counting = plan_counting(read, Interval(), table)
    splits = None
    if not read.allow_empty_refresh:
        splits = plan_slices(connection, table, Interval(where=conditions), description.detail.offered)
    splits = splits and fitting(splits.model_copy(update={"columns": description.columns, "counting": counting}))
    sliced = f"; read in {len(splits.ranges)} slices" if splits else ""
    interval = Interval(
        column=CHANGE_VERSION,
        sql_type=TYPE,
        high=str(log.version + 1),
        where=conditions,
        promise=FIRST.format(log.version) + sliced,
        notes=[*notes, *description.notes, *description.lacks],
    )
    identity = description.identity | log.identity
    return ReadPlan(interval, description.columns, splits, identity, counting=counting, detail=description.detail)


def _since(description: Description, log: TrackedLog, version: int, notes: list[str], *, changed: bool) -> ReadPlan:
    interval = Interval(
        column=CHANGE_VERSION,
        sql_type=TYPE,
        low=str(version + 1),
        high=str(log.version + 1),
        nulls=False,
        where=list(description.detail.conditions),
        promise=SINCE.format(version + 1, log.version),
        notes=[*notes, *description.lacks],
    )
    identity, table = description.identity | log.identity, description.detail.table
    counting = plan_counting(description.wanted.read, interval, table)
    plan = ReadPlan(interval, description.columns, None, identity, counting=counting, detail=description.detail)
    if changed and log.version > version:
        return plan
    reason = NOTHING.format(version, log.version)
    return replace(plan, nothing=Nothing(reason, notes, moves=log.version > version))


def _in_slices(connection: SourceConnection, description: Description, plan: ReadPlan) -> ReadPlan:
    """The plan; a large one by ranges of the keys that have changed, each read, and its log judged, by itself: a key that changes
    again meanwhile is left to the next load, wherever its range is."""
    splits = plan_change_slices(connection, description.detail.table, plan.interval)
    told = {"columns": plan.columns, "counting": plan.counting, "identity": plan.identity}
    splits = splits and fitting(splits.model_copy(update=told))
    if splits is None:
        return plan
    promise = f"{plan.interval.promise}; read in {len(splits.ranges)} slices, each under a SNAPSHOT of its own"
    return replace(plan, splits=splits, interval=plan.interval.model_copy(update={"promise": promise}))
