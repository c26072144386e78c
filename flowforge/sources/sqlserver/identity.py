"""Whether a source is still the one that a watermark was taken from.

Guarantees: another server, another database, another recovery fork, a recreated table, a counter or a sentinel row that went
back: each stops the table with SourceChanged, before anything is claimed, until a person decides. Another replica of the same
availability group on the same recovery fork has the same data, and goes on: only a restore, or a failover that may have lost
some, begins a new fork. A fact that was not known then, or is not now, is no reason to stop.
"""

from typing import Any

from flowforge.domain.errors import SourceChanged
from flowforge.domain.given import given
from flowforge.domain.interval import Interval
from flowforge.sources.plans import LastRead
from flowforge.sources.sqlserver.connection import SourceConnection
from flowforge.sources.sqlserver.description import TableDescription
from flowforge.sources.sqlserver.sentinel_rows import (
    check_sentinel_rows,
    is_before,
    remember,
    take_sentinel_rows,
    taking,
    went_back,
)
from flowforge.sources.sqlserver.sql_types import cursor_kind

CHANGED = "restored, failed over or recreated?"
CAUSES = {"recovery_fork": "restored, or failed over with a loss of data?"}
OF_A_REPLICA = ("server_name", "database_created")  # these differ from replica to replica
FACTS = ("recovery_fork", *OF_A_REPLICA, "object_id")


def refuse_changed_source(name: str, identity: dict[str, Any], then: dict[str, Any]) -> list[str]:
    """Compares what the source says of itself with what it said when the watermark was taken; returns notes for the run."""
    failed_over = _same_group(identity, then)
    for fact in FACTS:
        was, now = then.get(fact), identity.get(fact)
        if was is not None and now is not None and was != now and not (failed_over and fact in OF_A_REPLICA):
            raise SourceChanged(
                f"{name}: {fact} was {was} when the watermark was taken and is {now}: {CAUSES.get(fact, CHANGED)}",
                "If the data is the same: flowforge watermark accept TABLE. If it is an earlier state: flowforge watermark set "
                "TABLE VALUE --column COLUMN, to that moment. If it is other data: flowforge watermark reset TABLE.",
            )
    was, now = then.get("identity_current"), identity.get("identity_current")
    if was is not None and now is not None and int(now) < int(was):
        raise went_back(f"{name}: its identity column had given out {was} and is at {now} now")
    before, after = then.get("server_name"), identity.get("server_name")
    if failed_over and before and before != after:
        return [f"the availability group has failed over from {before} to {after}, on the same recovery fork"]
    return []


def _same_group(now: dict[str, Any], then: dict[str, Any]) -> bool:
    """Whether both are replicas of one database, with one history."""
    facts = ("group_database", "recovery_fork")
    return all(now.get(fact) is not None and now.get(fact) == then.get(fact) for fact in facts)


def known_rows(
    connection: SourceConnection, description: TableDescription | None, interval: Interval, last: LastRead | None
) -> dict[str, Any]:
    """The sentinel rows to keep with a batch, after those of the watermark were looked up, as {"canaries": …}.

    Raises SourceChanged for one that went back, and for row versions below the watermark.
    """
    column, high = interval.column, interval.high
    if column is None:
        return {}
    sql_type, mark = given(interval.sql_type), last.position if last else None
    if mark and high and cursor_kind(sql_type) == "rowversion" and is_before(high, mark.value, sql_type):
        raise went_back(f"{column}: the database's row versions stand at {high}, below the watermark {mark.value}")
    if description is None:
        return {}
    kept = last.identity.get("canaries", []) if last and mark and mark.type == sql_type else []
    newest = taking(description, interval) if high else None
    kept = check_sentinel_rows(connection, description, column, sql_type, kept, [newest] if newest else [])
    return {"canaries": remember(kept, take_sentinel_rows(connection, description, interval) if high else [])}
