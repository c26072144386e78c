"""What alerts remember of a table: that it is failing and since when, and when its rows were last new."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from pydantic import BaseModel

from flowforge.aws import items
from flowforge.domain.given import given
from flowforge.runtime.settings import settings
from flowforge.state.expiry import EXPIRES_AT, expires_at
from flowforge.state.schedules import due_keys

NEW = "new"  # what a table waits for, in the index of schedules


class Failing(BaseModel):
    """The failure of a table: what failed (step and error), `since` when, and when it was told last; never yet is None."""

    since: str
    what: str
    told_at: str | None = None


def failing(table: str) -> Failing | None:
    """The failure of a table; None where it is not failing."""
    found = items.get(settings().schedules_table, _key(table)) or {}
    named = {name: found.get(f"failing_{name}") for name in Failing.model_fields}
    return Failing.model_validate(named) if named["since"] else None


def failing_among(tables: Sequence[str]) -> list[str]:
    """Those of many tables that are failing."""
    found = items.get_many(settings().schedules_table, [_key(table) for table in tables])
    return [table for table, item in zip(tables, found, strict=True) if item and "failing_since" in item]


def note_failing(table: str, what: str, at: str) -> bool:
    """Remembers that a table fails, before it is told; False where the table has recovered since."""
    expression = "SET failing_since = if_not_exists(failing_since, :at), failing_what = :what REMOVE failing_told_at"
    later = "attribute_not_exists(recovered_at) OR recovered_at <= :at"
    return items.update(settings().schedules_table, _key(table), expression, {":at": at, ":what": what}, later)


def note_failure_told(table: str, what: str, at: str) -> None:
    """Remembers that the failure of a table was told, where it still fails so."""
    values = {":at": at, ":what": what}
    items.update(settings().schedules_table, _key(table), "SET failing_told_at = :at", values, "failing_what = :what")


def note_recovered(table: str, at: str) -> None:
    """Forgets the failure of a table."""
    expression = "SET recovered_at = :at REMOVE failing_since, failing_told_at, failing_what"
    items.update(settings().schedules_table, _key(table), expression, {":at": at})


def note_new_rows(table: str, at: datetime) -> None:
    """Remembers when a table last got rows, and from when on it counts as quiet, where that is to be told."""
    due = at + timedelta(hours=settings().alert_quiet_hours)
    expression, values = (
        "SET new_at = :at, waits = :new, due_at = :due",
        {":at": _text(at), ":new": NEW, ":due": _text(due)},
    )
    newer = "attribute_not_exists(new_at) OR new_at < :at"
    items.update(settings().schedules_table, _key(table), expression, values, newer)


def quiet(now: datetime) -> list[str]:
    """The tables that have had no new rows for as long as is to be told, and of which it was not told yet."""
    return [key["pk"].removeprefix("ALERT#") for key in due_keys(_text(now), NEW)]


def quiet_since(table: str, now: datetime) -> str | None:
    """Since when a table has had no new rows, where that is to be told now."""
    found = items.get(settings().schedules_table, _key(table)) or {}
    return found["new_at"] if found.get("waits") == NEW and found["due_at"] <= _text(now) else None


def note_quiet_told(table: str, since: str) -> None:
    """Lets a table be quiet until it gets rows again."""
    values = {":since": since}
    items.update(settings().schedules_table, _key(table), "REMOVE waits, due_at", values, "new_at = :since")


def failure_of_run(run_id: str, alert_id: str, most: int) -> int | None:
    """The how-manieth failure of a run an alert is, however often it is asked; None where it is beyond the first `most`."""
    key = {"pk": run_id, "sk": "ALERTS"}
    values = {":id": alert_id, ":one": {alert_id}, ":most": most, ":expires": expires_at()}
    room = "attribute_not_exists(told_ids) OR size(told_ids) < :most OR contains(told_ids, :id)"
    if not items.update(settings().runs_table, key, f"ADD told_ids :one SET {EXPIRES_AT} = :expires", values, room):
        return None
    return len(given(items.get(settings().runs_table, key))["told_ids"])


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


def _key(table: str) -> items.Item:
    return {"pk": f"ALERT#{table}", "sk": "TABLE"}
