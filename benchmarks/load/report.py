"""The load and its model as text: what was measured, and what follows from it for more tables."""

import os
from collections.abc import Mapping
from typing import Any

from benchmarks.load import model
from benchmarks.load.latency import percentile
from benchmarks.load.run import AT_ONCE, CHANGING, FIRST, IDLE, Deployment, Load, Phase
from benchmarks.load.tables import Table
from flowforge.cli.pricing import read_prices

MODELLED = (10_000, 100_000)
ROW_BYTES = 60  # of the load's tables, as the source has them: two bigint, a decimal, a short text, a time


def text(load: Load, seed: int) -> str:
    """What was measured."""
    p50, p95 = (percentile(load.latencies, share) for share in (0.5, 0.95))
    sizes = sorted({table.rows for table in load.tables if not table.files}, reverse=True)
    files = sum(table.files for table in load.tables)
    lines = [
        f"{len(load.tables):,} tables: {files:,} jobs of files, the others of {', '.join(f'{n:,}' for n in sizes)} rows, loaded"
        f" again and again while a process of its own changed them or put files, {len(load.changes):,} changes in all; {AT_ONCE}"
        " workers side by side, kept warm between deliveries. Workers were killed before or after calls of AWS, replies lost, and"
        f" connections cut amid rows (seed {seed}). The embedded AWS, the stand-in, the proxies and the writer share the"
        " processor with them.",
        "",
        "| part | s | loads that brought rows | nothing new | rows | rows/s | calls of AWS | CPU s of functions |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
        *(_phase(phase) for phase in load.phases),
        "",
        f"- A change at the source is in gold after {p50:.1f} s (p50) and {p95:.1f} s (p95), from the moment at which its"
        f" statement was sent, or its file put; {load.unseen:,} of {len(load.changes):,} changes are in no version of gold.",
        f"- At the end {load.tally.rows_checked:,} rows of silver and gold were compared with the source, cell by cell:"
        f" {load.tally.lost:,} are missing, {load.tally.doubled:,} too many. {load.tally.kills:,} workers were killed,"
        f" {load.tally.faults:,} replies lost or connections cut.",
        f"- Of {counted_at(load):,} calls of S3 by silver and gold their runs tell {told_of(load):,} (`flowforge cost`); the"
        " others were made by delta-rs itself, or by workers that died.",
        "",
        "| function | deliveries | killed or failed | CPU s each | peak RSS MB | memory in the template, MB |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    memory = load.deployment.memory_mb
    functions = sorted({delivery.function for delivery in load.deliveries})
    for function in functions:
        own = [delivery.work for delivery in load.deliveries if delivery.function == function]
        bad, cpu = sum(work.exit != 0 for work in own), sum(work.cpu_seconds for work in own) / len(own)
        peak = max(work.peak_mb for work in own)
        lines.append(f"| {function} | {len(own):,} | {bad:,} | {cpu:.2f} | {peak:.0f} | {memory[function]:,} |")
    return "\n".join(lines)


LAKE = {"RefineSilver": "silver", "PublishGold": "gold"}  # functions and their steps


def counted_at(load: Load) -> int:
    """Calls of S3 by silver and gold that arrived."""
    every = (item for phase in load.phases for item in phase.calls.items())
    return sum(times for (function, operation), times in every if function in LAKE and operation.startswith("S3 "))


def told_of(load: Load) -> int:
    """Those that the deliveries themselves have counted."""
    tables = (table for phase in load.phases for run in phase.runs for table in run["tables"])
    used = (one["counts"] for table in tables for one in table["usage"] if one["step"] in LAKE.values())
    return round(sum(counts.get("s3_puts", 0) + counts.get("s3_gets", 0) for counts in used))


def _phase(phase: Phase) -> str:
    cpu = sum(delivery.work.cpu_seconds for delivery in phase.deliveries)
    figures = (phase.ended("published"), phase.ended("empty"), phase.rows, phase.rows / phase.seconds)
    told = " | ".join(f"{figure:,.0f}" for figure in (*figures, sum(phase.calls.values()), cpu))
    return f"| {phase.name} | {phase.seconds:,.0f} | {told} |"


def uses(load: Load) -> dict[str, model.Uses]:
    """What a load of one table takes when it is the first, brings changed rows, or finds nothing new."""
    first, changing, idle = ({p.name: p for p in load.phases}[name] for name in (FIRST, CHANGING, IDLE))
    each = {phase.name: _uses(phase, 1) for phase in (first, changing, idle)}
    nothing = model.mixed((1 / max(1, idle.ended("empty")), each[IDLE]))
    changed = model.mixed((1, each[CHANGING]), (-changing.ended("empty"), nothing))
    return {
        FIRST: model.mixed((1 / max(1, first.ended("published")), each[FIRST])),
        "changed rows": model.mixed((1 / max(1, changing.ended("published")), changed)),
        IDLE: nothing,
    }


def _uses(phase: Phase, loads: int) -> model.Uses:
    return model.use_of(phase.calls, [(d.function, d.work.cpu_seconds) for d in phase.deliveries], loads)


def large_table(load: Load) -> model.LargeTable:
    """What the largest table's first load took for a million rows."""
    largest: Table = max(load.tables, key=lambda table: table.rows)
    seconds: dict[str, float] = {}
    for delivery in load.phases[0].deliveries:
        if delivery.table == largest.bronze and delivery.work.exit == 0:
            seconds[delivery.function] = seconds.get(delivery.function, 0.0) + delivery.work.cpu_seconds
    read = seconds.get("IngestSlice") or seconds["IngestTable"]
    wanted = {"IngestSlice": read, "RefineSilver": seconds["RefineSilver"], "PublishGold": seconds["PublishGold"]}
    return model.LargeTable({f: taken * 1e6 / largest.rows for f, taken in wanted.items()}, ROW_BYTES)


def model_text(load: Load, prices: Mapping[str, Any] | None = None) -> str:
    """What would be for many more tables, and for a very large one."""
    table, found, each = prices or read_prices(None), load.deployment, uses(load)
    raised = {function: max(model.RAISED, n) for function, n in found.at_once.items()}
    lines = [
        "A model, not a measurement: what the load above took for each load of a table, priced by the list prices of"
        f" {table['region']} of {table['date']} ({table['currency']}), which are those of `flowforge cost`.",
        "",
        "| a load of one table | calls of AWS | CPU s | GB-s | price of a million |",
        "|---|--:|--:|--:|--:|",
    ]
    for name, use in each.items():
        cpu, cost = sum(one.cpu_seconds for one in use.values()), 1e6 * model.price(use, found.memory_mb, table)
        size = model.gb_seconds(use, found.memory_mb)
        lines.append(f"| {name} | {model.calls(use):.0f} | {cpu:.2f} | {size:.2f} | {cost:,.0f} |")
    lines += [
        "",
        "| | calls a load | price of an hour | of a month | hours of a load as the template is | it waits for |"
        f" hours with {model.RAISED} of each at once | it waits for |",
        "|---|--:|--:|--:|--:|---|--:|---|",
    ]
    for count in MODELLED:
        share = model.CHANGED_SHARE
        lines.append(
            _row(
                f"{count:,} tables, {share:.0%} of them with new rows",
                model.mixed((count * share, each["changed rows"]), (count * (1 - share), each[IDLE])),
                found,
                raised,
                table,
            )
        )
        lines.append(
            _row(f"{count:,} tables, their first load", model.mixed((count, each[FIRST])), found, raised, table)
        )
    slices, currency = found.at_once["IngestSlice"], table["currency"]
    large = model.large_load(large_table(load), slices, found.memory_mb, table)
    lines += [
        "",
        f"A table of 2 TB ({large.rows:,.0f} rows of {model.ROW_BYTES} bytes): {large.slices:,} slices, {large.read_hours:,.0f}"
        f" hours to read it {slices} slices at once, {large.lake_hours:,.0f} hours in silver or gold, one batch after the other,"
        f" and about {large.cost:,.0f} {currency}. One delivery has {model.LAMBDA_SECONDS} s, in which silver or gold take"
        f" some {large.rows_at_once / 1e6:,.0f} million such rows: load it by [windows](events.md#the-job-request) of no more.",
        "",
        "What is assumed:",
        "",
        *(f"- {one}" for one in model.ASSUMPTIONS),
        f"- quotas: {model.CONCURRENCY:,} functions at once in an account (the chain would start"
        f" {sum(raised.values()):,} of those that are raised), {model.PARTITION_WRITES:,} units of writing a second for a key of"
        f" DynamoDB, {model.PUT_EVENTS:,} PutEvents a second, 10 messages in a batch of SQS, whose standard queues have no limit",
    ]
    return "\n".join(lines)


def _row(name: str, use: model.Uses, found: Deployment, raised: Mapping[str, int], prices: Mapping[str, Any]) -> str:
    cost = model.price(use, found.memory_mb, prices)
    as_is, waits = model.hours(use, found.at_once)
    more, waits_then = model.hours(use, raised)
    month = "" if "first" in name else f"{cost * model.HOURS_OF_A_MONTH:,.0f}"
    return f"| {name} | {model.calls(use):,.0f} | {cost:,.2f} | {month} | {as_is:,.2f} | {waits} | {more:,.2f} | {waits_then} |"


def load_average() -> str:
    """How busy the machine was, for who reads the figures."""
    return f"Load average at the end {os.getloadavg()[0]:.1f}, the run's own processes counted"
