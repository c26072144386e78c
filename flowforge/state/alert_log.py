"""What alerts were sent, and which a receiver did not take: an entry an alert, as long as runs are remembered.

Guarantees: an alert that is tried again stays one entry, which tells how often it was tried and how it stands.
"""

from typing import Any

from flowforge.aws import items
from flowforge.runtime.pages import cursor_of, fitting, place_of
from flowforge.runtime.settings import settings
from flowforge.state.expiry import EXPIRES_AT, NOT_EXPIRED, expires_at, now

ALERTS = "ALERTS"


def note_sent(alert: dict[str, Any], sent_at: str) -> None:
    """Notes that every receiver has taken an alert (`id`, `at` and what else is to be shown of it)."""
    _note(alert, "sent_at", sent_at, gone="problem")


def note_failed(alert: dict[str, Any], problem: str) -> None:
    """Notes why an alert was not taken the last time."""
    _note(alert, "problem", problem, gone="sent_at")


def _note(alert: dict[str, Any], name: str, value: str, gone: str) -> None:
    key = {"pk": ALERTS, "sk": f"{alert['at']}#{alert['id']}"}
    expression = f"SET alert = :alert, {name} = :value, {EXPIRES_AT} = :expires REMOVE {gone} ADD attempts :one"
    values = {":alert": alert, ":value": value, ":expires": expires_at(), ":one": 1}
    items.update(settings().runs_table, key, expression, values)


def newest(limit: int, cursor: str | None = None) -> dict[str, Any]:
    """The newest alerts, at most `limit`, as `alerts`; `next` is there where older ones follow. Raises InvalidRequest for a
    cursor that is none."""
    options: dict[str, Any] = {"ScanIndexForward": False, "Limit": limit + 1, "FilterExpression": NOT_EXPIRED}
    if place := place_of(cursor, 1):
        options["ExclusiveStartKey"] = items.encode({"pk": ALERTS, "sk": place[0]})
    found = list(items.query(settings().runs_table, "pk = :pk", {":pk": ALERTS, ":now": now()}, **options))
    shown = fitting(map(_shown, found[:limit]))
    more = {"next": cursor_of(found[len(shown) - 1]["sk"])} if shown and len(shown) < len(found) else {}
    return {"alerts": shown, **more}


def _shown(item: items.Item) -> dict[str, Any]:
    return {**item["alert"], **{name: item.get(name) for name in ("sent_at", "problem", "attempts")}}
