"""`python -m benchmarks.files`: a file into Parquet, beside DuckDB's COPY and pyarrow: seconds, CPU, memory.

Each reader runs as a whole process on the same local file, in turn, one warm-up that does not count, then medians. The rows of
what it wrote are counted; a reader that gives another number is out.
"""

import argparse
import csv
import json
import os
import random
import sys
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import chain, islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from openpyxl import Workbook

from benchmarks.contenders import Unavailable, environment
from benchmarks.document import Section, write
from benchmarks.file_readers import COLUMNS, READERS, reads
from benchmarks.measurement import Result, Run, run
from benchmarks.report import machine

FORMATS = ("csv", "ndjson", "nested", "parquet", "excel")  # nested: NDJSON, one of whose fields is an object
OURS, BASE = "FlowForge", {"excel": "openpyxl"}
MOST_ROWS = 1_048_575  # of a sheet, below its header
# About; of Parquet that of the CSV with the same rows.
ROW_BYTES = {"csv": 113, "ndjson": 219, "nested": 298, "excel": 70, "parquet": 113}
NAMES = ("Anna Schmidt", "Müller, Jörg", "O'Brien", 'Li "Lee" Wei', "Zoë")
HEAD = "| | rows/s | wall s | CPU s | peak RSS MB | × {} |\n|---|--:|--:|--:|--:|--:|"


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.files", description=__doc__)
    parser.add_argument("--megabytes", type=int, default=200, help="size of each file, about; default 200")
    parser.add_argument("--format", action="append", choices=FORMATS, help="may be given several times; default all")
    parser.add_argument("--reader", action="append", choices=READERS, help="may be given several times; default all")
    parser.add_argument("--repeat", type=int, default=3, help="runs that count; default 3")
    parser.add_argument("--folder", type=Path, help="keeps the files there, and takes those that it has; default none")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/benchmarks.md")
    return parser.parse_args(argv)


def rows_of(count: int) -> Iterator[list[str]]:
    """Rows as an export of bookings has them, the same ones at each call."""
    drawn = random.Random(1)  # noqa: S311
    for number in range(count):
        yield [
            str(number),
            f"DE{drawn.randrange(10**18):020d}",
            drawn.choice(NAMES),
            drawn.choice(("Berlin", "München", "", "Köln")),
            f"{drawn.randrange(10**7) / 100:.2f}",
            "EUR",
            f"2024-0{1 + number % 9}-1{number % 10}T12:00:{number % 60:02d}",
            drawn.choice(("open", "closed")),
            f"note text number {drawn.randrange(10**6)}",
            str(number % 2),
        ]


def make_file(format: str, rows: int, file: Path) -> None:
    """A file of so many rows; quotes stand where CSV needs them, numbers of NDJSON are numbers."""
    if format == "csv":
        with file.open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows(chain([COLUMNS], rows_of(rows)))
    elif format in ("ndjson", "nested"):
        with file.open("w", encoding="utf-8") as stream:
            for row in rows_of(rows):
                found: dict[str, object] = dict(zip(COLUMNS, row, strict=True))
                found |= {"id": int(row[0]), "amount": float(row[4]), "flag": row[9] == "1"}
                if format == "nested":
                    lines = [{"sku": row[1][-4:], "price": float(row[4])}, {"sku": row[2], "price": None}]
                    found["note"] = {"text": row[8], "lines": lines}
                stream.write(json.dumps(found, ensure_ascii=False) + "\n")
    elif format == "excel":
        _make_workbook(rows, file)
    else:
        _make_parquet(rows, file)


def _make_workbook(rows: int, file: Path) -> None:
    """Numbers and truth values as such, all else as texts in their cells."""
    book = Workbook(write_only=True)
    sheet = book.create_sheet()
    sheet.append(COLUMNS)
    for row in rows_of(rows):
        sheet.append([int(row[0]), *row[1:4], float(row[4]), *row[5:9], row[9] == "1"])
    book.save(file)


def _make_parquet(rows: int, file: Path) -> None:
    schema, drawn = pa.schema([(name, pa.string()) for name in COLUMNS]), rows_of(rows)
    with pq.ParquetWriter(file, schema, compression="snappy") as writer:
        while group := list(islice(drawn, 100_000)):
            arrays = [pa.array(column, pa.string()) for column in zip(*group, strict=True)]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))


def measure(
    format: str, rows: int, names: Sequence[str], repeat: int, folder: Path, kept: Path | None = None
) -> list[Result]:
    """What each reader took for a file of so many rows, which is in `kept` or put there."""
    file, target = (kept or folder) / f"rows-{rows}.{format}", folder / "target.parquet"
    if not file.exists():
        make_file(format, rows, unfinished := file.with_suffix(".unfinished"))
        unfinished.rename(file)
    runs: dict[str, list[Run]] = {}
    out: dict[str, str] = {}
    for turn in range(-1, repeat):
        for name in names:
            if name in out:
                continue
            try:
                python = environment("calamine") if name == "calamine" else sys.executable
                command = [str(python), "-m", "benchmarks.file_readers", name, format, str(file), str(target)]
                found = run(command, dict(os.environ), folder)
                if (there := pq.read_metadata(target).num_rows) != rows:
                    raise Unavailable(f"{there:,} rows of {rows:,}")
            except Unavailable as reason:
                out[name] = str(reason)
                continue
            if turn >= 0:
                runs.setdefault(name, []).append(found)
            print(
                f"{format} {turn + 1} {name}: {found.wall_seconds:.2f} s, {found.cpu_seconds:.2f} CPU s",
                file=sys.stderr,
            )
    return [Result(name, rows, tuple(runs.get(name, ())), out.get(name)) for name in names]


def table(results: Sequence[Result], base_name: str = "DuckDB COPY") -> str:
    """One row per reader, medians; those without a run say why."""
    base = next((one for one in results if one.contender == base_name and one.runs), None)
    lines = [HEAD.format(base_name)]
    for one in results:
        if not one.runs:
            lines.append(f"| {one.contender} | – | | | | not run: {(one.reason or '').replace('|', '/')} |")
            continue
        ratio = f"{one.rows_per_second / base.rows_per_second:.2f}" if base else ""
        name = f"**{one.contender}**" if one.contender == OURS else one.contender
        lines.append(
            f"| {name} | {one.rows_per_second:,.0f} | {one.wall_seconds:.2f} | {one.cpu_seconds:.2f} |"
            f" {one.peak_rss_mb:.0f} | {ratio} |"
        )
    return "\n".join(lines)


def main() -> None:
    chosen = arguments()
    for format in chosen.format or FORMATS:
        started, rows = datetime.now(UTC), chosen.megabytes * 10**6 // ROW_BYTES[format]
        rows = min(rows, MOST_ROWS) if format == "excel" else rows
        names = [name for name in chosen.reader or READERS if reads(name, format)]
        with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
            results = measure(format, rows, names, chosen.repeat, Path(folder), chosen.folder)
        said = (
            f"A local file of about {chosen.megabytes:,} MB with {len(COLUMNS)} columns, into Parquet beside it, all as text"
            " (pyarrow reads NDJSON by its own types). FlowForge's is its read path into bronze, without S3."
            f"\n\n{started:%Y-%m-%d %H:%M} UTC, {machine()}. Medians of {chosen.repeat}."
            f" Load average at the end {os.getloadavg()[0]:.1f}."
        )
        section = Section(
            f"Files: {format}, {rows:,} rows", f"{said}\n\n{table(results, BASE.get(format, 'DuckDB COPY'))}"
        )
        print(section.text, flush=True)
        if chosen.write:
            write(section)


if __name__ == "__main__":
    main()
