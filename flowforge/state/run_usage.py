"""What a run's deliveries have used of AWS, kept in the items of its tables: an attribute for each delivery.

An attribute is named by its delivery, so an event that comes twice says it once; and it is written with what the event tells, so
it costs no call.
"""

import json
from typing import Any

from events.usage import Usage
from flowforge.aws import items

PREFIX = "usage#"


def attribute_of(used: Usage | None) -> tuple[str, str] | None:
    """The attribute's name and its text; None where nothing was counted."""
    if used is None:
        return None
    return f"{PREFIX}{used.id}", used.model_dump_json(exclude={"id"}, exclude_defaults=True)


def is_usage(attribute: str) -> bool:
    """Whether an attribute of a table's item is one of these."""
    return attribute.startswith(PREFIX)


def by_step(item: items.Item) -> list[dict[str, Any]]:
    """The sums for each step of a table."""
    sums: dict[str, dict[str, Any]] = {}
    for name, text in sorted(item.items()):
        if is_usage(name):
            used = Usage.model_validate({"id": name, **json.loads(text)})
            _add(sums.setdefault(used.step, _nothing(used.step)), used)
    return [told | {k: round(told[k], 3) for k in ("seconds", "gb_seconds")} for told in sums.values()]


def _nothing(step: str) -> dict[str, Any]:
    zero = dict.fromkeys(("deliveries", "cold_starts", "silent", "seconds", "gb_seconds"), 0)
    return {"step": step, **zero, "counts": {}}


def _add(told: dict[str, Any], used: Usage) -> None:
    told["deliveries"] += 1
    told["cold_starts"] += used.cold
    told["silent"] += used.attempt - 1
    told["seconds"] += used.seconds
    told["gb_seconds"] += used.seconds * used.memory_mb / 1024
    for what, times in used.counts.items():
        told["counts"][what] = round(told["counts"].get(what, 0) + times, 1)
