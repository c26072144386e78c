"""`python -m benchmarks.many_tables`: what many small tables cost, and what a cold start imports.

Three measurements: tables of ten rows through the whole chain on the local stack (their first load, a load with nothing new, one
with a changed row in each), the fan-out of one request alone, the import of each function's handler. Prints their tables, or
JSON, or writes the tables into docs/benchmarks.md.
"""

import argparse
import json
import signal
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from benchmarks import chain, cold_starts, fanout
from benchmarks.chain import Chain
from benchmarks.cold_starts import ColdStart
from benchmarks.document import Section, write
from benchmarks.fanout import FanOut
from benchmarks.report import machine
from flowforge.cli.streams import open_streams


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.many_tables", description=__doc__)
    parser.add_argument(
        "--tables", type=int, default=1_000, help="through the whole chain; default 1,000, 0 leaves it out"
    )
    parser.add_argument(
        "--fanout", type=int, default=10_000, help="of the fan-out alone; default 10,000, 0 leaves it out"
    )
    parser.add_argument("--repeat", type=int, default=5, help="imports of each handler; default 5, 0 leaves them out")
    parser.add_argument("--json", action="store_true", help="print one JSON document with the figures and no tables")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/benchmarks.md")
    return parser.parse_args(argv)


def chain_text(loads: list[Chain]) -> str:
    """What each load took by function and by call, and all of them side by side."""
    tables = loads[0].tables
    opening = (
        f"{tables:,} tables of {chain.ROWS} rows, incremental by a timestamp, on the local stack: one request for each load,"
        f" after {chain.WARM_TABLES} other tables have been through it. Seconds are from the request to the end of its run;"
        " calls and CPU are of the functions, until the queues are empty, the questions of who follows the run among them. The"
        " dispatcher, the embedded AWS and the SQL Server stand-in share the processor; they are not in these figures."
        " Lambda's pollers make further calls of SQS (receive and delete)."
    )
    lines = [
        opening,
        "",
        "| load | s | s a table | calls a table | CPU ms a table | polls a table |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for load in loads:
        seconds, figures = load.wall_seconds, (calls_a_table(load), cpu_ms_a_table(load), load.polls / tables)
        told = "{:.2f} | {:.1f} | {:.1f}".format(*figures)
        lines.append(f"| {load.load} | {seconds:,.0f} | {seconds / tables:.2f} | {told} |")
    return "\n".join([*lines, *(line for load in loads for line in ("", load_text(load)))])


def load_text(found: Chain) -> str:
    """One load: what each function took, and its calls."""
    n = found.tables
    lines = [f"| {found.load}: function | invocations a table | CPU ms a table | peak RSS MB of its largest process |"]
    lines.append("|---|--:|--:|--:|")
    for function in sorted(found.functions, key=lambda f: -f.cpu_seconds):
        cpu = 1000 * function.cpu_seconds / n
        lines.append(f"| {function.name} | {function.invocations / n:.2f} | {cpu:.1f} | {function.peak_rss_mb:.0f} |")
    lines += ["", f"| {found.load}: calls a table | all | by function |", "|---|--:|---|"]
    operations: Counter[str] = Counter()
    for (_, operation), count in found.calls.items():
        operations[operation] += count
    for operation, count in operations.most_common():
        callers = Counter({name: calls for (name, of), calls in found.calls.items() if of == operation})
        told = ", ".join(f"{name} {calls / n:.2f}" for name, calls in callers.most_common())
        lines.append(f"| {operation} | {count / n:.2f} | {told} |")
    return "\n".join(lines)


def calls_a_table(load: Chain) -> float:
    """Calls of AWS by the functions."""
    return sum(load.calls.values()) / load.tables


def cpu_ms_a_table(load: Chain) -> float:
    """Milliseconds of CPU that the functions took."""
    return 1000 * sum(function.cpu_seconds for function in load.functions) / load.tables


def chain_figures(loads: list[Chain]) -> list[dict[str, Any]]:
    """The same for a program: one object for each load, whose counts and times are per table but for `wall_seconds`."""
    return [
        {
            "load": load.load,
            "tables": load.tables,
            "wall_seconds": round(load.wall_seconds, 2),
            "calls": round(calls_a_table(load), 2),
            "cpu_ms": round(cpu_ms_a_table(load), 1),
            "polls": round(load.polls / load.tables, 2),
            "functions": {
                function.name: {
                    "invocations": round(function.invocations / load.tables, 2),
                    "cpu_ms": round(1000 * function.cpu_seconds / load.tables, 1),
                    "calls": {
                        of: round(n / load.tables, 2) for (name, of), n in load.calls.items() if name == function.name
                    },
                }
                for function in load.functions
            },
        }
        for load in loads
    ]


def fanout_figures(found: FanOut) -> dict[str, Any]:
    """The fan-out alone for a program."""
    return {**found._asdict(), "calls": dict(found.calls)}


def fanout_text(found: FanOut) -> str:
    """The fan-out alone."""
    calls = ", ".join(f"{count:,} {name}" for name, count in found.calls.most_common())
    return (
        f"The fan-out alone, one request for {found.tables:,} tables in submit_job: {found.wall_seconds:.1f} s,"
        f" {found.cpu_seconds:.1f} CPU s, {found.peak_rss_mb:.0f} MB, {found.messages:,} messages. Calls: {calls}."
    )


def imports_text(found: list[ColdStart]) -> str:
    """What a cold start of each function imports."""
    lines = ["| function | CPU s of its import | peak RSS MB | large libraries |", "|---|--:|--:|---|"]
    for start in found:
        libraries = ", ".join(start.libraries) or "none"
        lines.append(f"| {start.function} | {start.cpu_seconds:.2f} | {start.peak_rss_mb:.0f} | {libraries} |")
    return "\n".join(lines)


def section(heading: str, body: str, started: datetime) -> Section:
    """A section of the document, with where and when it was measured."""
    return Section(heading, f"{started:%Y-%m-%d %H:%M} UTC, {machine()}.\n\n{body}")


@dataclass(frozen=True)
class Measurement:
    """Something that is measured, what is said of it, and how a program is told."""

    heading: str
    measure: Callable[[], Any]
    text: Callable[[Any], str]
    figures: Callable[[Any], Any]


def chosen_measurements(chosen: argparse.Namespace) -> list[Measurement]:
    """What the options ask for."""
    found = []
    if chosen.repeat:
        names = cold_starts.functions()
        found.append(
            Measurement(
                "imports of the functions",
                lambda: [cold_starts.measure(name, chosen.repeat) for name in names],
                imports_text,
                lambda starts: [start._asdict() for start in starts],
            )
        )
    if chosen.fanout:
        found.append(Measurement("fan-out", lambda: fanout.queue_tables(chosen.fanout), fanout_text, fanout_figures))
    if chosen.tables:
        loads = Measurement("many small tables", lambda: chain.load_tables(chosen.tables), chain_text, chain_figures)
        found.append(loads)
    return found


def main() -> None:
    open_streams()
    chosen = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers end too
    figures: dict[str, Any] = {"machine": machine(), "at": f"{datetime.now(UTC):%Y-%m-%dT%H:%MZ}"}
    for measurement in chosen_measurements(chosen):
        started = datetime.now(UTC)
        result = measurement.measure()
        figures[measurement.heading] = measurement.figures(result)
        found = section(measurement.heading, measurement.text(result), started)
        if not chosen.json:
            print(found.text, flush=True)
        if chosen.write:
            write(found)
    if chosen.json:
        print(json.dumps(figures, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
