"""What the source says about itself: tables, columns, keys, the shape of a query, and who the server is.

Guarantees: types come from the catalog, names are bound as values and compared by the server, and a table that is not
there (or not visible to the login) is an UnknownTable that names what comes near. Views are described as tables are.
"""

import datetime as dt
import decimal
import difflib
import fnmatch
import uuid
from typing import Any

from events.names import split_table_name
from flowforge.domain.errors import FlowForgeError, QueryRefused, UnknownTable, UnsupportedSource
from flowforge.domain.interval import Interval
from flowforge.domain.source_columns import SourceColumn
from flowforge.sources.sqlserver import catalog_sql
from flowforge.sources.sqlserver.catalog_columns import readable_columns
from flowforge.sources.sqlserver.connection import SourceConnection
from flowforge.sources.sqlserver.consistency import offered
from flowforge.sources.sqlserver.description import CatalogColumn, TableDescription, TableSummary, UnreadableColumn
from flowforge.sources.sqlserver.failures import described, is_lacking
from flowforge.sources.sqlserver.masking import masks
from flowforge.sources.sqlserver.neutral_types import neutral_fields
from flowforge.sources.sqlserver.optional import estimate, optional_rows, refused, rows_or_refusal, tell
from flowforge.sources.sqlserver.query_text import read_query
from flowforge.sources.sqlserver.sql_text import Statement, qualified, select_statement
from flowforge.sources.sqlserver.sql_types import parse_sql_type
from flowforge.sources.sqlserver.table_kinds import synonym_target
from flowforge.sources.sqlserver.transactions import sees_open_transactions

_NAMES = ("found_id", "schema_name", "object_name", "object_type")
AT_ONCE = "how many rows the table has is not known, so it is read at once, in no slices"
BY_ROWS = "how large the table is is not known, so slices go by its rows alone"
COUNTER_UNKNOWN = "a reseeded identity column is not noticed"
NO_DATABASE = "SNAPSHOT is not asked for, and a database that was restored is not told by its date"
NO_PROCEDURE = 2812
INSIDE = {
    1033: "the query is read inside another one: leave ORDER BY out, or give it TOP",
    8155: "name every column with AS",
    8156: "give each column a name of its own",
}
WAREHOUSES = {6: "Azure Synapse dedicated SQL pool", 11: "Azure Synapse serverless SQL pool or Microsoft Fabric"}


def list_tables(connection: SourceConnection) -> list[TableSummary]:
    """All user tables and views that the login can see, by schema and name; without estimates where there are none."""
    found = connection.rows(catalog_sql.LIST)
    rows = _row_estimates(connection)
    return [
        TableSummary(
            schema_name=row["schema_name"],
            name=row["object_name"],
            type=_object_type(row["object_type"]),
            row_estimate=rows.get(row["object_id"]),
        )
        for row in found
    ]


