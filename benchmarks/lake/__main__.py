"""`python -m benchmarks.lake`: silver and gold figures (`make bench-lake`); the last line is one JSON object."""

import argparse
import json
import os
import signal
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import report as machine_report
from benchmarks.document import Section, write
from benchmarks.lake import report
from benchmarks.lake.cases import CASE_SECONDS, CONTENDERS, cases
from benchmarks.lake.contest import Contest
from benchmarks.lake.report import Outcome
from benchmarks.servers import create_bucket, embedded_aws, lake_variables
from flowforge.cli.streams import open_streams

KINDS = ("merge", "scd2", "gold", "copy", "compact")
QUICK_SECONDS = 20  # for each contender and case: five minutes in all


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lake", description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"merges of 100,000 rows, {QUICK_SECONDS} s each")
    parser.add_argument("--rows", type=int, default=5_000_000, help="rows of the table; default 5,000,000")
    parser.add_argument("--batch", type=int, action="append", help="rows that come in; default 100,000 and 1,000,000")
    parser.add_argument("--kind", action="append", choices=KINDS, help="may be given several times; default all")
    parser.add_argument("--contender", action="append", choices=CONTENDERS, help="may be given several times")
    parser.add_argument("--seconds", type=int, help=f"time for each contender and case; default {CASE_SECONDS}")
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    return parser.parse_args(argv)


def measure(chosen: argparse.Namespace) -> list[Outcome]:
    """Runs the chosen cases on the embedded S3."""
    kinds = chosen.kind or (["merge", "scd2"] if chosen.quick else KINDS)
    batches = chosen.batch or ([100_000] if chosen.quick else [100_000, 1_000_000])
    seconds = chosen.seconds or (QUICK_SECONDS if chosen.quick else CASE_SECONDS)
    names = [name for name in CONTENDERS if name in (chosen.contender or CONTENDERS)]
    outcomes = []
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name, embedded_aws(lake_variables()) as url:
        variables = lake_variables() | {"AWS_ENDPOINT_URL": url}
        create_bucket(variables)
        contest = Contest(
            chosen.rows, variables, Path(name), seconds, lambda text: print(text, file=sys.stderr, flush=True)
        )
        for case in cases(chosen.rows, kinds, batches):
            outcomes += contest.outcomes(case, names)
    return outcomes


def section(chosen: argparse.Namespace, started: datetime, outcomes: list[Outcome]) -> Section:
    """The section of one measurement."""
    seconds = chosen.seconds or (QUICK_SECONDS if chosen.quick else CASE_SECONDS)
    said = (
        f"{started:%Y-%m-%d %H:%M} UTC, {machine_report.machine()}. One run each, {seconds} s at most."
        f" Load average at the end {os.getloadavg()[0]:.1f}. The embedded S3 shares the two cores; CPU seconds and memory are the"
        " contender's own."
    )
    listed = "\n".join(f"- {contender.name}: {contender.says}" for contender in CONTENDERS.values())
    kinds = f"{', '.join(chosen.kind)} with " if chosen.kind else ""
    return Section(f"Lake: {kinds}a table of {chosen.rows:,} rows", f"{said}\n\n{listed}\n\n{report.table(outcomes)}")


def main() -> None:
    open_streams()
    chosen = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the server ends too
    started = datetime.now(UTC)
    outcomes = measure(chosen)
    found = section(chosen, started, outcomes)
    print(found.text, flush=True)
    if chosen.write:
        write(found)
    print(json.dumps(report.figures(outcomes)))


if __name__ == "__main__":
    main()
