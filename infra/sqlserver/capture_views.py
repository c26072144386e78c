"""The views of Change Data Capture: its tables, and when each commit was."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .view_text import SystemView, view

if TYPE_CHECKING:
    from .session import Session


def _change_tables(session: Session) -> str:
    session.server.capture.check("cdc.change_tables")
    return (
        "SELECT object_id, 0, source_id, capture_instance, lsn_bytes(start_lsn), NULL, supports_net_changes, false, NULL,"
        " NULL, NULL, created, true FROM meta.captures"
    )


def _times(session: Session) -> str:
    session.server.capture.check("cdc.lsn_time_mapping")
    return "SELECT lsn_bytes(lsn), begun, ended, unhex(printf('%020X', xdes)), lsn_bytes(lsn) FROM meta.lsns"


CAPTURE_VIEWS: dict[str, SystemView] = {
    "cdc.change_tables": view(
        "object_id int;version int;source_object_id int;capture_instance sysname;start_lsn binary(10);end_lsn binary(10);"
        "supports_net_changes bit;has_drop_pending bit;role_name sysname;index_name sysname;filegroup_name sysname;"
        "create_date datetime;partition_switch bit",
        _change_tables,
    ),
    "cdc.lsn_time_mapping": view(
        "start_lsn binary(10);tran_begin_time datetime;tran_end_time datetime;tran_id varbinary(10);tran_begin_lsn binary(10)",
        _times,
    ),
}
