"""Who the server is: its names, its isolation, and what tells this database from a restored or recreated one."""

from typing import Any

from flowforge.domain.errors import FlowForgeError, UnsupportedSource
from flowforge.sources.sqlserver import catalog_sql
from flowforge.sources.sqlserver.connection import SourceConnection
from flowforge.sources.sqlserver.consistency import offered
from flowforge.sources.sqlserver.description import TableDescription
from flowforge.sources.sqlserver.optional import optional_rows, rows_or_refusal, tell
from flowforge.sources.sqlserver.statement import Statement, qualified
from flowforge.sources.sqlserver.transactions import sees_open_transactions

IDENTITY, FORK = Statement((catalog_sql.IDENTITY,)), Statement((catalog_sql.FORK,))
COUNTER_UNKNOWN = "a reseeded identity column is not noticed"
NO_DATABASE = "SNAPSHOT is not asked for, and a database that was restored is not told by its date"
WAREHOUSES = {6: "Azure Synapse dedicated SQL pool", 11: "Azure Synapse serverless SQL pool or Microsoft Fabric"}


def consistencies(connection: SourceConnection, snapshot_wanted: bool = True) -> list[str]:
    """The consistencies that a read of this database asks for, the strongest first; see `consistency`."""
    row = _database(connection)
    return offered(row["snapshot_isolation_state"], row["is_read_committed_snapshot_on"], snapshot_wanted)


def server_identity(connection: SourceConnection, description: TableDescription | None = None) -> dict[str, Any]:
    """What tells this database from a restored or recreated one: server and database name, create date, object_id, the last
    number that the table's identity column gave out or, where it counts down, its step, and, where the server tells, recovery
    fork and availability group."""
    row = _database(connection)
    facts = {
        "server_name": row["server_name"],
        "database": row["database_name"],
        "database_created": row["database_created"],
        "object_id": description.object_id if description else None,
        "primary_key": description.primary_key if description else [],
        "unique_keys": description.unique_keys if description else [],
    }
    fork = optional_rows(connection, FORK)  # without, every other name is another server
    facts |= fork[0] if fork else {}
    if description and any(column.identity for column in description.columns):
        counter = rows_or_refusal(connection, catalog_sql.COUNTER, (qualified(description),) * 2)
        if not isinstance(counter, list):
            tell(connection, "IDENT_CURRENT", counter, COUNTER_UNKNOWN)
        elif counter[0]["step"] is not None and int(counter[0]["step"]) > 0:
            facts["identity_current"] = counter[0]["current_value"]
        elif counter[0]["step"] is not None:
            facts["identity_step"] = int(counter[0]["step"])
    return facts


def connection_facts(connection: SourceConnection) -> dict[str, Any]:
    """What a connection test shows: version, names, login, TLS, tables, isolation, and whether bounds can be exact."""
    database = _database(connection)
    server = connection.row("SELECT @@VERSION AS version, SUSER_SNAME() AS login_name")
    return {
        "server_version": " ".join((server["version"] or "").splitlines()[0].split()) if server["version"] else "",
        "server_name": database["server_name"],
        "database": database["database_name"],
        "login": server["login_name"],
        "encrypted": _encrypted(connection),
        "tables": _whole(connection.scalar("SELECT COUNT(*) AS n FROM sys.tables")),
        "sees_open_transactions": sees_open_transactions(connection),
        "snapshot_isolation": database["snapshot_isolation_state"] == 1,
    }


def _database(connection: SourceConnection) -> dict[str, Any]:
    """Names of server and database, its date and isolation; None for what is not to be seen, which is told. A connection asks
    once.

    Raises UnsupportedSource for a warehouse.
    """
    if connection.database_facts is None:
        connection.database_facts = _ask_database(connection)
    return connection.database_facts


def _ask_database(connection: SourceConnection) -> dict[str, Any]:
    found = rows_or_refusal(connection, IDENTITY)
    if isinstance(found, FlowForgeError):
        tell(connection, "sys.databases", found, NO_DATABASE)
        nothing = dict.fromkeys(("database_created", "snapshot_isolation_state", "is_read_committed_snapshot_on"))
        edition = optional_rows(connection, catalog_sql.EDITION)
        known = edition[0] if edition else {"edition": None}
        found = [{**connection.row(catalog_sql.IDENTITY_ALONE), **nothing, **known}]
    found = found or [connection.row(IDENTITY)]
    if found[0]["edition"] in WAREHOUSES:
        raise UnsupportedSource(
            f"{connection.where} is {WAREHOUSES[found[0]['edition']]}: rows that are not committed may be read, keys are not "
            "enforced, and there are no row versions and no view of open transactions",
            "load from the database that fills it; docs/servers.md lists what is supported",
        )
    return found[0]


def _encrypted(connection: SourceConnection) -> bool:
    found = optional_rows(connection, "SELECT encrypt_option FROM sys.dm_exec_connections WHERE session_id = @@SPID")
    option = found[0]["encrypt_option"] if found else None
    # Without a way to look, what the configuration enforces: encryption is required of the driver.
    return True if option is None else str(option).upper() == "TRUE"


def _whole(value: Any) -> int | None:
    return None if value is None else int(value)