def describe_table(connection: SourceConnection, table_name: str) -> TableDescription:
    """Describes `table`, `schema.table` or `[schema].[table]`; without a schema dbo.

    A synonym is what it stands for. Columns that cannot be read are told apart (`unreadable`). Raises UnknownTable, with near
    matches, UnsupportedSource for a synonym that leads out of the database.
    """
    schema, name = _split(table_name)
    found = connection.rows(catalog_sql.OBJECTS, (schema, name), about=table_name)
    exact = [row for row in found if (row["schema_name"], row["object_name"]) == (schema, name)]
    if not found and (target := synonym_target(connection, schema, name)):
        return describe_table(connection, target[1]).model_copy(update={"synonym": target[0]})
    if not found:
        raise _unknown_table(connection, schema, name)
    if len(found) > 1 and not exact:
        raise UnknownTable(
            f"{schema}.{name} fits several tables at {connection.where}", "write the name in its own case"
        )
    row = (exact or found)[0]
    object_id, where = row["found_id"], f"{row['schema_name']}.{row['object_name']}"
    columns, unreadable = _columns(connection, object_id, where)
    if any(column.masked for column in columns):
        hidden = {mask.column for mask in masks(connection, object_id)}
        columns = [column.model_copy(update={"masked": column.name in hidden}) for column in columns]
    if not columns and not unreadable:
        raise UnknownTable(
            f"the columns of {where} at {connection.where} are not visible to this login",
            f"ask for GRANT SELECT ON {where}",
        )
    keys = connection.rows(catalog_sql.INDEXES, (object_id,), about=where)
    return TableDescription(
        schema_name=row["schema_name"],
        name=row["object_name"],
        type=_object_type(row["object_type"]),
        object_id=object_id,
        columns=columns,
        primary_key=[k["name"] for k in keys if k["is_primary_key"]],
        indexed_columns=list(dict.fromkeys(k["name"] for k in keys if k["key_ordinal"] == 1)),
        unique_keys=_unique_keys(keys),
        unreadable=unreadable,
        facts={} if row["object_id"] is None else {k: v for k, v in row.items() if k not in _NAMES},
        row_estimate=estimate(connection, catalog_sql.ROW_ESTIMATE, (object_id,), "sys.partitions", AT_ONCE),
        byte_estimate=estimate(connection, catalog_sql.BYTE_ESTIMATE, (object_id,), "sys.allocation_units", BY_ROWS),
    )


def describe_query(connection: SourceConnection, sql: str) -> list[SourceColumn]:
    """The columns that a query returns, as the server's own analysis has them; the query is not run.

    Raises UnknownTable, UnknownColumn or QueryRefused for what the server refuses, UnsupportedSource for columns
    without a name or with the same name.
    """
    rows = _described(connection, read_query(sql).written)
    names = [row["name"] for row in rows]
    if not all(names):
        at = [str(n + 1) for n, name in enumerate(names) if not name]
        raise UnsupportedSource(f"the query's columns {', '.join(at)} have no name", "name them with AS")
    twice = sorted({n for n in names if [m.lower() for m in names].count(n.lower()) > 1})
    if twice:
        raise UnsupportedSource(
            f"the query returns {', '.join(twice)} more than once", "give each column a name of its own"
        )
    columns = []
    for row in rows:
        sql_type = row["system_type_name"] or row["user_type_name"] or "?"
        declared = _known_type(sql_type, row["name"], "the query")
        described = {"nullable": bool(row["is_nullable"]), "collation": row.get("collation_name")}
        columns.append(SourceColumn(name=row["name"], sql_type=declared, **neutral_fields(declared), **described))
    return columns


def check_statement(connection: SourceConnection, statement: Statement) -> None:
    """Lets the server describe the very statement that will read a query. Raises QueryRefused for what only shows inside another
    query: an ORDER BY, a column without a name or with another's."""
    _described(connection, statement.inlined())


def _described(connection: SourceConnection, sql: str) -> list[dict[str, Any]]:
    rows = _first_result_set(connection, sql)
    failed = next((r for r in rows if r["error_number"]), None)
    if failed or not rows:
        _refuse_query(connection, failed)
    return rows


def expand_pattern(connection: SourceConnection, pattern: str) -> list[str]:
    """The base tables that `schema.*` or `schema.cust*` names, each as `[schema].[name]`, sorted; case does not matter.

    Raises UnknownTable when none fits.
    """
    schema, name = _split(pattern)
    tables = [t for t in list_tables(connection) if t.type == "table"]
    fitting = sorted(
        qualified(t)
        for t in tables
        if fnmatch.fnmatchcase(t.schema_name.lower(), _glob(schema))
        and fnmatch.fnmatchcase(t.name.lower(), _glob(name))
    )
    if not fitting:
        raise UnknownTable(f"no table at {connection.where} fits {pattern!r}", "`tables` lists what this login can see")
    return fitting


