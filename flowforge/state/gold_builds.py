"""What became of each gold table when it was last its turn, with the run: in short, for lists, which read a hundred in one call.

The full story is in the bucket beside the tables (`gold/outcomes.py`).
"""

from datetime import datetime
from typing import Any

from flowforge.aws import items
from flowforge.runtime.settings import settings

BUILD = "BUILD"


def note(gold_table: str, run_id: str | None, outcome: str, at: datetime) -> None:
    """Writes down how the table's turn has ended: built, failed or waits; `run_id` is none where a model was kept by hand."""
    values = {":run": run_id or "", ":outcome": outcome, ":at": at.isoformat(timespec="milliseconds")}
    items.update(
        settings().watermarks_table, _key(gold_table), "SET run_id = :run, outcome = :outcome, ended_at = :at", values
    )


def read(gold_tables: list[str]) -> dict[str, dict[str, Any]]:
    """The last turn of each table, as far as one is known: run_id (none: no run's), outcome, at (ISO 8601)."""
    found = items.get_many(settings().watermarks_table, [_key(table) for table in gold_tables])
    return {
        table: {"run_id": item["run_id"] or None, "outcome": item["outcome"], "at": item["ended_at"]}
        for table, item in zip(gold_tables, found, strict=True)
        if item
    }


def _key(gold_table: str) -> items.Item:
    return {"pk": f"{BUILD}#{gold_table}", "sk": BUILD}
