"""`python -m benchmarks.changes`: what it costs to bring changes of a large table to silver, and a run in which nothing is new.

A table of five million rows is loaded once; then 0.1 %, 1 % and 10 % of it change (eight in ten updates, one insert, one delete),
and each way brings that to silver: the whole table again, Change Tracking, or a delta column and a comparison of keys. Each load
is a process of its own, from its imports to silver's commit. The idle run is `benchmarks.idle_tables`. Prints its tables, or
writes them into docs/benchmarks.md.
"""

import argparse
import json
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import idle_report, idle_tables
from benchmarks.changing import Load, Play, playing
from benchmarks.changing_peer import ingestr
from benchmarks.changing_server import TABLE
from benchmarks.contenders import Unavailable
from benchmarks.document import Section, write
from benchmarks.measurement import Run, run
from benchmarks.report import machine
from events.commands import IngestTable
from events.facts import BronzeLanded
from events.targets import BronzeTarget, GoldTarget, SilverTarget, SourceTable

ROWS, SHARES = 5_000_000, (0.001, 0.01, 0.1)
FULL, TRACKED, KEYS = "full refresh", "Change Tracking", "delta column and keys"
INGESTR = "ingestr 1.1.22, Change Tracking into SQLite"
INGESTR_CDC = "ingestr 1.1.22, CDC into SQLite"
SCHEMES = {INGESTR: "mssql+ct", INGESTR_CDC: "mssql+cdc"}
WAYS = {FULL: "full", TRACKED: "tracked", KEYS: "keys", INGESTR: "ingestr", INGESTR_CDC: "ingestr-cdc"}
TRACKS = (f"ALTER TABLE dbo.{TABLE} ENABLE CHANGE_TRACKING",)
CAPTURED = (
    "EXEC sys.sp_cdc_enable_db",
    f"EXEC sys.sp_cdc_enable_table @source_schema = N'dbo', @source_name = N'{TABLE}', @role_name = NULL",
)
AT_ONCE = {"FLOWFORGE_SLICE_ROWS": "100000000", "FLOWFORGE_SLICE_BYTES": str(10**12)}


