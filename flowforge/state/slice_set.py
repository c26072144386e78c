"""Which slices of a batch are done: a set, not a counter, so a slice that is delivered twice counts once."""

import time
from typing import Any

from flowforge.aws import items
from flowforge.aws.compact import pack, unpack
from flowforge.domain.batch import Batch
from flowforge.domain.manifest import BronzeObject
from flowforge.runtime.settings import settings
from flowforge.state.batch_records import key_of


def finish_slice(
    batch: Batch,
    index: int,
    found: BronzeObject | None,
    max_cursor: str | None,
    file: tuple[int, int, str] | None = None,
) -> None:
    """Records a slice as done, once; `found` None is a slice without rows. `file`: of a file's slice, how many of its records
    are rows, how many were rejected, and the first of these in words.

    Slices form a set, not a counter: a slice that is delivered twice counts once. Nothing is recorded in a batch that is no
    longer claimed.
    """
    done: dict[str, Any] = {"object": found.model_dump() if found else None, "max_cursor": max_cursor}
    if file is not None:
        done["file"] = list(file)
    values = {":done": pack(done), ":claimed": "claimed", ":now": time.time()}
    condition = "#s = :claimed AND attribute_not_exists(#slice)"
    names = {"s": "state", "slice": _slice_attribute(index)}
    expression = "SET #slice = :done, updated_at = :now"
    items.update(settings().watermarks_table, key_of(batch), expression, values, condition, **names)


def finished_slices(batch: Batch) -> dict[int, dict[str, Any]]:
    """The slices that are done, by index: {"object": BronzeObject's fields or None, "max_cursor"}, and "file", see
    `finish_slice`."""
    item = items.get(settings().watermarks_table, key_of(batch)) or {}
    ranges = range(len(batch.slices.ranges) if batch.slices else 0)
    return {n: unpack(item[_slice_attribute(n)]) for n in ranges if _slice_attribute(n) in item}


def _slice_attribute(index: int) -> str:
    return f"slice_{index:05d}"
