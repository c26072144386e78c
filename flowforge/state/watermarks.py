"""Watermarks as people and the bus see them: committed from landed batches, shown, set and reset by hand."""

from typing import Any

from events.facts import BronzeLanded, WatermarkCommitted
from events.request import InvalidRequest
from flowforge.errors import Retriable
from flowforge.state import batches, corrections
from flowforge.state.batch import Batch
from flowforge.state.table import TableState, list_states, resolve


def commit_landed(landed: BronzeLanded) -> WatermarkCommitted | None:
    """Commits the batch that a BronzeLanded tells of; None when a correction by hand has voided it."""
    batch = batches.find_batch(landed.source_key, landed.generation, landed.seq)
    if batch is None or batch.state == "claimed":
        raise Retriable(f"batch {landed.seq} of {landed.source_key} is not recorded as landed yet")
    if batch.state == "voided":
        return None
    before, after = batches.commit(batch)
    return WatermarkCommitted(
        run_id=landed.run_id,
        bronze_table=landed.bronze_table,
        source_key=batch.source_key,
        generation=batch.generation,
        seq=batch.seq,
        cursor_column=batch.interval.column,
        watermark_before=before,
        watermark_after=after,
    )


def list_all() -> list[dict[str, Any]]:
    """All tables with their watermarks."""
    return [_shown(state) for state in list_states()]


def show(name: str) -> dict[str, Any]:
    """One table with its watermarks, last batches and corrections; raises NotFound or ConflictingTarget."""
    state = resolve(name)
    past = [_past(batch) for batch in batches.history(state.source_key)]
    return _shown(state) | {"history": past, "audit": corrections.audit(state.source_key)}


def set_by_hand(name: str, body: dict[str, Any]) -> dict[str, Any]:
    """Sets a watermark; the body is {"column", "value", "reason"?}. Its value is checked by the source at the next load."""
    mistakes = [
        {"field": field, "problem": "expected text"}
        for field in ("column", "value")
        if not isinstance(body.get(field), str) or not body[field].strip()
    ]
    mistakes += [{"field": f, "problem": "unknown field"} for f in sorted(set(body) - {"column", "value", "reason"})]
    if mistakes:
        raise InvalidRequest(mistakes)
    reason = str(body.get("reason") or "")
    return _shown(corrections.set_watermark(resolve(name), body["column"], body["value"].strip(), reason))


def reset_by_hand(name: str, reason: str) -> dict[str, Any]:
    """Forgets a table's watermarks; its next load starts anew."""
    return _shown(corrections.reset_watermarks(resolve(name), reason))


def _shown(state: TableState) -> dict[str, Any]:
    active = batches.find_batch(state.source_key, state.generation, state.active) if state.active else None
    return {
        "source_key": state.source_key,
        "bronze_table": state.bronze_table,
        "source_table": state.source_table,
        "generation": state.generation,
        "seq": state.seq,
        "watermarks": {
            column: mark.model_dump(include={"value", "sql_type", "committed_at", "seq"})
            for column, mark in state.watermarks.items()
        },
        "active_batch": active and {"seq": active.seq, "state": active.state, "lease_until": active.lease_until},
    }


def _past(batch: Batch) -> dict[str, Any]:
    return {
        "seq": batch.seq,
        "generation": batch.generation,
        "run_id": batch.command.run_id,
        "state": "refined" if batch.refined and batch.state == "committed" else batch.state,
        "label": batch.label,
        "low": batch.interval.low,
        "high": batch.interval.high,
        "records": batch.manifest.rows if batch.manifest else 0,
    }
