"""`python -m benchmarks.load`: an hour of many tables and files, compressed, under kills and lost replies.

Tables of mixed sizes and jobs of files are loaded again and again while a writer changes them; then silver and gold are compared
with the source, row by row. Prints throughput, the time from a change to gold, memory by function, and a model of many more
tables; or writes them into docs/benchmarks.md. It fails where a row is missing or too many.
"""

import argparse
import random
import signal
import sys
from datetime import UTC, datetime

from benchmarks.document import Section, write
from benchmarks.load import report, run
from benchmarks.load.tables import LARGE_ROWS, mix
from benchmarks.report import machine
from flowforge.cli.streams import open_streams

SLICE_ROWS = 1_000_000


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__)
    parser.add_argument("--tables", type=int, default=200, help="a tenth of them jobs of files; default 200")
    parser.add_argument("--seconds", type=float, default=120, help="for which changes arrive; default 120")
    parser.add_argument("--changes", type=float, default=5, help="a second; default 5")
    parser.add_argument(
        "--large-rows", type=int, default=LARGE_ROWS, help=f"of one table in 100; default {LARGE_ROWS:,}"
    )
    parser.add_argument("--slice-rows", type=int, default=SLICE_ROWS, help=f"default {SLICE_ROWS:,}")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**9))
    parser.add_argument("--write", action="store_true", help="put the tables into docs/benchmarks.md")
    return parser.parse_args(argv)


def main() -> int:
    open_streams()
    chosen, started = arguments(), datetime.now(UTC)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers end too
    tables = mix(chosen.tables, chosen.large_rows)
    load = run.run(tables, chosen.seconds, chosen.changes, chosen.seed, chosen.slice_rows)
    where = f"{started:%Y-%m-%d %H:%M} UTC, {machine()}. {report.load_average()}."
    sections = [
        Section("load", f"{where}\n\n{report.text(load, chosen.seed)}"),
        Section("many more tables", report.model_text(load)),
    ]
    for section in sections:
        print(section.text, flush=True)
        if chosen.write:
            write(section)
    return int(bool(load.tally.lost or load.tally.doubled or load.unseen))


if __name__ == "__main__":
    sys.exit(main())
