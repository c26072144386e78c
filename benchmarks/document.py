"""docs/benchmarks.md: one section for each table and setting, replaced when it is measured again.

Nothing but measured sections is in it; what was never run has no section.
"""

import os
import re
from dataclasses import dataclass
from datetime import datetime

from benchmarks import report
from benchmarks.contenders import CONTENDERS, ROOT
from benchmarks.measurement import Result
from benchmarks.shapes import SHAPES

FILE = ROOT / "docs" / "benchmarks.md"
OPENING = """# Benchmarks: a SQL Server table into Parquet in S3

Made by `python -m benchmarks --write` (`make bench`), `python -m benchmarks.many_tables --write`, for tables that change
`python -m benchmarks.changes --write` and, for files in place of tables, `python -m benchmarks.files --write`, through the real
ingest step `python -m benchmarks.large_files --write`; the load under kills, and what follows from it for many more tables, by
`python -m benchmarks.load --write`; the console before many runs and tables by `python -m benchmarks.console --write`. Each
section says what was run, where and when. What is not here was not run.

Every contender reads the same table from the same SQL Server stand-in and writes Parquet to the same embedded S3 on
the loopback interface, as a whole process: imports, connecting and upload included. They run in turn, one warm-up
each that does not count (of 10,000,000 rows only for those that would wait for the server's first answer), then
medians. The servers share the processor with the contender. CPU is user and system time of the contender's processes;
peak RSS is its largest process; the ratio is of rows per second. After each run the rows in S3 are counted; a
contender that lands another number is out. `floor` drains the socket and writes nothing.

{contenders}
"""


@dataclass(frozen=True)
class Section:
    """A heading, unique per table and setting, and the text below it."""

    heading: str
    body: str

    @property
    def text(self) -> str:
        return f"## {self.heading}\n\n{self.body}\n"

    @classmethod
    def of(cls, shape: str, rows: int, repeat: int, tls: bool, started: datetime, results: list[Result]) -> "Section":
        """The section of one measurement."""
        measured = (
            f"{started:%Y-%m-%d %H:%M} UTC, {report.machine()}. Medians of {repeat}."
            f" Load average at the end {os.getloadavg()[0]:.1f}. TLS {'on' if tls else 'off'}."
        )
        lines = [f"{SHAPES[shape].says}.", "", measured, "", report.table(results), ""]
        lines += [f"- {remark}" for remark in report.remarks(results)]
        return cls(f"{shape}, {rows:,} rows{', TLS' if tls else ''}", "\n".join(lines).rstrip())


def merged(document: str, section: Section) -> str:
    """The document with the section in the place of one of the same heading, or at its end."""
    opening, *others = re.split(r"(?m)^(?=## )", document)
    kept = [other.rstrip() for other in others]
    heading = f"## {section.heading}\n"
    places = [n for n, other in enumerate(kept) if (other + "\n").startswith(heading)]
    if places:
        kept[places[0]] = section.text.rstrip()
    else:
        kept.append(section.text.rstrip())
    return "\n\n".join([opening.rstrip(), *kept]) + "\n"


def write(section: Section) -> None:
    """Puts the section into the document; the opening is always the current one."""
    listed = "\n".join(f"- {c.name}: {c.says}" for c in CONTENDERS.values())
    written = FILE.read_text() if FILE.exists() else ""
    sections = "".join(re.split(r"(?m)^(?=## )", written)[1:])
    FILE.write_text(merged(OPENING.format(contenders=listed) + "\n" + sections, section))
