"""Runs and their tables as a person reads them. Pure: documents of the API in, rich renderables out."""

import time
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from flowforge.cli import layout

STYLES = {
    "queued": "dim",
    "accepted": "dim",
    "running": "cyan",
    "reading": "cyan",
    "landed": "yellow",
    "refined": "blue",
    "published": "green",
    "succeeded": "green",
    "empty": "green",
    "failed": "bold red",
    "rejected": "bold red",
}
MARKS = {"published": "✔", "succeeded": "✔", "empty": "✔", "failed": "✘", "rejected": "✘"}
LEGEND = {"✔": "done", "✘": "failed", "·": "under way"}
CHANGES = {"+": "rows inserted", "~": "updated", "-": "deleted"}
_TURNING = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"


def status(name: str | None, *, live: bool = False) -> Text:
    """A status with its mark and colour; the mark of one that is under way turns while `live`."""
    shown = name or "…"
    under_way = _TURNING[int(time.monotonic() * 10) % len(_TURNING)] if live else "·"
    return Text(f"{MARKS.get(shown, under_way)} {shown}", style=STYLES.get(shown, ""))


class RunTables:
    """One line per table of a run, with as many columns as the window has room for."""

    def __init__(self, tables: list[dict[str, Any]], *, live: bool = False):
        self._tables = tables
        self._live = live

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield self._drawn(console, options)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement.get(console, options, self._drawn(console, options))

    def _drawn(self, console: Console, options: ConsoleOptions) -> RenderableType:
        left_out: set[str] = set()
        shown = self._table(left_out)
        for title in _DISPENSABLE:
            if layout.fits(shown, console, options):
                break
            left_out.add(title)
            shown = self._table(left_out)
        return shown if layout.fits(shown, console, options) else self._blocks()

    def _blocks(self) -> RenderableType:
        """One block of facts for each table: a window too narrow for the least that a line has breaks no name."""
        kept = [column for column in _COLUMNS if column.title not in _DISPENSABLE]
        return Group(*(layout.facts((c.title, self._cell(c, table)) for c in kept) for table in self._tables))

    def _table(self, left_out: set[str]) -> Table:
        columns = [column for column in _COLUMNS if column.title not in left_out]
        rows = ([self._cell(column, table) for column in columns] for table in self._tables)
        shown = layout.grid([column.title for column in columns], rows)
        for column, drawn in zip(columns, shown.columns, strict=True):
            drawn.justify = "right" if column.right else "left"
            drawn.no_wrap = True
        return shown

    def _cell(self, column: "_Column", table: dict[str, Any]) -> Text:
        if column.title != "status":
            return column.draw(table)
        return status(table.get("status"), live=self._live).append(_parts(table))


def run_summary(run: dict[str, Any], *, details: bool = True) -> RenderableType:
    """A run with its tables, where its objects are, and what failed."""
    title = Text.assemble("run ", (run["run_id"], "bold"), f"  {run.get('workflow_id') or ''} ", " ")
    parts: list[RenderableType] = [Text.assemble(title, status(run.get("status")))]
    called = [run[name] for name in ("workflow_name", "job_name") if run.get(name)]
    parts += [Text(": ".join(layout.cell(name).plain for name in called), style="dim")] if called else []
    if run["tables"]:
        parts.append(RunTables(run["tables"]))
    if details:
        parts += [line for table in run["tables"] for line in _details(table)]
    parts += [_discarded(one) for one in run.get("discarded") or []]
    parts += [_mistakes(run)] if run.get("mistakes") else []
    return Group(*parts, legend([run]))


def run_list(runs: list[dict[str, Any]]) -> RenderableType:
    """The run history, newest first as the API gives it."""
    rows = []
    for run in runs:
        counts = Counter(table.get("status") for table in run.get("tables") or [])
        told = ", ".join(f"{count} {name}" for name, count in counts.items())
        shown = [run["run_id"], run.get("workflow_id"), run.get("job_id"), status(run.get("status"))]
        rows.append([*shown, layout.moment(run.get("accepted_at")), told])
    columns = ["run", "workflow", "job", "status", "accepted", "tables"]
    return Group(layout.Rows(columns, rows, prose="tables", dispensable=("tables", "job", "workflow")), legend(runs))


def legend(runs: list[dict[str, Any]]) -> Text:
    """What the signs mean that these runs are shown with."""
    tables = [table for run in runs for table in run.get("tables") or []]
    told = {MARKS.get(one.get("status") or "", "·") for one in [*runs, *tables]}
    meanings = [f"{sign} {LEGEND[sign]}" for sign in LEGEND if sign in told]
    changed = {sign for table in tables for sign in _changes(table)}
    meanings += [f"{sign}n {word}" for sign, word in CHANGES.items() if sign in changed]
    return Text("   ".join(meanings), style="dim")


def table_line(table: dict[str, Any]) -> str:
    """A table's state in one plain line, for a pipe."""
    facts = [f"{table['table']}: {table.get('status')}"]
    facts[0] += _parts(table)
    if table.get("records") is not None:
        facts.append(f"{table['records']:,} rows")
    if table.get("silver_rows") is not None:
        facts.append(f"silver {table['silver_rows']:,} rows")
    if table.get("watermark_after") is not None:
        state = "" if table.get("watermark_committed") else " (not committed)"
        facts.append(f"watermark {layout.moment(table['watermark_after']).plain}{state}")
    if table.get("waiting"):
        facts.append(table["waiting"])
    if error := table.get("error"):
        facts.append(f"{error.get('step')}: {error.get('cause')}")
    return layout.cell(", ".join(facts)).plain


