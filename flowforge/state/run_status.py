"""What is shown of a run and of each of its tables, by the items that the run history keeps (`state.runs`).

Guarantees: pure. A table's status is derived from the steps that events told of, in whatever order these came; a step that has
succeeded outweighs its earlier failure.
"""

import json
from collections.abc import Mapping
from typing import Any

from flowforge.aws import items
from flowforge.aws.compact import unpack
from flowforge.state import run_usage
from flowforge.state.expiry import EXPIRES_AT

RANK = "slices_rank"  # order of what is told of a run's slices: batch, then how many are done
TERMINAL = ("published", "empty", "failed")
SHOWN = (
    "workflow_id",
    "workflow_name",
    "job_id",
    "job_name",
    "batch_id",
    "trigger",
    "accepted_at",
    "finished_at",
)
STEPS = ("ingest", "watermark", "silver", "gold")


def head_of(run: items.Item, tables: list[dict[str, Any]], discarded: list[dict[str, Any]]) -> dict[str, Any]:
    """What is shown of a run beside its tables, of which `status` and `finished_at` are asked."""
    shown = {k: run.get(k) for k in SHOWN}
    status = "rejected" if run["status"] == "rejected" else run_status(tables)
    if status in ("succeeded", "failed"):
        shown["finished_at"] = max((t["finished_at"] for t in tables if t["finished_at"]), default=None)
    mistakes = json.loads(run["mistakes"]) if "mistakes" in run else []
    return {"run_id": run["pk"], **shown, "status": status, "mistakes": mistakes, "discarded": discarded}


def run_status(tables: list[dict[str, Any]]) -> str:
    """A run has succeeded when every table is published or empty; one that failed shows once all have come to an end."""
    statuses = {table["status"] for table in tables}
    if not statuses <= set(TERMINAL):
        return "accepted" if statuses == {"queued"} else "running"
    return "failed" if "failed" in statuses else "succeeded"


def table_status(bronze: str, source: str, item: items.Item) -> dict[str, Any]:
    """What is known of one table of a run, from the events that arrived."""
    own = ("pk", "sk", RANK, EXPIRES_AT)
    known = {k: unpack(v) for k, v in item.items() if k not in own and not run_usage.is_usage(k)}
    landed, empty, committed = known.get("ingest", {}), known.get("empty", {}), known.get("watermark", {})
    refined, published = known.get("silver", {}), known.get("gold", {})
    status, finished, error = outcome(known)
    return {
        "table": landed.get("bronze_table") or empty.get("bronze_table") or bronze,
        "source_table": landed.get("source_table") or empty.get("source_table") or source,
        "status": status,
        "slices": known.get("slices"),
        "records": landed.get("records", 0 if empty else None),
        **{
            k: landed.get(k)
            for k in (
                "columns",
                "bronze_key",
                "bronze_file_path",
                "file_size_bytes",
                "cursor_column",
                "consistency",
                "source_rows",
                "counted",
                "counted_at",
            )
        },
        "promise": landed.get("promise") or empty.get("promise"),
        "watermark_before": committed.get("watermark_before") or empty.get("watermark_value"),
        "watermark_after": committed.get("watermark_after") or empty.get("watermark_value"),
        "watermark_committed": bool(committed),
        **{k: refined.get(k) for k in ("silver_table", "silver_rows", "inserted", "updated", "deleted", "quarantined")},
        "quality": refined.get("quality", []),
        "schema_changes": refined.get("schema_changes", []),
        "gold_tables": published.get("gold_tables"),
        "gold_quality": published.get("quality", {}),
        "deferred": published.get("deferred", []),
        "reason": empty.get("reason"),
        "notes": [*(landed.get("notes") or empty.get("notes", [])), *refined.get("notes", [])],
        "seconds": {
            "ingest": landed.get("seconds"),
            "silver": refined.get("seconds"),
            "gold": published.get("seconds"),
        },
        "usage": run_usage.by_step(item),
        "finished_at": finished,
        "error": error and {k: error[k] for k in ("step", "error", "cause", "remedy", "attempts")},
    }


def outcome(known: Mapping[str, Any]) -> tuple[str, str | None, Any]:
    """A table's status, when it came to its end, and what failed, by its steps with the time (`at`) of each."""
    done = set(known) | ({"ingest"} if known.get("empty") else set())
    error = next((known[f"failed_{s}"] for s in STEPS if f"failed_{s}" in known and s not in done), None)
    return *_status(known, error), error


def _status(known: Mapping[str, Any], error: Mapping[str, Any] | None) -> tuple[str, str | None]:
    if {"ingest", "watermark", "silver", "gold"} <= set(known):
        return "published", max(known["gold"]["at"], known["watermark"]["at"])
    if error:
        return "failed", error["at"]
    if "empty" in known and "ingest" not in known:
        return "empty", known["empty"]["at"]
    reached = {"silver": "refined", "ingest": "landed", "slices": "reading"}
    return next((name for step, name in reached.items() if step in known), "queued"), None
