"""What 10,000 and 100,000 tables and a table of 2 TB would take on AWS, from what the load has measured. Pure.

Every figure here is a model's: measured calls and CPU seconds for each load of a table, times list prices, bounded by limits of
AWS. `ASSUMPTIONS` says what was not measured.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

CALL_SECONDS = 0.02
ROW_BYTES, HOURS_OF_A_MONTH, CHANGED_SHARE = 200, 730, 0.1
LARGE_BYTES, SLICE_BYTES, PART_BYTES = 2 * 10**12, 2**30, 8 * 2**20
LAMBDA_SECONDS = 900
# Quotas of AWS as documented for us-east-1: Lambda's concurrent executions, units of writing a second for a key of DynamoDB,
# PutEvents a second.
CONCURRENCY, PARTITION_WRITES, PUT_EVENTS = 1_000, 1_000, 10_000
UNITS_OF_A_WRITE = 2  # an item with a table's steps is between 1 and 2 KB
QUEUE_CALLS = 3  # of a delivery: its message is sent, received and deleted
RAISED = 100  # of each function at once, in the second reckoning: eight functions of the chain stay below CONCURRENCY
FREE = ("Delete", "Abort")
S3_READS = ("GetObject", "HeadObject")
DYNAMODB_READS = ("GetItem", "BatchGetItem", "Query", "Scan")
SERVICES = {"SQS": "sqs", "EventBridge": "events", "Secrets Manager": "secrets"}
ASSUMPTIONS = (
    f"a call of AWS takes {CALL_SECONDS * 1000:.0f} ms, for which a function waits; the embedded AWS answers sooner",
    "CPU is that of this machine, with servers and workers on its two cores; workers are kept warm as Lambda keeps them, and"
    " their cold starts count only as the making of clients: what they import was there",
    f"a write in DynamoDB takes {UNITS_OF_A_WRITE} units, a read one; a transaction's write twice as many",
    "list prices without free tiers; no stored bytes, logs, traces, NAT or network; empty receives of pollers are left out",
    f"tables are loaded once an hour, and {CHANGED_SHARE:.0%} of them have new rows then, as few as in the measured load",
    f"a row of the table of 2 TB has {ROW_BYTES} bytes; seconds grow with bytes; memory and disk suffice for a window",
)


@dataclass(frozen=True)
class Use:
    """What a function takes for one load of a table."""

    deliveries: float = 0.0
    cpu_seconds: float = 0.0
    calls: Mapping[str, float] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """How long it is busy."""
        return self.cpu_seconds + CALL_SECONDS * sum(self.calls.values())


Uses = dict[str, Use]  # by function


def use_of(calls: Mapping[tuple[str, str], float], deliveries: Iterable[tuple[str, float]], loads: float) -> Uses:
    """By function, for each of so many loads: calls by (function, operation), deliveries as (function, CPU seconds)."""
    count: dict[str, float] = defaultdict(float)
    cpu: dict[str, float] = defaultdict(float)
    for function, seconds in deliveries:
        count[function] += 1
        cpu[function] += seconds
    own: dict[str, dict[str, float]] = {function: {} for function in count}
    for (function, operation), times in calls.items():
        own.setdefault(function, {})[operation] = times / loads
    return {f: Use(count[f] / loads, cpu[f] / loads, of) for f, of in own.items()}


def mixed(*parts: tuple[float, Uses]) -> Uses:
    """The sum of so many loads of each; what would be below nothing is nothing."""
    found: Uses = {}
    for function in sorted({function for _, uses in parts for function in uses}):
        of = [(times, uses.get(function, Use())) for times, uses in parts]
        names = {name for _, use in of for name in use.calls}
        calls = {name: max(0.0, sum(times * use.calls.get(name, 0.0) for times, use in of)) for name in sorted(names)}
        deliveries = max(0.0, sum(times * use.deliveries for times, use in of))
        found[function] = Use(deliveries, max(0.0, sum(times * use.cpu_seconds for times, use in of)), calls)
    return found


def price(uses: Uses, memory_mb: Mapping[str, int], prices: Mapping[str, Any]) -> float:
    """By the table of prices of `flowforge cost`."""
    counted: dict[str, float] = defaultdict(float)
    for use in uses.values():
        counted["requests"] += use.deliveries
        counted["sqs"] += QUEUE_CALLS * use.deliveries
        for operation, times in use.calls.items():
            what, units = _charged(operation)
            if what:
                counted[what] += times * units
    found = gb_seconds(uses, memory_mb) * prices["per_gb_second"]
    return found + sum(times * prices["per_million"][what] / 1e6 for what, times in counted.items())


def gb_seconds(uses: Uses, memory_mb: Mapping[str, int]) -> float:
    """What Lambda charges for time."""
    return sum(use.seconds * memory_mb[function] / 1024 for function, use in uses.items())


def calls(uses: Uses) -> float:
    """Calls of AWS by the functions."""
    return sum(sum(use.calls.values()) for use in uses.values())


def _charged(operation: str) -> tuple[str, float]:
    service, _, name = operation.rpartition(" ")
    if service == "S3":
        return ("", 0) if name.startswith(FREE) else ("s3_gets" if name in S3_READS else "s3_puts", 1)
    if service == "DynamoDB":
        units = 2 * UNITS_OF_A_WRITE if name == "TransactWriteItems" else UNITS_OF_A_WRITE
        return ("dynamodb_reads", 1) if name in DYNAMODB_READS else ("dynamodb_writes", units)
    return SERVICES.get(service, ""), 1


def hours(uses: Uses, at_once: Mapping[str, int]) -> tuple[float, str]:
    """How long a load takes at least, and what it waits for: the busiest of its functions, one key of DynamoDB, or the bus."""
    waits = {
        f"{function}, {at_once[function]} at once": use.seconds / at_once[function] for function, use in uses.items()
    }
    tracked = uses.get("TrackRun", Use()).calls
    writes = sum(times for name, times in tracked.items() if _charged(name)[0] == "dynamodb_writes")
    waits["the run's key in DynamoDB"] = writes * UNITS_OF_A_WRITE / PARTITION_WRITES
    waits["PutEvents"] = sum(use.calls.get("EventBridge PutEvents", 0.0) for use in uses.values()) / PUT_EVENTS
    slowest = max(waits, key=lambda name: waits[name])
    return waits[slowest] / 3_600, slowest


@dataclass(frozen=True)
class LargeTable:
    """Seconds for a million rows of a table's first load by function, and the bytes of such a row."""

    seconds: Mapping[str, float]
    row_bytes: float


