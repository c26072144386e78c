"""What alerts remember of a table: that it is failing and since when, and when its rows were last new."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from flowforge.aws import items
from flowforge.domain.given import given
from flowforge.runtime.settings import settings
from flowforge.state.expiry import EXPIRES_AT, expires_at
from flowforge.state.schedules import due_keys

NEW = "new"  # what a table waits for, in the index of schedules


def failing(table: str) -> dict[str, Any] | None:
    """The failure of a table that was told: `since`, `told_at`, `what`; None where it is not failing."""
    found = items.get(settings().schedules_table, _key(table)) or {}
    return (
        {name: found[f"failing_{name}"] for name in ("since", "told_at", "what")} if "failing_since" in found else None
    )


def failing_among(tables: Sequence[str]) -> list[str]:
    """Those of many tables that are failing."""
    found = items.get_many(settings().schedules_table, [_key(table) for table in tables])
    return [table for table, item in zip(tables, found, strict=True) if item and "failing_since" in item]


def note_failing(table: str, what: str, at: str) -> None:
    """Remembers a failure that was told."""
    expression = "SET failing_since = if_not_exists(failing_since, :at), failing_told_at = :at, failing_what = :what"
    items.update(settings().schedules_table, _key(table), expression, {":at": at, ":what": what})


def note_recovered(table: str) -> None:
    """Forgets the failure of a table."""
    expression = "REMOVE failing_since, failing_told_at, failing_what"
    items.update(settings().schedules_table, _key(table), expression, {})


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


def count_failure(run_id: str) -> int:
    """How many failures of a run were told, this one included."""
    key = {"pk": run_id, "sk": "ALERTS"}
    expression, values = f"ADD told :one SET {EXPIRES_AT} = :expires", {":one": 1, ":expires": expires_at()}
    items.update(settings().runs_table, key, expression, values)
    return given(items.get(settings().runs_table, key))["told"]


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


def _key(table: str) -> items.Item:
    return {"pk": f"ALERT#{table}", "sk": "TABLE"}
