"""Runs and their tables as a person reads them. Pure: documents of the API in, rich renderables out."""

from collections import Counter
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from flowforge.cli import layout
from flowforge.cli.run_tables import CHANGES, MARKS, RunTables, changes, read_parts, status

LEGEND = {"✔": "done", "✘": "failed", "·": "under way"}


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
    changed = {sign for table in tables for sign in changes(table)}
    meanings += [f"{sign}n {word}" for sign, word in CHANGES.items() if sign in changed]
    return Text("   ".join(meanings), style="dim")


def table_line(table: dict[str, Any]) -> str:
    """A table's state in one plain line, for a pipe."""
    facts = [f"{table['table']}: {table.get('status')}"]
    facts[0] += read_parts(table)
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


def size(byte_count: int | None) -> str:
    """A byte count in the largest unit that keeps it above 1."""
    amount = float(byte_count or 0)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024 or unit == "GiB":
            return f"{amount:,.0f} {unit}" if unit == "B" else f"{amount:,.1f} {unit}"
        amount /= 1024
    raise AssertionError("unreachable")


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