def preview(
    connection: SourceConnection, description: TableDescription, rows: int
) -> tuple[list[str], list[list[Any]]]:
    """The first `rows` rows (in no particular order) as the columns' names and values that JSON can hold."""
    names = [c.name for c in description.columns]
    statement = select_statement(description, description.columns, Interval(), top=max(0, rows))
    found = connection.rows(statement, about=description.qualified_name)
    return names, [[_json_value(row[name]) for name in names] for row in found]


def consistencies(connection: SourceConnection, snapshot_wanted: bool = True) -> list[str]:
    """The consistencies that a read of this database asks for, the strongest first; see `consistency`."""
    row = _database(connection)
    return offered(row["snapshot_isolation_state"], row["is_read_committed_snapshot_on"], snapshot_wanted)


def server_identity(connection: SourceConnection, description: TableDescription | None = None) -> dict[str, Any]:
    """What tells this database from a restored or recreated one: server and database name, create date, object_id, the last
    number that the table's identity column gave out, and, where the server tells, recovery fork and availability group."""
    row = _database(connection)
    facts = {
        "server_name": row["server_name"],
        "database": row["database_name"],
        "database_created": row["database_created"],
        "object_id": description.object_id if description else None,
        "primary_key": description.primary_key if description else [],
        "unique_keys": description.unique_keys if description else [],
    }
    fork = optional_rows(connection, catalog_sql.FORK)  # without, every other name is another server
    facts |= fork[0] if fork else {}
    if description and any(column.identity for column in description.columns):
        counter = rows_or_refusal(connection, catalog_sql.COUNTER, (qualified(description),) * 2)
        if not isinstance(counter, list):
            tell(connection, "IDENT_CURRENT", counter, COUNTER_UNKNOWN)
        elif counter[0]["step"] is not None and int(counter[0]["step"]) > 0:
            facts["identity_current"] = counter[0]["current_value"]
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


def _split(written: str) -> tuple[str, str]:
    try:
        return split_table_name(written)
    except ValueError as error:
        raise UnknownTable(str(error), "write the name as table, schema.table or [schema].[table]") from error


def _row_estimates(connection: SourceConnection) -> dict[int, int]:
    try:
        rows = connection.rows(catalog_sql.ROW_ESTIMATES)
    except FlowForgeError:
        return {}  # a listing without figures
    return {row["object_id"]: int(row["row_estimate"] or 0) for row in rows}


def _database(connection: SourceConnection) -> dict[str, Any]:
    """Names of server and database, its date and isolation; None for what is not to be seen, which is told. A connection asks
    once.

    Raises UnsupportedSource for a warehouse.
    """
    if connection.database_facts is None:
        connection.database_facts = _ask_database(connection)
    return connection.database_facts


def _ask_database(connection: SourceConnection) -> dict[str, Any]:
    found = rows_or_refusal(connection, catalog_sql.IDENTITY)
    if isinstance(found, FlowForgeError):
        tell(connection, "sys.databases", found, NO_DATABASE)
        nothing = dict.fromkeys(("database_created", "snapshot_isolation_state", "is_read_committed_snapshot_on"))
        edition = optional_rows(connection, catalog_sql.EDITION)
        known = edition[0] if edition else {"edition": None}
        found = [{**connection.row(catalog_sql.IDENTITY_ALONE), **nothing, **known}]
    found = found or [connection.row(catalog_sql.IDENTITY)]
    if found[0]["edition"] in WAREHOUSES:
        raise UnsupportedSource(
            f"{connection.where} is {WAREHOUSES[found[0]['edition']]}: rows that are not committed may be read, keys are not "
            "enforced, and there are no row versions and no view of open transactions",
            "load from the database that fills it; docs/servers.md lists what is supported",
        )
    return found[0]


