"""What is known of a table's Change Tracking at one moment, and whether changes since a version are all still there.

Change Tracking answers every question, also one that it cannot answer any more: rows that clean-up has taken, or that were never
tracked, are simply missing. Guarantees: a version counts only as long as `lost` finds nothing against it, and what it is asked of
is read after the changes themselves. Clean-up moves the lowest valid version; so do TRUNCATE and switching off and on, but where
nothing was committed since only the beginning, or the log's own number and date, tell (sys.internal_tables).
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

from flowforge.domain.errors import FlowForgeError, UnsupportedSource
from flowforge.sources.sqlserver.connection import SourceConnection
from flowforge.sources.sqlserver.description import TableDescription
from flowforge.sources.sqlserver.statement import Statement

BEGAN, LOG = "tracking_began", "tracking_log"  # of a batch's identity
_COLUMNS = "version", "begin_version", "min_valid_version", "log"
_FACTS = """CHANGE_TRACKING_CURRENT_VERSION() AS version, t.begin_version,
CHANGE_TRACKING_MIN_VALID_VERSION(t.object_id) AS min_valid_version,
CONVERT(varchar(12), i.object_id) + ' ' + CONVERT(varchar(23), i.create_date, 121) AS log"""
_OWN = "sys.internal_tables AS i ON i.parent_object_id = t.object_id AND i.internal_type_desc = N'CHANGE_TRACKING'"
_ASKED = """SELECT {facts}
FROM sys.change_tracking_tables AS t
LEFT JOIN {own}
WHERE t.object_id = {object_id}"""
_ALL = """SELECT s.name AS schema_name, o.name AS object_name, o.object_id, {facts}
FROM sys.change_tracking_tables AS t
JOIN sys.objects AS o ON o.object_id = t.object_id
JOIN sys.schemas AS s ON s.schema_id = o.schema_id
LEFT JOIN {own}"""


class TrackedLog(NamedTuple):
    """The database's version, and where a table's log begins and may be asked from; `log` tells it from another one (empty: this
    login does not see it)."""

    version: int
    begin_version: int
    min_valid_version: int | None
    log: str

    @property
    def identity(self) -> dict[str, Any]:
        """What a batch keeps, for `lost`."""
        return {BEGAN: self.begin_version} | ({LOG: self.log} if self.log else {})

    def lost(self, version: int, then: Mapping[str, Any]) -> str:
        """Why changes since a version are not all there, in words; empty where they are. `then` is the identity of the load that
        has brought the version."""
        if self.version < version:
            return f"the database is at version {self.version}, and {version} was loaded: it was restored to an earlier moment"
        if self.min_valid_version is None or self.min_valid_version > version:
            return (
                f"changes are known since version {self.min_valid_version} only, and {version} was loaded: clean-up has taken "
                "the others, or the table was truncated, or tracking was switched off and on"
            )
        began, log = then.get(BEGAN), then.get(LOG)
        if (began is not None and began != self.begin_version) or (log and self.log and log != self.log):
            return f"its changes begin anew at version {self.begin_version}: it was truncated, or tracking was off meanwhile"
        return ""


def log_statement(object_id: int) -> Statement:
    """Asks for what `log_of` reads; no row where the table is not tracked."""
    return Statement((_ASKED.format(facts=_FACTS, own=_OWN, object_id=object_id),))


def log_of(row: Sequence[Any] | None) -> TrackedLog | None:
    """The log that a row tells of; None where the table, or its database, is not tracked."""
    if not row or row[0] is None:
        return None
    version, begin, valid, log = row[:4]
    return TrackedLog(int(version), int(begin), None if valid is None else int(valid), str(log or ""))


def ask_log(connection: SourceConnection, table: TableDescription) -> TrackedLog | None:
    """The table's log as it is now. Raises what asking raises."""
    found = connection.rows(log_statement(int(table.object_id)), about=table.qualified_name)
    return log_of([found[0][name] for name in _COLUMNS]) if found else None


def ask_logs(connection: SourceConnection) -> dict[tuple[str, str], tuple[int, TrackedLog]]:
    """Every log of the database that this login sees, by schema and table, with the table's object_id. Raises what asking
    raises."""
    found = {}
    for row in connection.rows(_ALL.format(facts=_FACTS, own=_OWN)):
        if log := log_of([row[name] for name in _COLUMNS]):
            found[row["schema_name"], row["object_name"]] = int(row["object_id"]), log
    return found


@contextmanager
def one_moment(connection: SourceConnection) -> Iterator[None]:
    """A SNAPSHOT transaction for the block: what its questions see is of one moment."""
    connection.run("SET TRANSACTION ISOLATION LEVEL SNAPSHOT; BEGIN TRANSACTION flowforge_read")
    try:
        yield
        connection.run("COMMIT TRANSACTION")
    except BaseException:
        with suppress(FlowForgeError):
            connection.run("IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION")
        raise
    finally:
        with suppress(FlowForgeError):
            connection.run("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")


def readable(table: TableDescription, log: TrackedLog | None, statements: Sequence[str]) -> TrackedLog:
    """The log; raises UnsupportedSource where there is none, or none that this login may read. `statements` mend that."""
    remedy = f"Run at the source: {'; '.join(statements)}." if statements else "Look at: flowforge describe TABLE."
    if log is None:
        raise UnsupportedSource(f"{table.qualified_name}: Change Tracking is not on for this table", remedy)
    if log.min_valid_version is None:
        raise UnsupportedSource(f"{table.qualified_name}: this login may not view its Change Tracking", remedy)
    return log
