"""Watermarks set, reset or kept for a changed source by hand.

Guarantees: a new generation begins, the claim under way is voided and an audit entry stays, in one write.
"""

import time
import uuid
from datetime import UTC, datetime
from typing import Any

from flowforge.aws import items
from flowforge.domain.errors import Wait
from flowforge.runtime.settings import settings
from flowforge.state.batch_records import stored_batch
from flowforge.state.table import TableState, Watermark


def set_watermark(state: TableState, column: str, value: str, reason: str) -> TableState:
    """Makes `value` the watermark of `column`: the next load reads rows from it on, inclusive."""
    before = state.watermarks.get(column)
    mark = Watermark(value=value, seq=state.seq, committed_at=datetime.now(UTC).isoformat(timespec="seconds"))
    entry = {"action": "set", "column": column, "before": before.value if before else None, "after": value}
    return _correct(state, state.watermarks | {column: mark}, entry, reason)


def reset_watermarks(state: TableState, reason: str) -> TableState:
    """Forgets the watermarks of all cursor columns: the next load starts from the beginning, or from its lastWatermark."""
    before = ", ".join(f"{column}={mark.value}" for column, mark in state.watermarks.items())
    return _correct(state, {}, {"action": "reset", "column": None, "before": before or None, "after": None}, reason)


def accept_source(state: TableState, reason: str) -> TableState:
    """Keeps the watermarks and forgets what the source was known by: the next load takes its new identity and sentinel rows."""
    kept = {column: mark.model_copy(update={"identity": {}}) for column, mark in state.watermarks.items()}
    marks = ", ".join(f"{column}={mark.value}" for column, mark in state.watermarks.items()) or None
    return _correct(state, kept, {"action": "accept", "column": None, "before": marks, "after": marks}, reason)


def audit(source_key: str) -> list[dict[str, Any]]:
    """The corrections of a table, newest first."""
    condition, values = "pk = :pk AND begins_with(sk, :audit)", {":pk": source_key, ":audit": "AUDIT#"}
    found = items.query(settings().watermarks_table, condition, values, ScanIndexForward=False, Limit=50)
    return [{k: item.get(k) for k in ("at", "action", "column", "before", "after", "reason")} for item in found]


def _correct(state: TableState, watermarks: dict[str, Watermark], entry: dict[str, Any], reason: str) -> TableState:
    table = settings().watermarks_table
    following = state.model_copy(
        update={
            "generation": state.generation + 1,
            "active": None,
            "watermarks": watermarks,
            "samples": {},
            "landed": None,
        }
    )
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    note = {"pk": state.source_key, "sk": f"AUDIT#{at}#{uuid.uuid4().hex[:8]}", "at": at, "reason": reason, **entry}
    actions = [following.put_action(), items.put_action(table, note)]
    batch = stored_batch(state.source_key, state.generation, state.active) if state.active else None
    if batch and batch.get("state") in (
        "claimed",
        "landed",
    ):  # as stored: a record that cannot be read can be given up, too
        key = {"pk": batch["pk"], "sk": batch["sk"]}
        values = {":voided": "voided", ":state": batch["state"], ":now": time.time()}
        # What a claim had landed is the sweeper's to remove; a landed batch keeps its objects.
        expression = "SET #s = :voided, updated_at = :now"
        names = {"s": "state"}
        if batch["state"] == "landed":
            expression, names = f"{expression} REMOVE #open", {**names, "open": "open"}
        actions.append(items.update_action(table, key, expression, values, "#s = :state", **names))
    if not items.transact(actions):
        raise Wait(f"{state.source_key} changed meanwhile", 1)
    return following.model_copy(update={"version": state.version + 1})