def _first_result_set(connection: SourceConnection, sql: str) -> list[dict[str, Any]]:
    """What the server says of a query's columns, by its function, or where it has none by its procedure.

    The procedure raises what is wrong with the query, where the function describes it.
    """
    found = optional_rows(connection, catalog_sql.DESCRIBE, (sql,), about="the query")
    if found is not None:
        return found
    try:
        rows = connection.rows(catalog_sql.DESCRIBE_BY_PROCEDURE, (sql,), about="the query")
    except FlowForgeError as error:
        if error.number == NO_PROCEDURE or (is_lacking(error) and "describe_first_result_set" in str(error)):
            raise refused(connection, "sp_describe_first_result_set", error, "load a table or a view") from error
        raise
    return [{**row, "error_number": None} for row in rows if not row["is_hidden"]]


def _encrypted(connection: SourceConnection) -> bool:
    found = optional_rows(connection, "SELECT encrypt_option FROM sys.dm_exec_connections WHERE session_id = @@SPID")
    option = found[0]["encrypt_option"] if found else None
    # Without a way to look, what the configuration enforces: encryption is required of the driver.
    return True if option is None else str(option).upper() == "TRUE"


def _columns(
    connection: SourceConnection, object_id: int, where: str
) -> tuple[list[CatalogColumn], list[UnreadableColumn]]:
    rows = connection.rows(catalog_sql.COLUMNS, (object_id,), about=where)
    if any(row.get("default_object_id") for row in rows):
        found = optional_rows(connection, catalog_sql.DEFAULTS, (object_id,))
        defaults = {row["parent_column_id"]: row["definition"] for row in found or []}
        rows = [row | {"default_definition": defaults.get(row["column_id"])} for row in rows]
    return readable_columns(rows)


def _unique_keys(rows: list[dict[str, Any]]) -> list[list[str]]:
    keys: dict[int, list[str]] = {}
    for row in rows:
        if row["is_unique"]:
            keys.setdefault(row["index_id"], []).append(row["name"])
    return list(keys.values())


def _known_type(sql_type: str, column: str, where: str) -> str:
    try:
        parsed = parse_sql_type(sql_type)
    except UnsupportedSource as error:
        raise UnsupportedSource(f"{where}, column {column!r}: {error}", error.remedy) from error
    return sql_type if sql_type.lower().startswith("numeric") else parsed.declaration


def _unknown_table(connection: SourceConnection, schema: str, name: str) -> UnknownTable:
    tables = [f"{t.schema_name}.{t.name}" for t in list_tables(connection)]
    by_lower = {t.lower(): t for t in tables}
    near = difflib.get_close_matches(f"{schema}.{name}".lower(), by_lower, n=3, cutoff=0.6)
    elsewhere = [t for t in tables if t.lower().endswith(f".{name.lower()}")]
    hints = list(dict.fromkeys([*elsewhere, *(by_lower[n] for n in near)]))[:5]
    remedy = f"did you mean {', '.join(hints)}?" if hints else "`tables` lists what this login can see"
    return UnknownTable(f"{schema}.{name} does not exist at {connection.where}, or this login may not see it", remedy)


def _refuse_query(connection: SourceConnection, failed: dict[str, Any] | None) -> None:
    if failed is None:
        raise QueryRefused(f"the query returns no columns at {connection.where}", "give one SELECT that returns rows")
    error = described(failed["error_number"], failed["error_message"], f"the query at {connection.where}")
    error.remedy = INSIDE.get(failed["error_number"], error.remedy)
    raise error


def _glob(text: str) -> str:
    # Only * is a wildcard: ? and [ are letters of a name.
    return "".join("*" if ch == "*" else f"[{ch}]" if ch in "?[" else ch for ch in text.lower())


def _object_type(code: str) -> str:
    return "view" if code.strip() == "V" else "table"


def _whole(value: Any) -> int | None:
    return None if value is None else int(value)


def _json_value(value: Any) -> Any:
    if isinstance(value, decimal.Decimal | uuid.UUID):
        return str(value)
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, bytes):
        return "0x" + value.hex()
    return value
