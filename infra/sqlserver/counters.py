"""What the server counts of itself, as sys.dm_os_performance_counters shows it: of its many counters the one that tests ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .view_text import values

if TYPE_CHECKING:
    from .session import Session

COUNTER_COLUMNS = (
    "object_name nchar(128);counter_name nchar(128);instance_name nchar(128);cntr_value bigint;cntr_type int"
)
_GROWS = 272696576  # PERF_COUNTER_BULK_COUNT: all since the server's start, whatever the counter's name says


def counters(session: Session) -> str:
    """The rows of sys.dm_os_performance_counters."""
    requests = session.server.batch_requests
    return values([("SQLServer:SQL Statistics", "Batch Requests/sec", "", requests, _GROWS)], COUNTER_COLUMNS)
