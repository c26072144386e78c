"""The questions of a load, over one connection: what is there, and which part of it is read next."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any

from events.targets import ConnectionReference
from flowforge.domain.errors import SourceChanged
from flowforge.domain.interval import Interval
from flowforge.domain.own_columns import CHANGE_VERSION
from flowforge.domain.slice_plan import SlicePlan
from flowforge.sources.base import Moment
from flowforge.sources.plans import Description, Estimate, LastRead, LoadedTable, Nothing, ReadPlan, StandsStill, Wanted
from flowforge.sources.splits import fitting
from flowforge.sources.sqlserver.any_rows import holds_no_row, is_cheap, told_outside
from flowforge.sources.sqlserver.bounds import PlannedInterval, plan_interval
from flowforge.sources.sqlserver.catalog import expand_pattern, list_tables
from flowforge.sources.sqlserver.change_tracking import told_of_database
from flowforge.sources.sqlserver.connection import SourceConnection, connect
from flowforge.sources.sqlserver.consistency import promise_of_keys
from flowforge.sources.sqlserver.cursor_tables import with_definition
from flowforge.sources.sqlserver.database_facts import connection_facts
from flowforge.sources.sqlserver.description import find_column
from flowforge.sources.sqlserver.estimates import estimate_of
from flowforge.sources.sqlserver.identity import known_rows, refuse_changed_source
from flowforge.sources.sqlserver.inspection import inspect, own_columns
from flowforge.sources.sqlserver.recount import plan_counting
from flowforge.sources.sqlserver.slices import plan_slices
from flowforge.sources.sqlserver.standing_still import standing_still
from flowforge.sources.sqlserver.tracked_plan import plan_tracked
from flowforge.sources.sqlserver.windows import plan_window, refuse_unread_column
from flowforge.sources.target import Credentials


class SqlServerSession:
    """See `base.Session`."""

    def __init__(self, connection: SourceConnection):
        self.connection = connection

    def test(self) -> dict[str, Any]:
        """Version, names, login, TLS, isolation, whether bounds can be exact, and Change Tracking."""
        return connection_facts(self.connection) | {"change_tracking": told_of_database(self.connection)}

    def tables(self) -> list[dict[str, Any]]:
        """Tables and views, by schema and name."""
        found = [table.model_dump() for table in list_tables(self.connection)]
        return [{"schema": table.pop("schema_name"), **table} for table in found]

    def expand(self, pattern: str) -> list[str]:
        """Base tables, each as `[schema].[name]`."""
        return expand_pattern(self.connection, pattern)

    def standing_still(self, tables: Sequence[LoadedTable]) -> StandsStill | None:
        """Of tables under Change Tracking, or with a time, those without a change."""
        return standing_still(self.connection, tables)

    def show(self, table: str, rows: int) -> dict[str, Any]:
        """A table with its keys and possible cursors."""
        from flowforge.sources.sqlserver.describe import describe

        return describe(self.connection, table, rows)

    def describe(self, wanted: Wanted) -> Description:
        """The table or query as the catalog has it."""
        return inspect(self.connection, wanted)

    def plan(self, description: Description, last: Mapping[str, LastRead], only_new: bool = False) -> ReadPlan:
        """An interval of the delta column, or all rows; a large table in slices."""
        if description.wanted.read.change_tracking:
            return plan_tracked(self.connection, description, last.get(CHANGE_VERSION) or LastRead())
        if description.wanted.only_keys:
            _refuse_other_source(description, last)
        column = self._cursor(description)
        before = last.get(column) if column else None
        found, identity = self._interval(description, column, before or LastRead())
        if not found.interval.window:
            found = with_definition(found, description.detail.table, before.memory if before else ())
        if not (found.empty or found.interval.window) and before and before.position:
            found = found.told(told_outside(self.connection, description, found.interval))
        if only_new and not found.empty and before and before.position and before.position.type:
            found = self._without_rows(description, found)
        if found.empty:
            return ReadPlan(found.interval, description.columns, identity=identity, **_kept(found))
        splits, counting = self._splits(description, found.interval), _counting(description, found.interval)
        interval = found.interval.model_copy(update={"promise": _promise(found, splits)})
        if description.wanted.only_keys:
            interval = interval.model_copy(update={"promise": promise_of_keys(description.detail.offered, splits)})
        told = interval.model_copy(update={"notes": [*interval.notes, *description.lacks]})
        return ReadPlan(
            told, description.columns, splits, identity, counting=counting, detail=description.detail, **_kept(found)
        )

    def one_moment(self, description: Description) -> AbstractContextManager[Moment]:
        """A SNAPSHOT transaction over this connection."""
        from flowforge.sources.sqlserver.moment import moment_of

        return moment_of(self.connection, description)

    def estimate(self, description: Description, plan: ReadPlan) -> Estimate:
        """Counted where that is cheap, else what the catalog says."""
        return estimate_of(self.connection, description, plan)

    def _cursor(self, description: Description) -> str | None:
        """The delta column in its own spelling, under which positions are kept."""
        name = description.wanted.read.delta_column
        return find_column(own_columns(description), name, description.name).name if name else None

    def _interval(
        self, description: Description, column: str | None, last: LastRead
    ) -> tuple[PlannedInterval, dict[str, Any]]:
        """The interval, and what tells this source from another one; both are kept with the batch."""
        wanted, mark, name = description.wanted.read, last.position, description.name
        if mark and mark.type is None:  # set by hand: the source checks it like a seed
            wanted, mark = wanted.model_copy(update={"last_watermark": mark.value}), None
        if mark and column:
            self._refuse_other_type(description, column, mark.type)
        notes = refuse_changed_source(name, description.identity, last.identity) if mark else []
        table, keyed = description.detail.table, bool(description.wanted.key or description.primary_key)
        described = table or replace(description, columns=own_columns(description))
        conditions = description.detail.conditions
        if wanted.window:
            refuse_unread_column(description, wanted.window.column)
            plan = plan_window(self.connection, described, wanted, last, keyed, conditions)
            # Rows of an earlier state of the source would take the place of newer ones.
            known_rows(self.connection, table, plan.interval.model_copy(update={"high": None}), last if mark else None)
            return plan.told([*notes, *description.notes]), description.identity
        low, digest = (mark.value, last.digest) if mark else (None, "")
        plan = plan_interval(
            self.connection, described, wanted, low, last.memory or None, keyed, digest, conditions=conditions
        )
        plan = plan.told([*notes, *description.notes])
        rows = known_rows(self.connection, table, plan.interval, last if mark else None)
        return plan, description.identity | rows

    def _refuse_other_type(self, description: Description, column: str, was: str | None) -> None:
        now = find_column(own_columns(description), column, description.name).sql_type
        if now != was:
            table = description.wanted.bronze_table
            raise SourceChanged(
                f"{description.name}.{column} is {now} now; its watermark was taken as {was}",
                f"Look at what changed, then: flowforge watermark set {table} VALUE --column {column}, or "
                f"flowforge watermark reset {table} --yes.",
            )

    def _without_rows(self, description: Description, plan: PlannedInterval) -> PlannedInterval:
        """The plan; as empty where a question that costs little finds no row in it."""
        table, interval, offered = description.detail.table, plan.interval, description.detail.offered
        if table is None or not (is_cheap(table, interval) and holds_no_row(self.connection, table, interval, offered)):
            return plan
        return plan.model_copy(update={"empty": True, "reason": f"no rows from {interval.low} up to {interval.high}"})

    def _splits(self, description: Description, interval: Interval) -> SlicePlan | None:
        table = description.detail.table
        if table is None or description.wanted.read.allow_empty_refresh:
            return None
        found = plan_slices(self.connection, table, interval, description.detail.offered)
        told = {"columns": description.columns, "counting": _counting(description, interval)}
        return found and fitting(found.model_copy(update=told))


@contextmanager
def opened(reference: ConnectionReference, credentials: Credentials) -> Iterator[SqlServerSession]:
    """Connects for the block."""
    with connect(reference, credentials) as connection:
        yield SqlServerSession(connection)


def _refuse_other_source(description: Description, last: Mapping[str, LastRead]) -> None:
    """Raises SourceChanged where keys would be compared with those of another source."""
    for before in last.values():
        if before.position:
            refuse_changed_source(description.name, description.identity, before.identity)


def _counting(description: Description, interval: Interval) -> Any:
    only_keys = description.wanted.only_keys
    return plan_counting(description.wanted.read, interval, description.detail.table, only_keys)


def _kept(plan: PlannedInterval) -> dict[str, Any]:
    """What goes into the next plan, and why there is nothing to read, if so."""
    interval, blocker = plan.interval, f"; {plan.blocker}" if plan.blocker else ""
    if not plan.empty:
        return {"memory": plan.samples}
    reason = plan.reason or f"nothing is safe to read above {interval.low or 'the beginning'} yet"
    notes = [note for note in interval.notes if note != plan.blocker]  # the reason names it
    nothing = Nothing(reason + blocker + _waiting(plan), notes, plan.wait_seconds, plan.reason, plan.news)
    return {"memory": plan.samples, "nothing": nothing}


def _promise(plan: PlannedInterval, splits: SlicePlan | None) -> str:
    """The interval's promise, with what slices and rows that wait for the clock make of it."""
    more = ""
    if splits is not None:
        more = f"; read in {len(splits.ranges)} slices, each a statement that sees what is committed when it starts"
    return plan.interval.promise + more + _waiting(plan)


def _waiting(plan: PlannedInterval) -> str:
    """Rows with a stamp beyond the server's clock, in words for the run."""
    return f"; rows stamped a day or more in the future wait for it: {plan.future_rows}" if plan.future_rows else ""
