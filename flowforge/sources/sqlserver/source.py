"""SQL Server as a source: what `registry` finds, and where each of its promises is kept.

Guarantees: importing this module brings no driver and no pyarrow, since control functions ask it about values and queries; what
connects and reads is imported where it is asked for.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from events.targets import ConnectionReference, SourceTable
from flowforge.domain.errors import QueryRefused
from flowforge.domain.given import given
from flowforge.domain.interval import Interval
from flowforge.domain.scope import protected_in
from flowforge.domain.slice_plan import SlicePlan
from flowforge.domain.source_columns import SourceColumn
from flowforge.sources.base import BatchReader, Rereading, Session, Source
from flowforge.sources.plans import Description, LoadedTable, ReadPlan
from flowforge.sources.reports import Recount
from flowforge.sources.sqlserver.asked_together import is_asked_together
from flowforge.sources.sqlserver.casts import target_type
from flowforge.sources.sqlserver.consistency import weakest
from flowforge.sources.sqlserver.query_text import read_query
from flowforge.sources.sqlserver.read_hints import loose_hints, refusal
from flowforge.sources.sqlserver.seeds import seed_literal
from flowforge.sources.sqlserver.sql_types import cursor_kind
from flowforge.sources.target import Credentials, read_credentials

if TYPE_CHECKING:
    from flowforge.sources.sqlserver.selection import Selection


def _wrong_casts(casts: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, written in casts.items():
        try:
            target_type(written)
        except ValueError as error:
            yield "cast", f"{name}: {error}"


class SqlServer:
    """A SQL Server database; see `base.Source`."""

    kind: ClassVar[str] = "sql-server"

    def __init__(self, reference: ConnectionReference, credentials: Credentials | None = None):
        self.reference, self._given = reference, credentials

    @cached_property
    def credentials(self) -> Credentials:
        """The login, from the secret store unless it was given."""
        return self._given or read_credentials(self.reference)

    @classmethod
    def prepare(cls) -> None:
        """Imports what asking and reading take; the drivers' readers are imported with their drivers."""
        from flowforge.sources.sqlserver import reading, recount, session  # noqa: F401

    @classmethod
    def mistakes(cls, wanted: SourceTable, keeps: bool) -> list[tuple[str, str]]:
        """A query that is not one SELECT that only reads; with `keeps` one that reads loosely, too; a cast to what is no type."""
        if wanted.query is None:
            return list(_wrong_casts(wanted.cast))
        try:
            read_query(wanted.query)
            hints = loose_hints(wanted.query) if keeps else []
        except QueryRefused as error:
            return [("query", error.with_remedy)]
        return [("query", refusal(hints))] if hints else []

    @classmethod
    def is_asked_together(cls, table: LoadedTable) -> bool:
        """One that is read by Change Tracking or by a time: numbers and row versions are left to their loads."""
        return is_asked_together(table)

    def session(self) -> AbstractContextManager[Session]:
        """A connection for questions."""
        from flowforge.sources.sqlserver.session import opened

        return opened(self.reference, self.credentials)

    def try_reading(self) -> str:
        """One row through the driver that loads will use."""
        from flowforge.sources.sqlserver.probe import driver_that_reads

        return driver_that_reads(self.reference, self.credentials)

    def resume(
        self, interval: Interval, description: Description | None = None, splits: SlicePlan | None = None
    ) -> ReadPlan:
        """The plan of a claimed interval; the login is read here, not in the thread of a reader."""
        from flowforge.sources.sqlserver.recount import plan_counting

        _ = self.credentials
        if splits is not None:
            return ReadPlan(interval, splits.columns, splits, splits.identity, counting=splits.counting)
        seen = given(description)
        counting = plan_counting(seen.wanted.read, interval, seen.detail.table, seen.wanted.only_keys)
        return ReadPlan(interval, seen.columns, identity=seen.identity, counting=counting, detail=seen.detail)

    def open(self, plan: ReadPlan, split: int | None = None, deadline: float | None = None) -> BatchReader:
        """A reader of the plan, under the strongest consistency that the server gives now."""
        from flowforge.sources.protected_reader import ProtectedReader
        from flowforge.sources.protection import keys_of
        from flowforge.sources.sqlserver.reading import open_strongest
        from flowforge.sources.sqlserver.tracked_changes import loaded_version
        from flowforge.sources.sqlserver.tracked_reading import WithVersion, read_changes

        keys = keys_of(plan.columns)  # before anything is read
        if plan.interval.is_changes:
            reader = read_changes(self.reference, self.credentials, plan, split, deadline)
        else:
            selection, offered = self._selected(plan, split)
            reader = open_strongest(self.reference, self.credentials, selection, offered, deadline)
        if plan.interval.is_whole_table:
            reader = WithVersion(reader, loaded_version(plan.interval.high))
        return ProtectedReader(reader, plan.columns, keys) if protected_in(plan.columns) else reader

    def _selected(self, plan: ReadPlan, split: int | None) -> tuple["Selection", list[str]]:
        from flowforge.sources.sqlserver.selection import Selection
        from flowforge.sources.sqlserver.slices import range_condition

        counted, interval = plan.counting.together, plan.interval
        if interval.is_whole_table:  # its bound is a version of the database, and no column's
            interval = Interval(where=interval.where)
        if plan.splits is None:
            selection = Selection(plan.detail.relation, plan.columns, interval, counted=counted)
            return selection, plan.detail.offered
        within = range_condition(plan.splits.key, plan.splits.ranges[given(split)])
        return Selection(plan.splits, plan.columns, interval, within, counted=counted), plan.splits.offered

    def recount(self, plan: ReadPlan, deadline: float | None = None) -> Recount:
        """Counts by a query of its own: under SNAPSHOT no writer's lock holds it up, and its deadline ends it."""
        from flowforge.sources.sqlserver.recount import count_again

        relation = plan.detail.relation if plan.splits is None else plan.splits
        offered = plan.detail.offered if plan.splits is None else plan.splits.offered
        return count_again(self.reference, self.credentials, relation, plan.interval, offered, deadline)

    def reread(self, table: str, casts: Mapping[str, str]) -> Rereading:
        """A table or view, by its primary key, its columns cast as the loads have them."""
        from flowforge.sources.sqlserver.rereading import TableAgain

        return TableAgain.of(self.reference, self.credentials, table, casts)

    def can_be_cursor(self, column: SourceColumn) -> bool:
        """Whether the type's values grow exactly."""
        return cursor_kind(column.sql_type) is not None

    def position(self, text: str, column: SourceColumn, clock: str = "unknown") -> str:
        """The literal that the column itself would print."""
        return seed_literal(text, column.sql_type, clock)

    def order(self, type: str | None) -> Callable[[str], Any]:
        """Numbers by value; row versions and times of one zone have a fixed width, and sort as text."""
        return int if type and cursor_kind(type) == "integer" else str

    def is_exact(self, type: str | None) -> bool:
        """Times have a seventh digit, which the lake has not."""
        return cursor_kind(type or "int") == "integer"

    def weakest(self, views: list[str]) -> str:
        """The weakest isolation of several reads."""
        return weakest(views)


_: type[Source] = SqlServer
