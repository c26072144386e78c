"""SQL Server's catalog and management views over the stand-in's own catalog.

Each view is a list of typed columns and a DuckDB SELECT that gives them in this order. What changes from moment to
moment (sessions, transactions, row counts) is written into the query text when the view is asked.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .catalog import storage_name
from .types import COLLATION_NAME, SYSTEM_TYPE_IDS, USER_TYPE_IDS, SqlType, parse_type

if TYPE_CHECKING:
    from .session import Session

DATABASE_ID = 5


@dataclass(frozen=True)
class SystemView:
    columns: tuple[tuple[str, SqlType], ...]
    sql: Callable[[Session], str]


def _view(columns: str, sql: str | Callable[[Session], str]) -> SystemView:
    typed = []
    for item in columns.split(";"):
        name, kind = item.split()
        typed.append((name, parse_type(kind)))
    return SystemView(tuple(typed), sql if callable(sql) else lambda _session, text=sql: text)


def _literal(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, dt.datetime):
        return f"TIMESTAMP '{value}'"
    return "'" + str(value).replace("'", "''") + "'"


def _values(rows: list[tuple], columns: str) -> str:
    """A SELECT that gives these rows, typed as the view declares."""
    declared = [item.split() for item in columns.split(";")]
    casts = [f"CAST(c{i} AS {parse_type(kind).duckdb})" for i, (_, kind) in enumerate(declared)]
    if not rows:
        return (
            "SELECT " + ", ".join(f"CAST(NULL AS {parse_type(kind).duckdb})" for _, kind in declared) + " WHERE false"
        )
    text = ", ".join("(" + ", ".join(_literal(value) for value in row) + ")" for row in rows)
    return f"SELECT {', '.join(casts)} FROM (VALUES {text}) AS v({', '.join(f'c{i}' for i in range(len(declared)))})"


_OBJECT_COLUMNS = (
    "name sysname;object_id int;principal_id int;schema_id int;parent_object_id int;type char(2);type_desc nvarchar(60);"
    "create_date datetime;modify_date datetime;is_ms_shipped bit"
)
_OBJECT_SELECT = """SELECT name, object_id, CAST(NULL AS INTEGER), schema_id, parent_object_id, rpad(type, 2, ' '), CASE type
 WHEN 'U' THEN 'USER_TABLE' WHEN 'V' THEN 'VIEW' WHEN 'PK' THEN 'PRIMARY_KEY_CONSTRAINT' WHEN 'UQ' THEN 'UNIQUE_CONSTRAINT'
 WHEN 'F' THEN 'FOREIGN_KEY_CONSTRAINT' WHEN 'D' THEN 'DEFAULT_CONSTRAINT' END, create_date, modify_date, false{more}
 FROM meta.objects {where}"""
_SYSTEM_COLUMNS = (
    "object_id int;name sysname;column_id int;system_type_id tinyint;user_type_id int;max_length smallint;precision tinyint;"
    "scale tinyint;collation_name sysname;is_nullable bit;is_ansi_padded bit;is_rowguidcol bit;is_identity bit;"
    "is_computed bit;is_filestream bit;is_replicated bit;is_sparse bit;is_column_set bit;default_object_id int;"
    "generated_always_type tinyint;generated_always_type_desc nvarchar(60);is_hidden bit;is_masked bit;"
    "encryption_type int"
)
_SYSTEM_COLUMNS_SELECT = """SELECT object_id, name, column_id, system_type_id, user_type_id, max_length, catalog_precision,
 catalog_scale, collation_name, is_nullable, true, false, seed IS NOT NULL, false, false, false, false, false, 0, 0,
 'NOT_APPLICABLE', false, false, NULL FROM meta.columns"""
_DATABASE_COLUMNS = (
    "name sysname;database_id int;create_date datetime;compatibility_level tinyint;collation_name sysname;user_access_desc "
    "nvarchar(60);is_read_only bit;state tinyint;state_desc nvarchar(60);snapshot_isolation_state tinyint;"
    "snapshot_isolation_state_desc nvarchar(60);is_read_committed_snapshot_on bit;recovery_model_desc nvarchar(60);"
    "is_cdc_enabled bit;containment tinyint"
)
_SESSION_COLUMNS = (
    "session_id smallint;login_time datetime;host_name nvarchar(128);program_name nvarchar(128);login_name nvarchar(128);"
    "status nvarchar(30);is_user_process bit;open_transaction_count int;database_id smallint;"
    "transaction_isolation_level smallint;last_request_start_time datetime;last_request_end_time datetime"
)
_ACTIVE_COLUMNS = (
    "transaction_id bigint;name nvarchar(32);transaction_begin_time datetime;transaction_type int;"
    "transaction_uow uniqueidentifier;transaction_state int;transaction_status int"
)
_SESSION_TRANSACTION_COLUMNS = (
    "session_id int;transaction_id bigint;enlist_count int;is_user_transaction bit;is_local bit;is_bound bit;"
    "open_transaction_count int"
)
_DATABASE_TRANSACTION_COLUMNS = (
    "transaction_id bigint;database_id int;database_transaction_begin_time datetime;database_transaction_type int;"
    "database_transaction_state int;database_transaction_log_record_count bigint;database_transaction_log_bytes_used bigint"
)
_CONNECTION_COLUMNS = (
    "session_id int;connect_time datetime;net_transport nvarchar(40);protocol_type nvarchar(40);encrypt_option nvarchar(40);"
    "auth_scheme nvarchar(40);client_net_address varchar(48)"
)
_REQUEST_COLUMNS = (
    "session_id smallint;status nvarchar(30);command nvarchar(32);database_id smallint;transaction_id bigint"
)


def _databases(session: Session) -> str:
    server = session.server
    rows = [
        (
            name,
            number,
            server.created,
            160,
            COLLATION_NAME,
            "MULTI_USER",
            False,
            0,
            "ONLINE",
            1,
            "ON",
            True,
            "SIMPLE",
            False,
            0,
        )
        for name, number in (("master", 1), (server.database, DATABASE_ID))
    ]
    return _values(rows, _DATABASE_COLUMNS)


def _sessions(session: Session) -> str:
    rows = [
        (other.spid, other.login_time, other.login.host, other.login.application, other.login.user,
         "running" if other.is_running else "sleeping", True, other.transaction_count, DATABASE_ID, 2,
         other.login_time, other.login_time)
        for other in session.server.sessions()
    ]  # fmt: skip
    return _values(rows, _SESSION_COLUMNS)


def _connections(session: Session) -> str:
    rows = [
        (other.spid, other.login_time, "TCP", "TSQL", "TRUE" if other.is_encrypted else "FALSE", "SQL", "127.0.0.1")
        for other in session.server.sessions()
    ]
    return _values(rows, _CONNECTION_COLUMNS)


def _active_transactions(session: Session) -> str:
    rows = [
        (item.number, "user_transaction", item.begun, 1 if item.has_written else 2, None, 2, 0)
        for _, item in session.server.open_transactions()
    ]
    return _values(rows, _ACTIVE_COLUMNS)


def _session_transactions(session: Session) -> str:
    rows = [(spid, item.number, 1, True, True, False, 1) for spid, item in session.server.open_transactions()]
    return _values(rows, _SESSION_TRANSACTION_COLUMNS)


def _database_transactions(session: Session) -> str:
    rows = [
        (item.number, DATABASE_ID, item.begun if item.has_written else None, 1 if item.has_written else 2,
         4 if item.has_written else 3, item.log_records, item.log_records * 120)
        for _, item in session.server.open_transactions()
    ]  # fmt: skip
    return _values(rows, _DATABASE_TRANSACTION_COLUMNS)


def _requests(session: Session) -> str:
    rows = [(s.spid, "running", "SELECT", DATABASE_ID, 0) for s in session.server.sessions() if s.is_running]
    return _values(rows, _REQUEST_COLUMNS)


def _row_counts(session: Session, figures: str) -> str:
    """One row per table with its live row count, then the figures that a view adds."""
    parts = [
        f"SELECT {number} AS object_id, count(*) AS row_count FROM {storage_name(schema, name)}"
        for number, schema, name in session.catalog.tables()
    ] or ["SELECT CAST(NULL AS INTEGER) AS object_id, CAST(0 AS BIGINT) AS row_count WHERE false"]
    return (
        f"SELECT {figures} FROM ({' UNION ALL '.join(parts)}) t LEFT JOIN (SELECT DISTINCT object_id, index_id FROM meta.indexes) i"
        " ON i.object_id = t.object_id"
    )


def _types() -> str:
    rows = []
    for name, user_id in USER_TYPE_IDS.items():
        if name in ("numeric", "sysname"):
            kind, length = (SqlType("decimal", 0, 38, 38), 17) if name == "numeric" else (SqlType("nvarchar", 128), 256)
        else:
            kind = {"decimal": SqlType("decimal", 0, 38, 38), "time": SqlType(name, 0, 0, 7)}.get(name) or parse_type(
                f"{name}(8000)"
                if name in ("varchar", "char", "binary", "varbinary")
                else f"{name}(4000)"
                if name in ("nvarchar", "nchar")
                else name
            )
            length = kind.max_length
        rows.append(
            (name, SYSTEM_TYPE_IDS[name], user_id, 4, length, kind.catalog_precision, kind.catalog_scale, kind.collation_name,
             True, False, name in ("hierarchyid", "geometry", "geography"), False)
        )  # fmt: skip
    return _values(rows, _TYPE_COLUMNS)


_TYPE_COLUMNS = (
    "name sysname;system_type_id tinyint;user_type_id int;schema_id int;max_length smallint;precision tinyint;scale tinyint;"
    "collation_name sysname;is_nullable bit;is_user_defined bit;is_assembly_type bit;is_table_type bit"
)
_IS_COLUMNS = (
    "TABLE_CATALOG nvarchar(128);TABLE_SCHEMA nvarchar(128);TABLE_NAME sysname;COLUMN_NAME sysname;ORDINAL_POSITION int;"
    "COLUMN_DEFAULT nvarchar(4000);IS_NULLABLE varchar(3);DATA_TYPE nvarchar(128);CHARACTER_MAXIMUM_LENGTH int;"
    "CHARACTER_OCTET_LENGTH int;NUMERIC_PRECISION tinyint;NUMERIC_PRECISION_RADIX smallint;NUMERIC_SCALE int;"
    "DATETIME_PRECISION smallint;CHARACTER_SET_NAME sysname;COLLATION_NAME sysname"
)


def _information_columns(session: Session) -> str:
    exact = "('tinyint','smallint','int','bigint','decimal','money','smallmoney')"
    return f"""SELECT {_literal(session.server.database)}, s.name, o.name, c.name, c.column_id, CASE WHEN c.default_text IS NULL THEN NULL
 ELSE '(' || c.default_text || ')' END, CASE WHEN c.is_nullable THEN 'YES' ELSE 'NO' END, c.catalog_name,
 CASE WHEN c.base IN ('char','varchar','nchar','nvarchar','binary','varbinary') THEN c.length WHEN c.base IN ('text','image') THEN
 2147483647 WHEN c.base = 'ntext' THEN 1073741823 WHEN c.base = 'xml' THEN -1 END,
 CASE WHEN c.base IN ('char','varchar','nchar','nvarchar','binary','varbinary','xml') THEN c.max_length WHEN c.base IN
 ('text','image','ntext') THEN 2147483647 END, CASE WHEN c.base IN {exact} OR c.base IN ('real','float') THEN c.catalog_precision END,
 CASE WHEN c.base IN {exact} THEN 10 WHEN c.base IN ('real','float') THEN 2 END, CASE WHEN c.base IN {exact} THEN c.catalog_scale END,
 CASE WHEN c.base IN ('time','datetime2','datetimeoffset') THEN c.scale WHEN c.base = 'datetime' THEN 3 WHEN c.base IN ('date',
 'smalldatetime') THEN 0 END, CASE WHEN c.base IN ('char','varchar','text') THEN 'iso_1' WHEN c.base IN ('nchar','nvarchar','ntext')
 THEN 'UNICODE' END, c.collation_name FROM meta.columns c JOIN meta.objects o USING (object_id) JOIN meta.schemas s USING (schema_id)"""


def _information(tail: str) -> Callable[[Session], str]:
    return lambda session: tail.replace("@database", _literal(session.server.database))


_VIEWS: dict[str, SystemView] = {
    "sys.objects": _view(_OBJECT_COLUMNS, _OBJECT_SELECT.format(where="", more="")),
    "sys.all_objects": _view(_OBJECT_COLUMNS, _OBJECT_SELECT.format(where="", more="")),
    "sys.tables": _view(
        _OBJECT_COLUMNS + ";temporal_type tinyint;is_external bit;is_memory_optimized bit;is_tracked_by_cdc bit;lob_data_space_id int",
        _OBJECT_SELECT.format(where="WHERE type = 'U'", more=", 0, false, false, false, 0"),
    ),
    "sys.views": _view(_OBJECT_COLUMNS + ";with_check_option bit", _OBJECT_SELECT.format(where="WHERE type = 'V'", more=", false")),
    "sys.schemas": _view("name sysname;schema_id int;principal_id int", "SELECT name, schema_id, 1 FROM meta.schemas"),
    "sys.columns": _view(_SYSTEM_COLUMNS, _SYSTEM_COLUMNS_SELECT),
    "sys.all_columns": _view(_SYSTEM_COLUMNS, _SYSTEM_COLUMNS_SELECT),
    "sys.types": _view(_TYPE_COLUMNS, _types()),
    "sys.identity_columns": _view(
        "object_id int;name sysname;column_id int;seed_value bigint;increment_value bigint;is_identity bit",
        "SELECT object_id, name, column_id, seed, increment, true FROM meta.columns WHERE seed IS NOT NULL",
    ),
    "sys.computed_columns": _view(
        "object_id int;name sysname;column_id int;definition nvarchar(max);is_persisted bit",
        "SELECT 0, '', 0, '', false WHERE false",
    ),
    "sys.default_constraints": _view(
        "name sysname;object_id int;parent_object_id int;parent_column_id int;definition nvarchar(max)",
        "SELECT default_name, 0, object_id, column_id, '(' || default_text || ')' FROM meta.columns WHERE default_text IS NOT NULL",
    ),
    "sys.indexes": _view(
        "object_id int;name sysname;index_id int;type tinyint;type_desc nvarchar(60);is_unique bit;data_space_id int;"
        "is_primary_key bit;is_unique_constraint bit;is_disabled bit;is_hypothetical bit;has_filter bit;"
        "filter_definition nvarchar(max)",
        """SELECT object_id, name, index_id, type, CASE type WHEN 1 THEN 'CLUSTERED' ELSE 'NONCLUSTERED' END, is_unique, 1,
 is_primary_key, is_unique_constraint, false, false, false, NULL FROM meta.indexes UNION ALL
 SELECT object_id, NULL, 0, 0, 'HEAP', false, 1, false, false, false, false, false, NULL FROM meta.objects o WHERE type = 'U'
 AND NOT EXISTS (FROM meta.indexes i WHERE i.object_id = o.object_id AND i.index_id = 1)""",
    ),
    "sys.index_columns": _view(
        "object_id int;index_id int;index_column_id int;column_id int;key_ordinal tinyint;partition_ordinal tinyint;"
        "is_descending_key bit;is_included_column bit",
        "SELECT object_id, index_id, ordinal, column_id, CASE WHEN is_included THEN 0 ELSE ordinal END, 0, is_descending,"
        " is_included FROM meta.index_columns",
    ),
    "sys.key_constraints": _view(
        "name sysname;object_id int;schema_id int;parent_object_id int;type char(2);type_desc nvarchar(60);unique_index_id int;"
        "is_system_named bit;is_enforced bit",
        """SELECT o.name, o.object_id, o.schema_id, o.parent_object_id, o.type, CASE o.type WHEN 'PK' THEN 'PRIMARY_KEY_CONSTRAINT'
 ELSE 'UNIQUE_CONSTRAINT' END, i.index_id, false, true FROM meta.objects o JOIN meta.indexes i ON i.constraint_id = o.object_id""",
    ),
    "sys.foreign_keys": _view(
        "name sysname;object_id int;schema_id int;parent_object_id int;type char(2);referenced_object_id int;is_disabled bit",
        "SELECT o.name, o.object_id, o.schema_id, o.parent_object_id, 'F ', f.referenced_object_id, false FROM meta.foreign_keys f"
        " JOIN meta.objects o USING (object_id)",
    ),
    "sys.foreign_key_columns": _view(
        "constraint_object_id int;constraint_column_id int;parent_object_id int;parent_column_id int;referenced_object_id int;"
        "referenced_column_id int",
        "SELECT c.object_id, ordinal, f.parent_object_id, parent_column_id, f.referenced_object_id, referenced_column_id"
        " FROM meta.foreign_key_columns c JOIN meta.foreign_keys f USING (object_id)",
    ),
    "sys.partitions": _view(
        "partition_id bigint;object_id int;index_id int;partition_number int;hobt_id bigint;rows bigint",
        lambda session: _row_counts(
            session, "t.object_id * 65536 + coalesce(i.index_id, 0), t.object_id, coalesce(i.index_id, 0), 1, t.object_id, t.row_count"
        ),
    ),
    "sys.dm_db_partition_stats": _view(
        "partition_id bigint;object_id int;index_id int;partition_number int;in_row_data_page_count bigint;used_page_count bigint;"
        "reserved_page_count bigint;row_count bigint",
        lambda session: _row_counts(
            session,
            "t.object_id * 65536 + coalesce(i.index_id, 0), t.object_id, coalesce(i.index_id, 0), 1, t.row_count // 64 + 1,"
            " t.row_count // 64 + 2, t.row_count // 64 + 9, t.row_count",
        ),
    ),
    "sys.databases": _view(_DATABASE_COLUMNS, _databases),
    "sys.dm_exec_sessions": _view(_SESSION_COLUMNS, _sessions),
    "sys.dm_exec_connections": _view(_CONNECTION_COLUMNS, _connections),
    "sys.dm_exec_requests": _view(_REQUEST_COLUMNS, _requests),
    "sys.dm_tran_active_transactions": _view(_ACTIVE_COLUMNS, _active_transactions),
    "sys.dm_tran_session_transactions": _view(_SESSION_TRANSACTION_COLUMNS, _session_transactions),
    "sys.dm_tran_database_transactions": _view(_DATABASE_TRANSACTION_COLUMNS, _database_transactions),
    "information_schema.tables": _view(
        "TABLE_CATALOG nvarchar(128);TABLE_SCHEMA nvarchar(128);TABLE_NAME sysname;TABLE_TYPE varchar(10)",
        _information("SELECT @database, s.name, o.name, CASE type WHEN 'U' THEN 'BASE TABLE' ELSE 'VIEW' END FROM meta.objects o"
                     " JOIN meta.schemas s USING (schema_id) WHERE type IN ('U', 'V')"),
    ),
    "information_schema.columns": _view(_IS_COLUMNS, _information_columns),
    "information_schema.key_column_usage": _view(
        "CONSTRAINT_CATALOG nvarchar(128);CONSTRAINT_SCHEMA nvarchar(128);CONSTRAINT_NAME sysname;TABLE_CATALOG nvarchar(128);"
        "TABLE_SCHEMA nvarchar(128);TABLE_NAME sysname;COLUMN_NAME nvarchar(128);ORDINAL_POSITION int",
        _information("""SELECT @database, s.name, i.name, @database, s.name, o.name, c.name, ic.ordinal FROM meta.indexes i
 JOIN meta.objects o USING (object_id) JOIN meta.schemas s USING (schema_id) JOIN meta.index_columns ic ON ic.object_id = i.object_id
 AND ic.index_id = i.index_id JOIN meta.columns c ON c.object_id = i.object_id AND c.column_id = ic.column_id
 WHERE i.constraint_id IS NOT NULL UNION ALL
 SELECT @database, s.name, k.name, @database, s.name, o.name, c.name, fc.ordinal FROM meta.foreign_keys f JOIN meta.objects k
 USING (object_id) JOIN meta.objects o ON o.object_id = f.parent_object_id JOIN meta.schemas s ON s.schema_id = o.schema_id
 JOIN meta.foreign_key_columns fc ON fc.object_id = f.object_id JOIN meta.columns c ON c.object_id = o.object_id
 AND c.column_id = fc.parent_column_id"""),
    ),
    "information_schema.table_constraints": _view(
        "CONSTRAINT_CATALOG nvarchar(128);CONSTRAINT_SCHEMA nvarchar(128);CONSTRAINT_NAME sysname;TABLE_CATALOG nvarchar(128);"
        "TABLE_SCHEMA nvarchar(128);TABLE_NAME sysname;CONSTRAINT_TYPE varchar(11);IS_DEFERRABLE varchar(2);INITIALLY_DEFERRED varchar(2)",
        _information("""SELECT @database, s.name, k.name, @database, s.name, o.name, CASE k.type WHEN 'PK' THEN 'PRIMARY KEY' WHEN 'UQ'
 THEN 'UNIQUE' ELSE 'FOREIGN KEY' END, 'NO', 'NO' FROM meta.objects k JOIN meta.objects o ON o.object_id = k.parent_object_id
 JOIN meta.schemas s ON s.schema_id = o.schema_id WHERE k.type IN ('PK', 'UQ', 'F')"""),
    ),
}  # fmt: skip


def find_view(schema: str, name: str) -> SystemView | None:
    """The system view of this name, if the stand-in has it."""
    return _VIEWS.get(f"{schema}.{name}".lower())
