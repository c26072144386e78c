"""The tables of a run as lines of one table, with as many columns as the window has room for."""

import time
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
        return status(table.get("status"), live=self._live).append(read_parts(table))


def read_parts(table: dict[str, Any]) -> str:
    """How far the reading of a large table has come."""
    known = table.get("slices")
    if table.get("status") != "reading" or not known:
        return ""
    return f", {known['done']} of {known['slices']} slices, {known['records']:,} rows so far"


def _name(table: dict[str, Any]) -> Text:
    return Text(layout.cell(table["table"]).plain, style="bold")


def _silver(table: dict[str, Any]) -> Text:
    told = "".join(f" {sign}{count:,}" for sign, count in changes(table).items())
    return Text.assemble(layout.number(table.get("silver_rows")), (told, "dim"))


def changes(table: dict[str, Any]) -> dict[str, int]:
    """How many rows of silver a table's batch has inserted, updated and deleted, by their signs; without those that are none."""
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
