"""Runs and their tables as a person reads them. Pure: documents of the API in, rich renderables out."""

from collections import Counter
from typing import Any

from rich.console import Group, RenderableType
from rich.spinner import Spinner
from rich.text import Text

from flowforge.cli import output

STYLES = {
    "queued": "dim",
    "accepted": "dim",
    "running": "cyan",
    "landed": "yellow",
    "refined": "blue",
    "published": "green",
    "succeeded": "green",
    "empty": "green",
    "failed": "bold red",
    "rejected": "bold red",
}
MARKS = {"published": "✔", "succeeded": "✔", "empty": "✔", "failed": "✘", "rejected": "✘"}
_COLUMNS = ("table", "status", "rows", "silver rows", "gold rows", "watermark before", "watermark after", "seconds")


def status(name: str | None, *, live: bool = False) -> RenderableType:
    """A status with its mark and colour; one that is under way turns while `live`."""
    shown = name or "…"
    style = STYLES.get(shown, "")
    if mark := MARKS.get(shown):
        return Text(f"{mark} {shown}", style=style)
    if live:
        return Spinner("dots", text=Text(shown, style=style), style=style)
    return Text(f"· {shown}", style=style)


def run_tables(run: dict[str, Any], *, live: bool = False) -> RenderableType:
    """One line per table of a run."""
    rows = []
    for table in run["tables"]:
        rows.append(
            [
                Text(str(table["table"]), style="bold"),
                status(table.get("status"), live=live),
                _count(table.get("records")),
                _silver(table),
                _gold(table),
                output.moment(table.get("watermark_before")),
                _committed(table),
                _seconds(table),
            ]
        )
    shown = output.table(_COLUMNS, rows)
    for column in (2, 3, 4, 7):
        shown.columns[column].justify = "right"
    return shown


def run_summary(run: dict[str, Any], *, details: bool = True) -> RenderableType:
    """A run with its tables, where its objects are, and what failed."""
    title = Text.assemble("run ", (run["run_id"], "bold"), f"  {run.get('workflow_id') or ''} ", " ")
    parts: list[RenderableType] = [Text.assemble(title, status(run.get("status")))]
    if run["tables"]:
        parts.append(run_tables(run))
    if details:
        parts += [line for table in run["tables"] for line in _details(table)]
    parts += [_mistakes(run)] if run.get("mistakes") else []
    return Group(*parts)


def run_list(runs: list[dict[str, Any]]) -> RenderableType:
    """The run history, newest first as the API gives it."""
    rows = []
    for run in runs:
        counts = Counter(table.get("status") for table in run.get("tables") or [])
        told = ", ".join(f"{count} {name}" for name, count in counts.items())
        shown = [run["run_id"], run.get("workflow_id"), run.get("job_id"), status(run.get("status"))]
        rows.append([*shown, output.moment(run.get("accepted_at")), told])
    return output.table(["run", "workflow", "job", "status", "accepted", "tables"], rows)


def table_line(table: dict[str, Any]) -> str:
    """A table's state in one plain line, for a pipe."""
    facts = [f"{table['table']}: {table.get('status')}"]
    if table.get("records") is not None:
        facts.append(f"{table['records']:,} rows")
    if table.get("silver_rows") is not None:
        facts.append(f"silver {table['silver_rows']:,} rows")
    if table.get("watermark_after") is not None:
        state = "" if table.get("watermark_committed") else " (not committed)"
        facts.append(f"watermark {output.moment(table['watermark_after']).plain}{state}")
    if error := table.get("error"):
        facts.append(f"{error.get('step')}: {error.get('cause')}")
    return output.cell(", ".join(facts)).plain


def size(byte_count: int | None) -> str:
    """A byte count in the largest unit that keeps it above 1."""
    amount = float(byte_count or 0)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024 or unit == "GiB":
            return f"{amount:,.0f} {unit}" if unit == "B" else f"{amount:,.1f} {unit}"
        amount /= 1024
    raise AssertionError("unreachable")


def _count(value: int | None) -> Text:
    return output.number(value)


def _silver(table: dict[str, Any]) -> Text:
    if table.get("silver_rows") is None:
        return output.cell(None)
    changes = [
        f"+{table['inserted']:,}" if table.get("inserted") else "",
        f"~{table['updated']:,}" if table.get("updated") else "",
    ]
    told = " ".join(part for part in changes if part)
    return Text.assemble(f"{table['silver_rows']:,}", (f" {told}" if told else "", "dim"))


def _gold(table: dict[str, Any]) -> Text:
    counts = table.get("gold_tables") or {}
    return (
        Text(", ".join(f"{rows:,}" if rows is not None else name for name, rows in counts.items()))
        if counts
        else output.cell(None)
    )


def _committed(table: dict[str, Any]) -> Text:
    shown = output.moment(table.get("watermark_after"))
    if table.get("watermark_after") is not None and not table.get("watermark_committed"):
        shown.stylize("dim")
    return shown


def _seconds(table: dict[str, Any]) -> Text:
    spent = [value for value in (table.get("seconds") or {}).values() if value is not None]
    return Text(f"{sum(spent):.2f}") if spent else output.cell(None)


def _details(table: dict[str, Any]) -> list[RenderableType]:
    name = str(table["table"])
    lines: list[RenderableType] = []
    if table.get("bronze_key"):
        lines.append(
            Text.assemble((f"{name}  ", "dim"), f"{table['bronze_key']}  ", size(table.get("file_size_bytes")))
        )
    if table.get("reason"):
        lines.append(Text.assemble((f"{name}  ", "dim"), output.cell(table["reason"])))
    if table.get("quarantined"):
        lines.append(Text(f"{name}  {table['quarantined']:,} rows quarantined", style="yellow"))
    if error := table.get("error"):
        lines.append(Text.assemble((f"{name}  ", "dim"), (output.cell(_told(error)).plain, "red")))
        if error.get("remedy"):
            lines.append(Text.assemble((f"{name}  ", "dim"), "what to do: ", output.cell(error["remedy"])))
    return lines


def _told(error: dict[str, Any]) -> str:
    attempts = f" (attempt {error['attempts']})" if (error.get("attempts") or 0) > 1 else ""
    return f"{error.get('step')} failed{attempts}: {error.get('error')}: {error.get('cause')}"


def _mistakes(run: dict[str, Any]) -> RenderableType:
    return output.table(["field", "problem"], ((m.get("field"), m.get("problem")) for m in run["mistakes"]))