@dataclass(frozen=True)
class LargeLoad:
    """What a table of 2 TB takes; `rows_at_once` fit into one delivery of silver or gold."""

    rows: float
    slices: int
    read_hours: float
    lake_hours: float
    rows_at_once: float
    cost: float


def large_load(found: LargeTable, at_once: int, memory_mb: Mapping[str, int], prices: Mapping[str, Any]) -> LargeLoad:
    """Slices are read so many at once; silver and gold take one batch of a table after the other."""
    rows = LARGE_BYTES / ROW_BYTES
    million = {f: seconds * ROW_BYTES / found.row_bytes for f, seconds in found.seconds.items()}
    total = {f: seconds * rows / 1e6 for f, seconds in million.items()}
    lake = max(million["RefineSilver"], million["PublishGold"])
    parts = 3 * LARGE_BYTES / PART_BYTES  # bronze, silver and gold, each written once; read twice as often
    charged = parts * prices["per_million"]["s3_puts"] + 2 * parts * prices["per_million"]["s3_gets"]
    used = sum(seconds * memory_mb[f] / 1024 for f, seconds in total.items())
    return LargeLoad(
        rows=rows,
        slices=-(-LARGE_BYTES // SLICE_BYTES),
        read_hours=total["IngestSlice"] / at_once / 3_600,
        lake_hours=max(total["RefineSilver"], total["PublishGold"]) / 3_600,
        rows_at_once=LAMBDA_SECONDS / lake * 1e6,
        cost=used * prices["per_gb_second"] + charged / 1e6,
    )
