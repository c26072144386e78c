"""Whether SQL Server's Change Tracking is on for a database and a table, and the statements that switch it on.

Views and functions as documented: sys.change_tracking_databases, sys.change_tracking_tables, CHANGE_TRACKING_CURRENT_VERSION,
CHANGE_TRACKING_MIN_VALID_VERSION, HAS_PERMS_BY_NAME. Guarantees: `told_of_database` and `told_of_table` are for people alone;
whatever goes wrong with their questions is told, and nothing is raised.
"""

from typing import Any, NamedTuple

from flowforge.domain.errors import FlowForgeError
from flowforge.sources.sqlserver.connection import SourceConnection
from flowforge.sources.sqlserver.consistency import SNAPSHOT
from flowforge.sources.sqlserver.database_facts import consistencies
from flowforge.sources.sqlserver.description import TableDescription
from flowforge.sources.sqlserver.optional import said_of
from flowforge.sources.sqlserver.statement import qualified, quote_identifier

RETENTION = "7 DAYS"  # of what is proposed: longer than loads stand still over a long weekend
_DATABASE = """SELECT DB_NAME() AS database_name, USER_NAME() AS user_name, CHANGE_TRACKING_CURRENT_VERSION() AS version,
d.retention_period, d.retention_period_units_desc, d.is_auto_cleanup_on
FROM (SELECT DB_ID() AS database_id) AS this
LEFT JOIN sys.change_tracking_databases AS d ON d.database_id = this.database_id"""
_COUNT = "SELECT COUNT(*) AS tables FROM sys.change_tracking_tables"
_TABLE = """SELECT t.begin_version, HAS_PERMS_BY_NAME(%s, N'OBJECT', N'VIEW CHANGE TRACKING') AS may_view
FROM sys.change_tracking_tables AS t WHERE t.object_id = %s"""


class TrackedDatabase(NamedTuple):
    """Change Tracking of a database. `retention` is how long changes are kept, in words; empty where it cannot be seen, or where
    all are kept."""

    name: str
    user: str
    is_on: bool
    retention: str
    has_snapshot: bool

    @property
    def statements(self) -> list[str]:
        """What makes it ready for loads of changes."""
        own = f"ALTER DATABASE {quote_identifier(self.name)}"
        on = f"{own} SET CHANGE_TRACKING = ON (CHANGE_RETENTION = {RETENTION}, AUTO_CLEANUP = ON)"
        snapshot = f"{own} SET ALLOW_SNAPSHOT_ISOLATION ON"
        return [*([] if self.is_on else [on]), *([] if self.has_snapshot else [snapshot])]


class TrackedTable(NamedTuple):
    """Change Tracking of a table: `begin_version` is where its changes begin (None: it is not tracked)."""

    begin_version: int | None
    may_view: bool


def ask_database(connection: SourceConnection) -> TrackedDatabase:
    """Change Tracking of the connection's database. Raises what asking raises, on a server that has none too."""
    found = connection.row(_DATABASE)
    retention = ""
    if found["retention_period"] is not None and found["is_auto_cleanup_on"]:
        retention = f"{found['retention_period']} {str(found['retention_period_units_desc']).lower()}"
    snapshot = SNAPSHOT in consistencies(connection)
    return TrackedDatabase(
        found["database_name"], found["user_name"], found["version"] is not None, retention, snapshot
    )


def ask_table(connection: SourceConnection, table: TableDescription) -> TrackedTable:
    """Change Tracking of a table. Raises what asking raises."""
    found = connection.rows(_TABLE, (qualified(table), table.object_id), about=table.qualified_name)
    if not found:
        return TrackedTable(None, may_view=True)
    return TrackedTable(int(found[0]["begin_version"]), may_view=found[0]["may_view"] != 0)


def statements_for(database: TrackedDatabase, table: TableDescription, tracked: TrackedTable) -> list[str]:
    """What makes a table with a primary key ready for loads of changes; empty where it is."""
    name = qualified(table)
    on = f"ALTER TABLE {name} ENABLE CHANGE_TRACKING WITH (TRACK_COLUMNS_UPDATED = OFF)"
    right = f"GRANT VIEW CHANGE TRACKING ON {name} TO {quote_identifier(database.user)}"
    is_on = tracked.begin_version is not None
    return [*database.statements, *([] if is_on else [on]), *([] if tracked.may_view else [right])]


def why_never(table: TableDescription) -> str:
    """Why Change Tracking cannot be switched on for it; empty where it can."""
    if table.type != "table":
        return "a view has no changes of its own: Change Tracking is for tables"
    if not table.primary_key:
        return "it has no primary key, by which Change Tracking tells rows apart"
    return ""


def told_of_database(connection: SourceConnection) -> dict[str, Any]:
    """What a connection test shows: `on`, for how long changes are kept, how many `tables` are tracked, the `statements` that
    are missing, and the `problem` where it cannot be said."""
    try:
        database = ask_database(connection)
        tables = int(connection.scalar(_COUNT)) if database.is_on else None
    except FlowForgeError as error:
        return _unknown(error)
    told = {"on": database.is_on, "retention": database.retention or None, "tables": tables}
    return told | {"statements": database.statements}


def told_of_table(connection: SourceConnection, table: TableDescription) -> dict[str, Any]:
    """The same of a table."""
    if problem := why_never(table):
        return {"on": False, "statements": [], "problem": problem}
    try:
        database = ask_database(connection)
        tracked = ask_table(connection, table) if database.is_on else TrackedTable(None, may_view=True)
    except FlowForgeError as error:
        return _unknown(error)
    on = tracked.begin_version is not None
    told = {"on": on, "retention": (database.retention or None) if on else None}
    return told | {"statements": statements_for(database, table, tracked)}


def _unknown(error: FlowForgeError) -> dict[str, Any]:
    return {"on": None, "statements": [], "problem": f"Change Tracking {said_of(error)}"}