def _parts(table: dict[str, Any]) -> str:
    """How far the reading of a large table has come."""
    known = table.get("slices")
    if table.get("status") != "reading" or not known:
        return ""
    return f", {known['done']} of {known['slices']} slices, {known['records']:,} rows so far"


def size(byte_count: int | None) -> str:
    """A byte count in the largest unit that keeps it above 1."""
    amount = float(byte_count or 0)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024 or unit == "GiB":
            return f"{amount:,.0f} {unit}" if unit == "B" else f"{amount:,.1f} {unit}"
        amount /= 1024
    raise AssertionError("unreachable")


def _name(table: dict[str, Any]) -> Text:
    return Text(layout.cell(table["table"]).plain, style="bold")


def _silver(table: dict[str, Any]) -> Text:
    told = "".join(f" {sign}{count:,}" for sign, count in _changes(table).items())
    return Text.assemble(layout.number(table.get("silver_rows")), (told, "dim"))


def _changes(table: dict[str, Any]) -> dict[str, int]:
    counts = zip(CHANGES, (table.get("inserted"), table.get("updated"), table.get("deleted")), strict=True)
    return {sign: count for sign, count in counts if count}


def _gold(table: dict[str, Any]) -> Text:
    counts = (table.get("gold_tables") or {}).items()
    told = ", ".join(name if rows is None else f"{rows:,}" for name, rows in counts)
    return layout.cell(told or None)


def _committed(table: dict[str, Any]) -> Text:
    shown = layout.moment(table.get("watermark_after"))
    if table.get("watermark_after") is not None and not table.get("watermark_committed"):
        shown.stylize("dim")
    return shown


def _seconds(table: dict[str, Any]) -> Text:
    spent = [value for value in (table.get("seconds") or {}).values() if value is not None]
    return Text(f"{sum(spent):.2f}") if spent else layout.cell(None)


class _Column(NamedTuple):
    title: str
    draw: Callable[[dict[str, Any]], Text]
    right: bool = False


_COLUMNS = (
    _Column("table", _name),
    _Column("status", lambda table: status(table.get("status"))),
    _Column("rows", lambda table: layout.number(table.get("records")), right=True),
    _Column("silver rows", _silver, right=True),
    _Column("gold rows", _gold, right=True),
    _Column("watermark before", lambda table: layout.moment(table.get("watermark_before"))),
    _Column("watermark after", _committed),
    _Column("seconds", _seconds, right=True),
)
# What a narrow window does without, in this order.
_DISPENSABLE = ("watermark before", "gold rows", "seconds", "silver rows")


def _details(table: dict[str, Any]) -> list[RenderableType]:
    name = str(table["table"])
    lines: list[RenderableType] = []
    if table.get("bronze_key"):
        lines.append(
            Text.assemble((f"{name}  ", "dim"), f"{table['bronze_key']}  ", size(table.get("file_size_bytes")))
        )
    if table.get("source_rows") not in (None, table.get("records")):
        counted = f"{table['source_rows']:,} rows counted at the source {table.get('counted')}"
        lines.append(Text.assemble((f"{name}  ", "dim"), layout.cell(counted)))
    if table.get("reason"):
        lines.append(Text.assemble((f"{name}  ", "dim"), layout.cell(table["reason"])))
    told = [*(table.get("notes") or []), *(table.get("schema_changes") or [])]
    lines += [Text.assemble((f"{name}  ", "dim"), layout.cell(one)) for one in told]
    lines += [broken_rule(name, figure) for figure in table.get("quality") or [] if figure.get("failed")]
    for gold, figures in (table.get("gold_quality") or {}).items():
        lines += [broken_rule(f"gold.{gold}", figure) for figure in figures if figure.get("failed")]
    if table.get("quarantined"):
        lines.append(Text(f"{name}  {table['quarantined']:,} rows quarantined", style="yellow"))
    if error := table.get("error"):
        lines.append(Text.assemble((f"{name}  ", "dim"), (layout.cell(_cause(error)).plain, "red")))
        if error.get("remedy"):
            lines.append(Text.assemble((f"{name}  ", "dim"), "what to do: ", layout.cell(error["remedy"])))
    return lines


def broken_rule(name: str, figure: dict[str, Any]) -> Text:
    """A quality rule that rows break, on one line."""
    counted = f"{figure['failed']:,} of {figure['checked']:,} failed ({figure['severity']})"
    return Text.assemble((f"{name}  ", "dim"), layout.cell(figure["rule"]), f": {counted}", style="yellow")


def _cause(error: dict[str, Any]) -> str:
    attempts = f" (attempt {error['attempts']})" if (error.get("attempts") or 0) > 1 else ""
    return f"{error.get('step')} failed{attempts}: {error.get('error')}: {error.get('cause')}"


def _discarded(one: dict[str, Any]) -> Text:
    told = f"its {one['queue']} message was discarded: {one['discarded_because']}; {one['consequence']}"
    return Text.assemble((f"{one.get('table') or 'run'}  ", "dim"), layout.cell(told), style="yellow")


def _mistakes(run: dict[str, Any]) -> RenderableType:
    return layout.table(["field", "problem"], ((m.get("field"), m.get("problem")) for m in run["mistakes"]))
