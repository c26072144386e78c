"""`python -m benchmarks.many_tables`: what many small tables cost, and what a cold start imports.

Three measurements: tables of ten rows through the whole chain on the local stack, the fan-out of one request alone, the import of
each function's handler. Prints their tables, or writes them into docs/benchmarks.md.
"""

import argparse
import signal
import sys
from collections import Counter
from datetime import UTC, datetime

from benchmarks import chain, cold_starts, fanout
from benchmarks.chain import Chain
from benchmarks.cold_starts import ColdStart
from benchmarks.document import Section, write
from benchmarks.fanout import FanOut
from benchmarks.report import machine
from flowforge.cli.streams import open_streams

POLLERS = {"SQS ReceiveMessage", "SQS DeleteMessageBatch"}  # on AWS Lambda's own pollers make them


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.many_tables", description=__doc__)
    parser.add_argument(
        "--tables", type=int, default=1_000, help="through the whole chain; default 1,000, 0 leaves it out"
    )
    parser.add_argument(
        "--fanout", type=int, default=10_000, help="of the fan-out alone; default 10,000, 0 leaves it out"
    )
    parser.add_argument("--repeat", type=int, default=5, help="imports of each handler; default 5, 0 leaves them out")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/benchmarks.md")
    return parser.parse_args(argv)


def chain_text(found: Chain) -> str:
    """The chain's functions and its calls per table."""
    n = found.tables
    lines = [
        f"One request for {n:,} tables of {chain.ROWS} rows on the local stack: {found.wall_seconds:,.0f} s from the request to"
        f" the end of the run, {found.wall_seconds / n:.2f} s a table. The dispatcher, the embedded AWS and the SQL Server"
        " stand-in share the processor; they are not in these figures.",
        "",
        "| function | invocations a table | CPU ms a table | peak RSS MB of its largest process |",
        "|---|--:|--:|--:|",
    ]
    for function in sorted(found.functions, key=lambda f: -f.cpu_seconds):
        cpu = 1000 * function.cpu_seconds / n
        lines.append(f"| {function.name} | {function.invocations / n:.2f} | {cpu:.1f} | {function.peak_rss_mb:.0f} |")
    total = 1000 * sum(function.cpu_seconds for function in found.functions) / n
    lines += [f"| all | | {total:.1f} | {max(function.peak_rss_mb for function in found.functions):.0f} |", ""]
    return "\n".join([*lines, calls_text(found.calls, n)])


def calls_text(calls: Counter[str], tables: int) -> str:
    """Calls to AWS APIs per table, by service and operation; those of Lambda's pollers apart."""
    shown = [(name, count) for name, count in calls.most_common() if name not in POLLERS]
    lines = ["| calls a table | |", "|---|--:|"]
    lines += [f"| {name} | {count / tables:.2f} |" for name, count in shown]
    lines.append(f"| all | {sum(count for _, count in shown) / tables:.2f} |")
    polled = sum(calls[name] for name in POLLERS)
    return "\n".join(
        [*lines, "", f"Lambda's pollers add {polled / tables:.1f} calls of SQS a table (receive and delete)."]
    )


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


def main() -> None:
    open_streams()
    chosen = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers end too
    measurements = []
    if chosen.repeat:
        names = cold_starts.functions()
        measurements.append(
            ("imports of the functions", lambda: imports_text([cold_starts.measure(n, chosen.repeat) for n in names]))
        )
    if chosen.fanout:
        measurements.append(("fan-out", lambda: fanout_text(fanout.queue_tables(chosen.fanout))))
    if chosen.tables:
        measurements.append(("many small tables", lambda: chain_text(chain.load_tables(chosen.tables))))
    for heading, measure in measurements:
        started = datetime.now(UTC)
        found = section(heading, measure(), started)
        print(found.text, flush=True)
        if chosen.write:
            write(found)


if __name__ == "__main__":
    main()
