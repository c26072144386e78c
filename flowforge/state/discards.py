"""Messages that a person gave up for good: what they were about, why they had failed, and why nobody wants them any more.

Guarantees: an entry is written before its message is deleted, under the message's own id, so discarding again after a crash
writes the same entry. No message's text is kept: a request may hold a password. Entries stay as long as the runs table.
"""

from datetime import UTC, datetime
from typing import Any

from flowforge.aws import items
from flowforge.domain.errors import StoreUnavailable
from flowforge.runtime.pages import cursor_of, fitting, place_of
from flowforge.runtime.settings import settings

DISCARDED = "DISCARDED"
IDS = "discarded_ids"  # of a run's own item: those of its messages that were given up
SHOWN = ("id", "queue", "table", "run_id", "reason", "sent_at", "at", "discarded_because", "consequence")
CONSEQUENCES = {
    "submit": "the request is not run",
    "ingest": "the run does not load the table; its watermark stays, and the next load reads the rows",
    "slice": "the next load of the table gives its batch up and reads the rows again",
    "watermark": "the sweeper tells of the batch again",
    "silver": "the batch stays in bronze and does not reach silver; set the table's watermark back to read its rows again",
    "gold": "gold follows with the table's next batch",
    "track": "the run shows less than happened",
    "lineage": "lineage lacks what the event told",
    "alerts": "nobody is alerted",
}


def consequence(queue: str) -> str:
    """What it means that a message of this queue is never handled."""
    return CONSEQUENCES.get(queue, "nobody handles the message")


def keep(letter: dict[str, Any], because: str) -> None:
    """Writes down that a message is given up; with its run, too, where it names one."""
    sent_at = datetime.fromtimestamp(letter["at"], UTC).isoformat(timespec="milliseconds")
    entry = {key: letter.get(key) for key in ("id", "queue", "table", "run_id", "reason")} | {
        "sent_at": sent_at,
        "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "discarded_because": because,
        "consequence": consequence(letter["queue"]),
    }
    places = [{"pk": DISCARDED, "sk": f"{sent_at}#{letter['id']}"}]
    if letter.get("run_id"):
        places.append({"pk": letter["run_id"], "sk": f"{DISCARDED}#{letter['id']}"})
    if not items.transact([items.put_action(settings().runs_table, place | entry) for place in places]):
        raise StoreUnavailable("another discard is at the same message", "Run the command again.")
    if letter.get("run_id"):
        run = {"pk": letter["run_id"], "sk": "RUN"}
        values = {":id": {str(letter["id"])}}
        items.update(settings().runs_table, run, "ADD #ids :id", values, "attribute_exists(pk)", ids=IDS)


def keys_of(run: items.Item) -> list[items.Item]:
    """The items that tell of a run's messages that were given up, by the run's own item."""
    return [{"pk": run["pk"], "sk": f"{DISCARDED}#{one}"} for one in sorted(run.get(IDS, ()))]


def of_run(found: dict[str, items.Item]) -> list[dict[str, Any]]:
    """Those among a run's items (by sort key), oldest first."""
    return sorted((_shown(item) for sk, item in found.items() if sk.startswith(DISCARDED)), key=lambda one: one["at"])


def newest(limit: int, cursor: str | None = None) -> dict[str, Any]:
    """What was given up, the newest messages first, at most `limit`, as `discarded`; `next` is there where older ones follow.
    Raises InvalidRequest for a cursor that is none."""
    options: dict[str, Any] = {"ScanIndexForward": False, "Limit": limit + 1}
    if place := place_of(cursor, 1):
        options["ExclusiveStartKey"] = items.encode({"pk": DISCARDED, "sk": place[0]})
    found = list(items.query(settings().runs_table, "pk = :pk", {":pk": DISCARDED}, **options))
    shown = fitting(map(_shown, found[:limit]))
    more = {"next": cursor_of(found[len(shown) - 1]["sk"])} if shown and len(shown) < len(found) else {}
    return {"discarded": shown, **more}


def _shown(item: items.Item) -> dict[str, Any]:
    return {field: item.get(field) for field in SHOWN}
