"""`python -m benchmarks`: runs contenders in turn and prints, or writes into docs/benchmarks.md, what they took."""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import measurement, parts, report
from benchmarks.contenders import CONNECTORX, CONTENDERS, FETCHMANY, FLOOR, OURS, ROOT, Contender, Unavailable
from benchmarks.document import Section, write
from benchmarks.measurement import Result, Run
from benchmarks.servers import serving
from benchmarks.shapes import SHAPES
from flowforge.cli.streams import open_streams

QUICK = (FETCHMANY, CONNECTORX, OURS)
LARGE_ROWS = 10_000_000  # read once
# Contenders that would wait for the server when it encodes a result for the first time; of a large table only these warm up.
QUICKER_THAN_FIRST_ANSWERS = (FLOOR, OURS, "FlowForge, pymssql", "arrow-odbc", "Rivet")
LONG_SHAPES = (
    ("bank", 1_000_000),
    ("narrow", None),
    ("wide", None),
    ("text", None),
    ("max", None),
    ("bank", 10_000_000),
)


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="bank table, three contenders, one JSON line at the end")
    parser.add_argument("--shape", action="append", choices=SHAPES, help="may be given several times; default all")
    parser.add_argument("--rows", type=int, help="rows of the table; default by shape")
    parser.add_argument("--contender", action="append", choices=CONTENDERS, help="may be given several times")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each contender that count; default 3")
    parser.add_argument("--tls", action="store_true", help="with TLS, where the contender offers it")
    parser.add_argument("--parts", action="store_true", help="where FlowForge's own CPU time goes, on the bank table")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/benchmarks.md")
    return parser.parse_args(argv)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def measure(shape: str, rows: int, names: list[str], repeat: int, tls: bool = False) -> list[Result]:
    """Runs each contender once to warm up, then all in turn `repeat` times. Of a large table only the quick ones warm up, and
    run before the others, whose replies the server would keep in place of theirs."""
    names = [name for name in names if not (tls and name == FLOOR)]  # it drains without TLS
    turns = sorted(names, key=lambda name: rows >= LARGE_ROWS and name not in QUICKER_THAN_FIRST_ANSWERS)
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        folder = Path(name)
        with serving(shape, rows, folder) as variables:
            contest = _Contest(rows, variables | ({"BENCH_TLS": "1"} if tls else {}), folder)
            for number in range(-1, repeat):
                for contender in turns:
                    if number >= 0 or rows < LARGE_ROWS or contender in QUICKER_THAN_FIRST_ANSWERS:
                        contest.turn(CONTENDERS[contender], number)
            return contest.results(names)


def measure_parts(rows: int, repeat: int) -> Section:
    """Where the CPU time of FlowForge's read path goes."""
    started = datetime.now(UTC)
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name, serving("bank", rows, Path(name)) as variables:
        parts.measured(variables, 1)  # warms up
        table = parts.body(parts.measured(variables, repeat))
    said = f"{started:%Y-%m-%d %H:%M} UTC, {report.machine()}. Medians of {repeat}. TLS off."
    return Section(f"Where the time goes: bank, {rows:,} rows", f"{said}\n\n{table}")


class _Contest:
    """The runs so far, and who is out."""

    def __init__(self, rows: int, variables: dict[str, str], folder: Path):
        self._rows, self._variables, self._folder = rows, variables, folder
        self._commands: dict[str, list[str]] = {}
        self._runs: dict[str, list[Run]] = {}
        self._out: dict[str, str] = {}

    def turn(self, contender: Contender, number: int) -> None:
        """One run; the one numbered -1 warms up and does not count. A contender that fails is out."""
        name = contender.name
        if name in self._out:
            return
        try:
            if name not in self._commands:
                self._commands[name] = contender.prepared()
            found = measurement.run(self._commands[name], self._variables, self._folder)
            found = found._replace(landed_mb=self._landed(name))
        except Unavailable as reason:
            self._out[name] = str(reason)
            say(f"{name}: {reason}")
            return
        if number >= 0:
            self._runs.setdefault(name, []).append(found)
        load = os.getloadavg()[0]
        say(
            f"{'warm-up' if number < 0 else number + 1} {name}: {found.wall_seconds:.2f} s, {found.cpu_seconds:.2f} CPU s,"
            f" {found.peak_rss_mb:.0f} MB, load {load:.1f}"
        )

    def _landed(self, name: str) -> float:
        if name == FLOOR:
            return 0.0
        command = [sys.executable, "-m", "benchmarks.landed"]
        done = subprocess.run(command, env=self._variables, cwd=ROOT, capture_output=True, text=True, check=True)
        found = json.loads(done.stdout)
        if found["rows"] != self._rows:
            raise Unavailable(f"{found['rows']} rows arrived of {self._rows}")
        return found["bytes"] / 1e6

    def results(self, names: list[str]) -> list[Result]:
        return [Result(name, self._rows, tuple(self._runs.get(name, ())), self._out.get(name)) for name in names]


def main() -> None:
    open_streams()
    chosen = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers end too
    if chosen.quick:
        results = measure("bank", chosen.rows or 1_000_000, list(QUICK), chosen.repeat, chosen.tls)
        print(report.table(results))
        print(json.dumps(report.quick_line(results)))
        return
    if chosen.parts:
        section = measure_parts(chosen.rows or 1_000_000, chosen.repeat)
        print(section.text, flush=True)
        if chosen.write:
            write(section)
        return
    shapes = [(name, chosen.rows) for name in chosen.shape] if chosen.shape else LONG_SHAPES
    for name, rows in shapes:
        count = rows or chosen.rows or SHAPES[name].rows
        started = datetime.now(UTC)
        repeat = 1 if count >= LARGE_ROWS else chosen.repeat
        results = measure(name, count, chosen.contender or list(CONTENDERS), repeat, chosen.tls)
        section = Section.of(name, count, repeat, chosen.tls, started, results)
        print(section.text, flush=True)
        if chosen.write:
            write(section)


if __name__ == "__main__":
    main()
