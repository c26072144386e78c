"""What a run's deliveries have used of AWS, kept in the items of its tables: an attribute for each delivery.

An attribute is named by its delivery, so an event that comes twice says it once; and it is written with what the event tells, so
it costs no call. It is short, for there are four for each table and run: `["ingest",0.464,1769,"d6r4.5w3e1g1p5"]` is the step,
its seconds, megabytes, and what it has counted; which attempt it was and whether its process was new follow where that says
something.
"""

import json
import re
from typing import Any

from events.usage import Usage
from flowforge.aws import items

PREFIX, DIGITS = "u#", 8
SIGNS = {
    "p": "s3_puts",
    "g": "s3_gets",
    "d": "dynamodb_calls",
    "r": "dynamodb_reads",
    "w": "dynamodb_writes",
    "q": "sqs",
    "e": "events",
    "s": "secrets",
}
_COUNTED = re.compile(r"([a-z])([\d.]+)")


def attribute_of(used: Usage | None) -> tuple[str, str] | None:
    """The attribute's name and its text; None where nothing was counted."""
    if used is None:
        return None
    counted = "".join(f"{sign}{_plain(used.counts[what])}" for sign, what in SIGNS.items() if used.counts.get(what))
    told: list[Any] = [used.step, used.seconds, used.memory_mb, counted]
    told += [used.attempt, int(used.cold)] if used.attempt > 1 or used.cold else []
    return f"{PREFIX}{used.id[:DIGITS]}", json.dumps(told, separators=(",", ":"))


def _plain(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")


def is_usage(attribute: str) -> bool:
    """Whether an attribute of a table's item is one of these."""
    return attribute.startswith(PREFIX)


def by_step(item: items.Item) -> list[dict[str, Any]]:
    """The sums for each step of a table."""
    sums: dict[str, dict[str, Any]] = {}
    for name, text in sorted(item.items()):
        if is_usage(name):
            step, seconds, memory_mb, counted, *rest = json.loads(text)
            attempt, cold = rest or (1, 0)
            told = sums.setdefault(step, _nothing(step))
            told["deliveries"] += 1
            told["cold_starts"] += cold
            told["silent"] += attempt - 1
            told["seconds"] += seconds
            told["gb_seconds"] += seconds * memory_mb / 1024
            for sign, times in _COUNTED.findall(counted):
                what = SIGNS.get(sign, sign)
                told["counts"][what] = round(told["counts"].get(what, 0) + float(times), 1)
    return [told | {k: round(told[k], 3) for k in ("seconds", "gb_seconds")} for told in sums.values()]


def _nothing(step: str) -> dict[str, Any]:
    zero = dict.fromkeys(("deliveries", "cold_starts", "silent", "seconds", "gb_seconds"), 0)
    return {"step": step, **zero, "counts": {}}
