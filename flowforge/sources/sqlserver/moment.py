"""A database as of one moment: one SNAPSHOT transaction over one connection, in which many tables are planned and read in turn.

Change Tracking tells the latest change of a key and the state of its row now. A row that has changed twice cannot be had as of a
version in between, so a version alone is no moment that several connections could read: only a transaction's snapshot is. No lock
is taken; the server keeps row versions in tempdb for as long as it is open, which a function's time limit bounds.

Guarantees: the version is asked first, so it is never above what the transaction sees; what it sees beyond is read, and comes
once more with the next load. Metadata is not versioned: a table that is altered meanwhile fails the read (3961), nothing else.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from events.targets import ConnectionReference
from flowforge.domain.errors import UnsupportedSource
from flowforge.domain.interval import Interval
from flowforge.domain.own_columns import CHANGE_VERSION
from flowforge.domain.scope import protected_in
from flowforge.sources.base import BatchReader
from flowforge.sources.plans import Description, LastRead, ReadPlan
from flowforge.sources.reports import ReadReport
from flowforge.sources.sqlserver.batch_rows import BATCH_ROWS, BatchRows
from flowforge.sources.sqlserver.connection import SourceConnection
from flowforge.sources.sqlserver.consistency import SNAPSHOT
from flowforge.sources.sqlserver.pymssql_reader import PymssqlReader
from flowforge.sources.sqlserver.selection import Selection
from flowforge.sources.sqlserver.tracked_changes import loaded_version
from flowforge.sources.sqlserver.tracked_log import one_moment
from flowforge.sources.sqlserver.tracked_plan import FORK, plan_in_snapshot, refuse_without_snapshot
from flowforge.sources.sqlserver.tracked_reading import WithVersion, refused_as_lost, selection_of_changes
from flowforge.sources.target import Credentials

VERSION = "SELECT CHANGE_TRACKING_CURRENT_VERSION() AS version"


class SqlServerMoment:
    """See `base.Moment`."""

    def __init__(self, connection: SourceConnection, source: str, version: int):
        self._connection, self.source, self.version = connection, source, version

    def plan(self, description: Description, last: Mapping[str, LastRead], only_new: bool = False) -> ReadPlan:
        """The changes up to the moment, or all rows as of it."""
        return plan_in_snapshot(self._connection, description, last.get(CHANGE_VERSION) or LastRead(), self.version)

    def open(self, plan: ReadPlan, deadline: float | None = None) -> BatchReader:
        """Reads by pymssql, whatever driver loads use else: the transaction is of the connection that has asked the questions."""
        from flowforge.sources.protected_reader import ProtectedReader
        from flowforge.sources.protection import keys_of

        keys = keys_of(plan.columns)
        if plan.interval.is_changes:
            with refused_as_lost(plan.detail.table.qualified_name):
                reader = self._reader(selection_of_changes(plan), deadline)
        else:
            rows = Selection(plan.detail.relation, plan.columns, Interval(where=plan.interval.where))
            reader = WithVersion(self._reader(rows, deadline), loaded_version(plan.interval.high))
        return ProtectedReader(reader, plan.columns, keys) if protected_in(plan.columns) else reader

    def _reader(self, selection: Selection, deadline: float | None) -> BatchReader:
        return _OverConnection(self._connection, selection, deadline)


@contextmanager
def moment_of(connection: SourceConnection, description: Description) -> Iterator[SqlServerMoment]:
    """Opens the transaction for the block. Raises UnsupportedSource for a database without SNAPSHOT isolation or Change
    Tracking."""
    refuse_without_snapshot(connection, description)
    with one_moment(connection):
        version = connection.scalar(VERSION)
        if version is None:
            raise UnsupportedSource(
                f"{connection.where}: consistentCut: Change Tracking is not on for this database",
                "Look at: flowforge test-connection, which prints the statements that switch it on.",
            )
        fork = description.identity.get(FORK)
        reference = connection.reference
        source = f"{reference.host}:{reference.port}/{reference.database}" + (f" {fork}" if fork else "")
        yield SqlServerMoment(connection, source, int(version))


class _OverConnection(PymssqlReader):
    """A reader in the transaction of a connection that somebody else holds, and closes."""

    def __init__(self, connection: SourceConnection, selection: Selection, deadline: float | None):
        self._held = connection
        rows = BatchRows(selection.columns, BATCH_ROWS)
        super().__init__(connection.reference, connection.credentials, selection, rows, deadline)

    def _connect(self, reference: ConnectionReference, credentials: Credentials) -> Any:
        return self._held.driver_connection

    def _disconnect(self) -> None:
        cursor = getattr(self, "_cursor", None)
        if cursor is not None:
            cursor.close()

    def report(self) -> ReadReport:
        """As the read knows it; its own statement does not say that its transaction is a snapshot."""
        return super().report()._replace(consistency=SNAPSHOT)
