"""The alert step: from what the bus tells, and from the clock, to what a person hears.

Guarantees: takes no part in the chain; whatever goes wrong here, tables and runs know nothing of it. An alert that could not be
sent comes again, and lies in a dead-letter queue in the end. That it was told is noted after it was sent: a worker that dies in
between sends the same alert again, with the same id. A failure is told when a table begins to fail, when it fails otherwise, and
once a day; its recovery once. Of a run of which many tables fail, the first twenty are told one by one.
"""

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from events import facts
from events.commands import TellQuiet
from events.dispatch import opened, read_message
from flowforge.alerts import alert
from flowforge.alerts.alert import Alert
from flowforge.alerts.delivery import deliver
from flowforge.aws.fanout import send_commands
from flowforge.runtime.settings import settings
from flowforge.state import alert_states

AGAIN = timedelta(hours=24)  # a failure of the same kind is told again
MOST_OF_RUN = 20  # failures of one run that are told one by one
HEARD = (
    facts.BronzeLanded,
    facts.IntervalEmpty,
    facts.TablesUnchanged,
    facts.SilverRefined,
    facts.GoldPublished,
    facts.StepFailed,
)


def tell(envelope: Mapping[str, Any]) -> None:
    """Sends the alerts of one event of the bus, or of one order of the clock.

    Raises Retriable errors when the message is to come again, EndpointRefused when a receiver does not take it.
    """
    message = read_message(opened(envelope), TellQuiet, *HEARD)
    now = datetime.now(UTC)
    at = _time_of(envelope, now)
    told = Told(f"alert_{envelope.get('id')}", at)
    if isinstance(message, TellQuiet):
        _tell_quiet(message, now)
    elif isinstance(message, facts.StepFailed):
        _tell_failure(message, told, now)
    elif isinstance(message, facts.SilverRefined):
        _tell_of_batch(message, told, now)
    elif isinstance(message, facts.BronzeLanded):
        if message.records and not message.only_keys and settings().alert_quiet_hours:
            alert_states.note_new_rows(message.bronze_table, datetime.fromisoformat(at))
    elif isinstance(message, facts.TablesUnchanged):
        _tell_of_unchanged(message, told, now)
    else:
        _tell_recovery(
            message.bronze_table, message.run_id, told, now, read_only=isinstance(message, facts.IntervalEmpty)
        )


def _time_of(envelope: Mapping[str, Any], now: datetime) -> str:
    """When an event of the bus happened; now, where somebody has put something else there."""
    told = envelope.get("time")
    with suppress(TypeError, ValueError):
        if datetime.fromisoformat(told).tzinfo is not None:  # pyright: ignore[reportArgumentType] - anything may stand there
            return str(told)
    return now.isoformat(timespec="seconds")


class Told(dict[str, str]):
    """What every alert carries beside what it says."""

    def __init__(self, alert_id: str, at: str):
        super().__init__(id=alert_id, at=at, bucket=settings().bucket)


def look_for_quiet(now: datetime, queue_url: str) -> dict[str, int]:
    """Orders an alert for each table that has got no rows for too long; returns how many were `queued`."""
    quiet = alert_states.quiet(now) if settings().alert_quiet_hours and _wanted("nothing-new") else []
    send_commands(queue_url, [TellQuiet(bronze_table=table, at=now.isoformat(timespec="seconds")) for table in quiet])
    return {"queued": len(quiet)}


def _tell_quiet(order: TellQuiet, now: datetime) -> None:
    since = alert_states.quiet_since(order.bronze_table, datetime.fromisoformat(order.at))
    if since is None:
        return
    told = Told(f"alert_{order.bronze_table}_{since}", order.at)
    deliver(alert.nothing_new(order.bronze_table, since, settings().alert_quiet_hours, **told), now)
    alert_states.note_quiet_told(order.bronze_table, since)


def _tell_of_batch(fact: facts.SilverRefined, told: Told, now: datetime) -> None:
    if fact.already_applied:
        return
    if fact.schema_changes and _wanted("drift"):
        deliver(alert.drift(fact, **told | {"id": f"{told['id']}_drift"}), now)
    if fact.quarantined and _wanted("quarantine"):
        deliver(alert.quarantine(fact, **told | {"id": f"{told['id']}_quarantine"}), now)


def _tell_failure(fact: facts.StepFailed, told: Told, now: datetime) -> None:
    """That a table fails is noted before it is told: a receiver that does not take it at once must not cost the recovery."""
    table, what, at = fact.bronze_table, f"{fact.step} {fact.error}", told["at"]
    before = alert_states.failing(table) if table else None
    if before and _is_told(before, what, at):
        return
    still = not table or alert_states.note_failing(table, what, at)
    if _wanted("failure"):
        made = alert.failure(fact, **told)
        made = made if still else _of_the_past(made)
        count = alert_states.failure_of_run(fact.run_id, made.id, MOST_OF_RUN)
        if count:
            deliver(_last_of(made) if count == MOST_OF_RUN else made, now)
    if table and still:
        alert_states.note_failure_told(table, what, at)


def _is_told(failing: alert_states.Failing, what: str, at: str) -> bool:
    """Whether this failure of a table was told lately."""
    if failing.what != what or not failing.told_at:
        return False
    return datetime.fromisoformat(at) - datetime.fromisoformat(failing.told_at) < AGAIN


def _of_the_past(made: Alert) -> Alert:
    """What was sent late: the table was loaded in the meantime."""
    return made.model_copy(update={"title": f"{made.title}; it has been loaded again since"})


def _last_of(made: Alert) -> Alert:
    more = f"Further failures of this run are not told one by one: flowforge status {made.run_id} shows them. {made.remedy}"
    return made.model_copy(update={"remedy": more})


def _tell_of_unchanged(fact: facts.TablesUnchanged, told: Told, now: datetime) -> None:
    """Such tables had nothing new, as those of which IntervalEmpty tells."""
    for table in alert_states.failing_among(fact.tables):
        _tell_recovery(table, fact.run_id, told | {"id": f"{told['id']}_{table}"}, now, read_only=True)


def _tell_recovery(table: str, run_id: str, told: Mapping[str, str], now: datetime, *, read_only: bool) -> None:
    """A load that finds nothing new (`read_only`) shows that the source can be read again, and nothing of silver and gold."""
    before = alert_states.failing(table)
    if before is None or (read_only and not before.what.startswith("ingest ")):
        return
    if datetime.fromisoformat(told["at"]) < datetime.fromisoformat(before.since):
        return  # a load of before it began to fail, told late
    if _wanted("recovery"):
        deliver(alert.recovery(table, run_id, before.since, **told), now)
    alert_states.note_recovered(table, told["at"])


def _wanted(kind: str) -> bool:
    return kind in settings().alert_kinds.split(",")
