"""The records of batches in the watermark table: found by identity, by run, newest first, or as long as they are under way.

A record changes by compare-and-set on its state and its attempt's fencing token only. An answer that was lost on the way is
recognised by that token and not mistaken for somebody else's write.
"""

import json
import time
from typing import Any

from flowforge.cloud import items
from flowforge.settings import settings
from flowforge.state.batch import Batch

RETRY_SECONDS = 3
_JSON = ("interval", "command", "identity", "slices", "manifest")


def key_of(batch: Batch) -> items.Item:
    """Where a batch's record is."""
    return {"pk": batch.source_key, "sk": _batch_sk(batch.generation, batch.seq)}


def _batch_sk(generation: int, seq: int) -> str:
    return f"BATCH#{generation:06d}#{seq:010d}"


def item_of(batch: Batch) -> items.Item:
    """The stored form of a batch; the sweeper sees it."""
    plain = json.loads(batch.model_dump_json(exclude={"source_key"}))
    for field in _JSON:
        plain[field] = json.dumps(plain[field])
    return {**key_of(batch), **plain, "open": "open"}


def _batch(item: items.Item) -> Batch:
    fields = {k: json.loads(v) if k in _JSON else v for k, v in item.items() if k not in ("pk", "sk")}
    return Batch(source_key=item["pk"], **fields)


def find_batch(source_key: str, generation: int, seq: int) -> Batch | None:
    """The record of one batch."""
    found = items.get(settings().watermarks_table, {"pk": source_key, "sk": _batch_sk(generation, seq)})
    return _batch(found) if found else None


def batch_of_run(source_key: str, run_id: str) -> Batch | None:
    """The batch that a run has already claimed for this table; a redelivered message finds its own work by it."""
    found = items.get(settings().watermarks_table, {"pk": source_key, "sk": f"RUN#{run_id}"})
    return find_batch(source_key, found["generation"], found["seq"]) if found else None


def history(source_key: str, limit: int = 20) -> list[Batch]:
    """The newest batches of a table, newest first."""
    condition, values = "pk = :pk AND begins_with(sk, :batch)", {":pk": source_key, ":batch": "BATCH#"}
    found = items.query(settings().watermarks_table, condition, values, ScanIndexForward=False, Limit=limit)
    return [_batch(item) for item in found]


def open_batches(idle_seconds: float) -> list[Batch]:
    """Batches that are under way but have not moved for `idle_seconds`."""
    condition, values = "#open = :open AND updated_at < :idle", {":open": "open", ":idle": time.time() - idle_seconds}
    options = {"IndexName": "open-batches", "ExpressionAttributeNames": {"#open": "open"}}
    found = items.query(settings().watermarks_table, condition, values, **options)
    keys = [(item["pk"], item["sk"]) for item in found]
    stored = (items.get(settings().watermarks_table, {"pk": pk, "sk": sk}) for pk, sk in keys)
    return [_batch(item) for item in stored if item]


def write(batch: Batch, expression: str, values: items.Item, state: str) -> bool:
    """Updates the batch's record while it is in `state` under this attempt's token."""
    values = values | {":mine": batch.token, ":state": state, ":now": time.time()}
    names = {"s": "state"} | ({"t": "token"})
    return items.update(
        settings().watermarks_table,
        key_of(batch),
        f"{expression}, updated_at = :now",
        values,
        "#t = :mine AND #s = :state",
        **names,
    )


def is_written(batch: Batch, state: str) -> bool:
    """Whether a write that was refused is this attempt's own, whose answer was lost: an SDK sends a call again by itself."""
    stored = find_batch(batch.source_key, batch.generation, batch.seq)
    return stored is not None and (stored.token, stored.state) == (batch.token, state)


def transition(batch: Batch, before: str, after: str, close: bool = False, open_again: bool = False) -> dict[str, Any]:
    """A change of state; `close` takes the batch out of the sweeper's sight, `open_again` puts it there."""
    expression = "SET #s = :after, updated_at = :now" + (", #open = :open" if open_again else "")
    expression += " REMOVE #open" if close else ""
    names = {"s": "state", "t": "token"} | ({"open": "open"} if close or open_again else {})
    values = {":after": after, ":before": before, ":mine": batch.token, ":now": time.time()}
    values |= {":open": "open"} if open_again else {}
    condition = "#s = :before AND #t = :mine"
    return items.update_action(settings().watermarks_table, key_of(batch), expression, values, condition, **names)
