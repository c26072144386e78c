"""What a run has used of AWS, in sums and by a table of list prices. Pure: documents of the API in, documents out.

Everything here is an estimate: list prices without free tiers, discounts or taxes, of what the run's functions have told. Our own
table is `prices.json` beside this module.
"""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

OWN = Path(__file__).with_name("prices.json")
PRICED = ("requests", "s3_puts", "s3_gets", "dynamodb_reads", "dynamodb_writes", "sqs", "events", "secrets")
STEPS = ("ingest", "watermark", "silver", "gold")
QUEUE_CALLS = 3  # of a delivery: its message is sent, received and deleted
FACTS = ("region", "date", "currency")

NOT_COUNTED = (
    "deliveries that failed, waited or were cut off: they announce nothing",
    "the start of a process (Lambda bills it: see cold starts)",
    "the functions that submit the job, keep the run history and the lineage, and send alerts; schedules and the sweeper",
    "what delta-rs asks of S3 by itself: for a gold model that is built incrementally, for rows that go to quarantine, for a log"
    " of thousands of files; and what a gold model or a rule in SQL reads",
    "empty receives of the queues' pollers, stored bytes, logs, traces, the network, encryption keys",
)


def with_prices(run: Mapping[str, Any]) -> dict[str, Any]:
    """A run with `prices` (whose they are), and of each table that has told its use the estimated `price`."""
    prices = _own_prices()
    tables = [{**table, "price": _price_of(table, prices)} for table in run["tables"]]
    return {**run, "tables": tables, "prices": {name: prices[name] for name in FACTS}}


def _price_of(table: Mapping[str, Any], prices: Mapping[str, Any]) -> float | None:
    total = _nothing()
    for used in table.get("usage") or []:
        _add(total, used)
    return _priced(total, prices)["price"] if table.get("usage") else None


@cache
def _own_prices() -> dict[str, Any]:
    return json.loads(OWN.read_text(encoding="utf-8"))


def cost_of(run: Mapping[str, Any], prices: Mapping[str, Any]) -> dict[str, Any]:
    """The run's use by step with its estimated price, the sums, and these for a million rows that landed; for a run without rows
    there are none."""
    steps: dict[str, dict[str, Any]] = {}
    for used in (used for table in run["tables"] for used in table.get("usage") or []):
        _add(steps.setdefault(used["step"], _nothing()), used)
    total = _nothing()
    for told in steps.values():
        _add(total, told)
    rows = sum(table.get("records") or 0 for table in run["tables"])
    in_order = sorted(steps, key=lambda step: (STEPS.index(step) if step in STEPS else len(STEPS), step))
    shown = [{"step": step, **_priced(steps[step], prices)} for step in in_order]
    total = _priced(total, prices)
    return {
        "run_id": run["run_id"],
        "status": run["status"],
        "rows": rows,
        "steps": shown,
        "total": total,
        "per_million_rows": _for_a_million(total, rows) if rows else None,
        "prices": {name: prices[name] for name in FACTS},
        "estimate": True,
        "not_counted": list(NOT_COUNTED),
    }


def _nothing() -> dict[str, Any]:
    sums: dict[str, Any] = dict.fromkeys(("deliveries", "cold_starts", "silent"), 0)
    return {**sums, "seconds": 0.0, "gb_seconds": 0.0, "counts": {}}


def _add(to: dict[str, Any], used: Mapping[str, Any]) -> None:
    for name in ("deliveries", "cold_starts", "silent", "seconds", "gb_seconds"):
        to[name] = round(to[name] + used[name], 3)
    for what, times in used["counts"].items():
        to["counts"][what] = round(to["counts"].get(what, 0) + times, 1)


def _priced(told: Mapping[str, Any], prices: Mapping[str, Any]) -> dict[str, Any]:
    counts = dict(told["counts"])
    used = counts | {"requests": told["deliveries"]}
    used["sqs"] = counts.get("sqs", 0) + QUEUE_CALLS * told["deliveries"]
    price = told["gb_seconds"] * prices["per_gb_second"]
    price += sum(used.get(name, 0) * prices["per_million"][name] / 1_000_000 for name in PRICED)
    s3 = counts.get("s3_puts", 0) + counts.get("s3_gets", 0)
    return {**told, "s3_calls": s3, "dynamodb_calls": counts.get("dynamodb_calls", 0), "price": round(price, 9)}


def _for_a_million(total: Mapping[str, Any], rows: int) -> dict[str, float]:
    names = ("deliveries", "gb_seconds", "s3_calls", "dynamodb_calls", "price")
    return {name: round(total[name] * 1_000_000 / rows, 6) for name in names}