class Measured(NamedTuple):
    """One load of one way: its processes, and what the source did for them."""

    way: str
    share: float
    run: Run
    source: Load


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.changes", description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS, help="of the large table; default 5,000,000, 0 leaves it out")
    parser.add_argument("--ways", nargs="*", choices=list(WAYS.values()), default=list(WAYS.values()))
    parser.add_argument("--shares", nargs="*", type=float, default=SHARES, help="of the rows; default 0.001 0.01 0.1")
    parser.add_argument("--tables", type=int, default=1_000, help="of the idle run; default 1,000, 0 leaves it out")
    parser.add_argument("--keep", type=Path, help="a file that keeps each way's figures, for a table of all of them")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/benchmarks.md")
    parser.add_argument("--load", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def command(play: Play, way: str, number: int, only_keys: bool = False) -> IngestTable:
    """What submit_job would send for a load of a way, into tables of its own."""
    read: dict[str, Any] = {"table_name": TABLE}
    if way == TRACKED:
        read |= {"is_incremental": True, "change_tracking": True}
    if way == KEYS:
        read |= {"is_incremental": True, "delta_column": "updated_at", "cursor_clock": "utc"}
    name, strategy = f"{WAYS[way]}_accounts", "full_refresh" if way == FULL else "incremental"
    return IngestTable(
        run_id=f"run_{WAYS[way]}_{number}_{int(only_keys)}",
        workflow_id="changes",
        job_id=WAYS[way],
        batch_id=f"batch_{number}",
        connection=play.reference,
        source=SourceTable.model_validate(read),
        bronze=BronzeTarget(table=f"bronze_{name}", load_strategy=strategy),
        silver=SilverTarget(table=name, detects="keys" if way == KEYS else "", compared_every=10**9),
        gold=GoldTarget(table=None),
        only_keys=only_keys,
    )


def load(file: Path) -> None:
    """This module's own process: one command, to silver's commit."""
    from flowforge.bronze.ingest import ingest
    from flowforge.operations.watermarks import commit_landed
    from flowforge.silver.step import refine_landed

    outcome = ingest(IngestTable.model_validate_json(file.read_text()))
    facts = [fact for fact in outcome.facts if isinstance(fact, BronzeLanded)]
    if not facts:
        sys.exit(f"nothing landed: {outcome}")
    for fact in facts:
        commit_landed(fact)
        if refine_landed(fact) is None:
            sys.exit("silver did not take the batch")
        print(fact.records)


def change(play: Play, rows: int, number: int, share: float) -> None:
    """A share of the rows changes: eight in ten are updated, one goes, one is new."""
    every = round(1 / share)
    at, last = f"id % {every} = {number}", f"id / {every} % 10"
    stamp = "updated_at = SYSUTCDATETIME()"
    play.execute(
        f"UPDATE dbo.{TABLE} SET balance = balance + 1, {stamp} WHERE {at} AND {last} < 8 AND id <= {rows}",
        f"DELETE FROM dbo.{TABLE} WHERE {at} AND {last} = 8 AND id <= {rows}",
        f"INSERT INTO dbo.{TABLE} SELECT id + {rows * (number + 1)}, branch, holder, email, balance, rate, opened, "
        f"SYSUTCDATETIME() FROM dbo.{TABLE} WHERE {at} AND {last} = 9 AND id <= {rows}",
        "WAITFOR DELAY '00:00:02'",
    )


def measure(way: str, rows: int, shares: Sequence[float] = SHARES) -> list[Measured]:
    """One way: the first load, which does not count, and a load after each share has changed."""
    found = []
    with playing(rows) as play, tempfile.TemporaryDirectory() as folder:
        play.execute(
            *(CAPTURED if way == INGESTR_CDC else TRACKS), f"CREATE INDEX by_change ON dbo.{TABLE} (updated_at)"
        )
        one_load(play, way, 0, Path(folder))
        for number, share in enumerate(shares, start=1):
            change(play, rows, number, share)
            before = play.load()
            took = one_load(play, way, number, Path(folder))
            after = play.load()
            found.append(Measured(way, share, took, after.since(before)))
            print(found[-1], file=sys.stderr, flush=True)
    return found


def measured(way: str, rows: int, shares: Sequence[float]) -> list[Measured]:
    """The same; none of a peer that cannot take part, which is told."""
    try:
        return measure(way, rows, shares)
    except Unavailable as error:
        if way not in SCHEMES:
            raise
        print(f"{way}: {error}", file=sys.stderr)
        return []


def one_load(play: Play, way: str, number: int, folder: Path) -> Run:
    """The processes of a load, one after the other. Raises Unavailable."""
    if way in SCHEMES:
        called, variables = ingestr(play.login, TABLE, folder, SCHEMES[way])
        return run(called, variables, folder)
    commands = [command(play, way, number)]
    if way == KEYS and number:
        commands.append(command(play, way, number, only_keys=True))
    runs = []
    for one in commands:
        file = folder / "command.json"
        file.write_text(one.model_dump_json())
        called = [sys.executable, "-m", "benchmarks.changes", "--load", str(file)]
        runs.append(run(called, dict(os.environ) | AT_ONCE, folder))
    seconds, cpu = (sum(one.wall_seconds for one in runs), sum(one.cpu_seconds for one in runs))
    return Run(seconds, cpu, max(one.peak_rss_mb for one in runs))


def text(rows: int, found: list[Measured]) -> str:
    """The loads of all ways, by how much has changed."""
    opening = (
        f"A table of {rows:,} rows and 8 columns, loaded once; then a share of its rows changes (8 in 10 are updated, 1 is new,"
        " 1 goes), and a load brings that to silver: at once, in no slices, as a process of its own (two for the delta column:"
        " its load, and the comparison of keys), imports and silver's commit included. One load each. CPU and peak RSS are the"
        " loads'; the source's CPU is the stand-in's, which is not SQL Server: its log is a table of DuckDB, so compare the lines"
        " of this table alone. MB read are TDS, before encryption; rows are those that the source sent, requests those that"
        " it got. By the delta column alone deletes are not seen."
    )
    lines = [
        opening,
        "",
        "| changed | load | s | CPU s | peak RSS MB | MB read | rows read | requests | source CPU s |",
    ]
    lines.append("|--:|---|--:|--:|--:|--:|--:|--:|--:|")
    for one in sorted(found, key=lambda one: (one.share, list(WAYS).index(one.way))):
        took = f"{one.run.wall_seconds:.1f} | {one.run.cpu_seconds:.1f} | {one.run.peak_rss_mb:,.0f}"
        source = (
            f"{one.source.sent_mb:,.1f} | {one.source.rows:,} | {one.source.requests} | {one.source.cpu_seconds:.1f}"
        )
        lines.append(f"| {one.share:.1%} | {one.way} | {took} | {source} |")
    told = (
        "ingestr 1.1.22 is the last version whose package on PyPI holds its binary: later ones fetch it from elsewhere when they"
        " first run. It keeps its place in the log in the target, which files do not take, and for DuckDB it fetches a driver:"
        " so SQLite, where it merges into one table, and keeps no history, checks no certificate and makes no Parquet."
    )
    return "\n".join([*lines, "", told])


def kept(file: Path | None, found: list[Measured]) -> list[Measured]:
    """The figures with those of other ways that a file keeps, which it then has too."""
    if file is None:
        return found
    stored = json.loads(file.read_text()) if file.exists() else []
    before = [Measured(way, share, Run(*took), Load(*source)) for way, share, took, source in stored]
    measured = {(one.way, one.share) for one in found}
    together = [one for one in before if (one.way, one.share) not in measured] + found
    file.write_text(json.dumps(together))
    return together


def main() -> None:
    chosen = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers end too
    if chosen.load:
        load(chosen.load)
        return
    sections = []
    started = datetime.now(UTC)
    where = f"{started:%Y-%m-%d %H:%M} UTC, {machine()}. Load average at the end {{:.1f}}.\n\n"
    if chosen.rows:
        found = [one for way in WAYS if WAYS[way] in chosen.ways for one in measured(way, chosen.rows, chosen.shares)]
        body = text(chosen.rows, kept(chosen.keep, found))
        sections.append(Section("changes of a large table", where.format(os.getloadavg()[0]) + body))
    if chosen.tables:
        body = idle_report.text(idle_tables.measure(chosen.tables))
        sections.append(Section("an idle run over many tables", where.format(os.getloadavg()[0]) + body))
    for section in sections:
        print(section.text, flush=True)
        if chosen.write:
            write(section)


if __name__ == "__main__":
    main()
