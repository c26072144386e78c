"""The views that change from moment to moment: sessions, transactions, databases, policies, Change Tracking.

Their rows are written into the query text when the view is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from .capture_views import CAPTURE_VIEWS
from .counters import COUNTER_COLUMNS, counters
from .errors import SqlError
from .size_views import SIZE_VIEWS
from .tracking import UNITS
from .view_text import SystemView, values, view

if TYPE_CHECKING:
    from .instance import Client
    from .session import Session


DATABASE_ID = 5


_DATABASE_COLUMNS = (
    "name sysname;database_id int;create_date datetime;compatibility_level tinyint;collation_name sysname;user_access_desc "
    "nvarchar(60);is_read_only bit;state tinyint;state_desc nvarchar(60);snapshot_isolation_state tinyint;"
    "snapshot_isolation_state_desc nvarchar(60);is_read_committed_snapshot_on bit;recovery_model_desc nvarchar(60);"
    "is_cdc_enabled bit;containment tinyint;group_database_id uniqueidentifier"
)


_RECOVERY_COLUMNS = "database_id int;recovery_fork_guid uniqueidentifier;first_recovery_fork_guid uniqueidentifier"


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


_POLICY_COLUMNS = "name sysname;object_id int;schema_id int;type_desc nvarchar(60);is_enabled bit;is_schema_bound bit"


_PREDICATE_COLUMNS = (
    "object_id int;security_predicate_id int;target_object_id int;predicate_definition nvarchar(4000);predicate_type int;"
    "predicate_type_desc nvarchar(60)"
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
            server.replicas.created,
            160,
            server.collation,
            "MULTI_USER",
            False,
            0,
            "ONLINE",
            int(server.allows_snapshot),
            "ON" if server.allows_snapshot else "OFF",
            server.reads_versions,
            "SIMPLE",
            server.capture.is_on and name == server.database,
            0,
            server.replicas.group if name == server.database else None,
        )
        for name, number in (("master", 1), (server.database, DATABASE_ID))
    ]
    return values(rows, _DATABASE_COLUMNS)


def _recovery(session: Session) -> str:
    rows = [(DATABASE_ID, session.server.replicas.fork, session.server.replicas.fork)]
    return values(rows, _RECOVERY_COLUMNS)


def _server_state(rows: Callable[[Session], str]) -> Callable[[Session], str]:
    """A view that wants VIEW SERVER PERFORMANCE STATE, as SQL Server 2022 calls it."""

    def checked(session: Session) -> str:
        if not session.sees_server_state:
            text = "VIEW SERVER PERFORMANCE STATE permission was denied on object 'server', database 'master'."
            raise SqlError(300, text, 14)
        return rows(session)

    return checked


def _visible_sessions(session: Session) -> Sequence[Client]:
    """A login without VIEW SERVER STATE sees its own session only, and is not told so."""
    return session.server.sessions() if session.sees_server_state else [session]


def _sessions(session: Session) -> str:
    rows = [
        (other.spid, other.login_time, other.login.host, other.login.application, other.login.user,
         "running" if other.is_running else "sleeping", True, other.transaction_count, DATABASE_ID, 2,
         other.login_time, other.login_time)
        for other in _visible_sessions(session)
    ]  # fmt: skip
    return values(rows, _SESSION_COLUMNS)


def _connections(session: Session) -> str:
    rows = [
        (other.spid, other.login_time, "TCP", "TSQL", "TRUE" if other.is_encrypted else "FALSE", "SQL", "127.0.0.1")
        for other in session.server.sessions()
    ]
    return values(rows, _CONNECTION_COLUMNS)


def _active_transactions(session: Session) -> str:
    rows = [
        (item.number, item.name, item.begun, 1 if item.has_written else 2, None, 2, 0)
        for _, item in session.server.open_transactions()
    ]
    return values(rows, _ACTIVE_COLUMNS)


def _session_transactions(session: Session) -> str:
    rows = [(spid, item.number, 1, True, True, False, 1) for spid, item in session.server.open_transactions()]
    return values(rows, _SESSION_TRANSACTION_COLUMNS)


def _database_transactions(session: Session) -> str:
    rows = [
        (item.number, DATABASE_ID, item.begun if item.has_written else None, 1 if item.has_written else 2,
         4 if item.has_written else 3, item.log_records, item.log_records * 120)
        for _, item in session.server.open_transactions()
    ]  # fmt: skip
    return values(rows, _DATABASE_TRANSACTION_COLUMNS)


def _requests(session: Session) -> str:
    rows = [(s.spid, "running", "SELECT", DATABASE_ID, 0) for s in _visible_sessions(session) if s.is_running]
    return values(rows, _REQUEST_COLUMNS)


def _policies(session: Session) -> str:
    rows = [(p.name.split(".")[-1], p.object_id, 1, "SECURITY_POLICY", p.is_enabled, True)
            for p in session.server.policies.visible(session.server.rights, session.login.user)]  # fmt: skip
    return values(rows, _POLICY_COLUMNS)


def _predicates(session: Session) -> str:
    rows = [
        (
            policy.object_id,
            number,
            session.catalog.object_id(*predicate.table.split(".")),
            predicate.definition,
            0,
            "FILTER",
        )
        for policy in session.server.policies.visible(session.server.rights, session.login.user)
        for number, predicate in enumerate(policy.predicates, 1)
    ]
    return values(rows, _PREDICATE_COLUMNS)


def _tracking_databases(session: Session) -> str:
    tracking = session.server.tracking
    row = (DATABASE_ID, tracking.cleans_up, tracking.period, UNITS[tracking.unit], tracking.unit)
    return values([row] if tracking.is_on else [], _TRACKING_DATABASE_COLUMNS)


def _tracking_tables(session: Session) -> str:
    return values(session.server.tracking.tables(), _TRACKING_TABLE_COLUMNS)


_TRACKING_DATABASE_COLUMNS = (
    "database_id int;is_auto_cleanup_on bit;retention_period int;retention_period_units tinyint;"
    "retention_period_units_desc nvarchar(60)"
)
_TRACKING_TABLE_COLUMNS = (
    "object_id int;is_track_columns_updated_on bit;min_valid_version bigint;begin_version bigint;cleanup_version bigint"
)

LIVE_VIEWS: dict[str, SystemView] = SIZE_VIEWS | {
    **CAPTURE_VIEWS,
    "sys.change_tracking_databases": view(_TRACKING_DATABASE_COLUMNS, _tracking_databases),
    "sys.change_tracking_tables": view(_TRACKING_TABLE_COLUMNS, _tracking_tables),
    "sys.internal_tables": view(
        "name sysname;object_id int;schema_id int;parent_object_id int;type char(2);type_desc nvarchar(60);create_date datetime;"
        "internal_type tinyint;internal_type_desc nvarchar(60);parent_id int",
        "SELECT 'change_tracking_' || object_id, side_id, 4, object_id, 'IT', 'INTERNAL_TABLE', created, 209, 'CHANGE_TRACKING',"
        " object_id FROM meta.tracked",
    ),
    "sys.security_policies": view(_POLICY_COLUMNS, _policies, since=2016),
    "sys.security_predicates": view(_PREDICATE_COLUMNS, _predicates, since=2016),
    "sys.databases": view(_DATABASE_COLUMNS, _databases),
    "sys.database_recovery_status": view(_RECOVERY_COLUMNS, _recovery),
    "sys.dm_exec_sessions": view(_SESSION_COLUMNS, _sessions),
    "sys.dm_exec_connections": view(_CONNECTION_COLUMNS, _server_state(_connections)),
    "sys.dm_exec_requests": view(_REQUEST_COLUMNS, _requests),
    "sys.dm_os_performance_counters": view(COUNTER_COLUMNS, _server_state(counters)),
    "sys.dm_tran_active_transactions": view(_ACTIVE_COLUMNS, _server_state(_active_transactions)),
    "sys.dm_tran_session_transactions": view(_SESSION_TRANSACTION_COLUMNS, _server_state(_session_transactions)),
    "sys.dm_tran_database_transactions": view(_DATABASE_TRANSACTION_COLUMNS, _server_state(_database_transactions)),
}
