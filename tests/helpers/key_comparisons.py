"""Comparisons of a table's keys with its source, up to silver."""

from typing import Any

from events.commands import IngestTable
from events.facts import SilverRefined
from flowforge.domain.given import given
from flowforge.runtime.settings import settings
from flowforge.silver.step import refine_landed
from tests.helpers.lake import delta_table
from tests.helpers.loads import Loads

HOUR = 3_600


GROWING = {"at": "rowversion", "rows": "INSERT INTO {t} (id) VALUES (10), (20), (30)"}


def keyed(load: Loads, run: str, share: float = 0.9, **changes: Any) -> IngestTable:
    """An incremental load of the table, which asks for comparisons once an hour."""
    silver = {"detects": "keys", "compared_every": HOUR, "most_deleted": share, **changes}
    command = load.command(run)
    return command.model_copy(update={"silver": command.silver.model_copy(update=silver)})


def refined(load: Loads, command: IngestTable) -> list[SilverRefined]:
    """Loads as the queues would, up to silver."""
    found = [given(refine_landed(fact)) for fact in load.follow(command)]
    return found


def compared(load: Loads, run: str, share: float = 0.9, source: dict[str, Any] | None = None, **changes: Any):
    command = keyed(load, run, share, **changes).model_copy(update={"only_keys": True})
    command = command.model_copy(update={"source": command.source.model_copy(update=source or {})})
    return refined(load, command)


def silver(load: Loads) -> list[dict[str, Any]]:
    rows = delta_table(f"s3://{settings().bucket}/silver/{load.name}").to_pyarrow_table().to_pylist()
    return sorted(rows, key=lambda row: (row["id"], row.get("_valid_from") or 0))


def ids(load: Loads) -> list[int]:
    return [row["id"] for row in silver(load)]
