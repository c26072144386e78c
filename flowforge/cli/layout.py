"""How values, rows and facts look on a terminal: no id, name or key is broken, whatever the window's width.

Values from databases and servers are shown as text, never as markup or terminal commands.
"""

import json
import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from flowforge.domain.given import given

# A pipe gets one line per row: there is no window whose width would count.
PIPE_COLUMNS = 10_000
PROSE_COLUMNS = 40
PROSE = ("problem", "reason", "why", "for example", "watermarks", "action")  # columns of sentences, which may be folded
_FRACTION = re.compile(r"\.?(\d*)")
_VISIBLE = {c: f"\\x{c:02x}" for c in (*range(32), *range(127, 160))}


def cell(value: Any) -> Text:
    """One value as visible text: NULL dimmed, control characters spelled out."""
    if value is None:
        return Text("-", style="dim")
    if isinstance(value, bool):
        return Text("yes" if value else "no")
    shown = json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)
    return Text(shown.translate(_VISIBLE))


def moment(value: Any) -> Text:
    """A time without its noise (microseconds that are zero, the T); anything else as it is."""
    if isinstance(value, str) and len(value) >= 19 and value[10] in "T ":
        try:
            when = datetime.fromisoformat(value)
        except ValueError:
            return cell(value)
        if len(given(_FRACTION.match(value, 19))[1]) > 6:
            return cell(value.replace("T", " ", 1))  # Python would cut the seventh digit
        digits = "milliseconds" if when.microsecond % 1000 == 0 else "microseconds"
        plain = when.replace(tzinfo=None).isoformat(sep=" ", timespec=digits if when.microsecond else "seconds")
        return Text(plain + ("Z" if when.tzinfo else ""))
    return cell(value)


def number(value: int | None) -> Text:
    """A count with thousands separators."""
    return cell(None) if value is None else Text(f"{value:,}", justify="right")


def table(columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> "Rows":
    """Rows of values as `Rows` shows them: no id, name or key is broken, whatever the window's width."""
    names, kept = list(columns), [list(row) for row in rows]
    return Rows(names, kept, prose=next((name for name in PROSE if name in names), None))


def grid(columns: Iterable[str], rows: Iterable[Iterable[Any]], title: str | None = None) -> Table:
    """A table of values; numbers stand right, what is a rich renderable stays what it is."""
    kept = [list(row) for row in rows]
    shown = Table(
        box=box.SIMPLE_HEAD, title=title and Text(title), title_justify="left", pad_edge=False, show_edge=False
    )
    for position, name in enumerate(columns):
        values = [row[position] for row in kept if row[position] is not None]
        numeric = bool(values) and all(isinstance(v, int | float | Decimal) and not isinstance(v, bool) for v in values)
        shown.add_column(cell(name), justify="right" if numeric else "left", overflow="fold")
    for row in kept:
        shown.add_row(*(value if isinstance(value, Text) else cell(value) for value in row))
    return shown


def fits(shown: RenderableType, console: Console, options: ConsoleOptions) -> bool:
    """Whether something has room in the window without folding its lines."""
    return Measurement.get(console, options.update(max_width=PIPE_COLUMNS), shown).maximum <= options.max_width


class Rows:
    """Rows of any table: side by side where the window has room for them, else one block of names and values per row.

    `prose` is a column that may be folded, so the table needs no more than PROSE_COLUMNS for it; the others stay whole. Columns
    that are `dispensable` are left out in their order before anything is shown in blocks.
    """

    def __init__(
        self,
        columns: Sequence[str],
        rows: Sequence[Sequence[Any]],
        prose: str | None = None,
        dispensable: Sequence[str] = (),
    ):
        self._columns = columns
        self._rows = rows
        self._prose = prose
        self._dispensable = dispensable

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield self._drawn(console, options)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement.get(console, options, self._drawn(console, options))

    def _drawn(self, console: Console, options: ConsoleOptions) -> RenderableType:
        for left_out in range(len(self._dispensable) + 1):
            together, narrowest = self._side_by_side(self._dispensable[:left_out])
            if fits(narrowest, console, options):
                return together
        blocks: list[RenderableType] = []
        for position, row in enumerate(self._rows, start=1):
            blocks += [Text(f"row {position}", style="bold"), facts(zip(self._columns, row, strict=True))]
        return Group(*blocks)

    def _side_by_side(self, left_out: Sequence[str]) -> tuple[Table, Table]:
        """The table, and the least room that it needs."""
        places = [place for place, name in enumerate(self._columns) if name not in left_out]
        names = [self._columns[place] for place in places]
        rows = [[row[place] for place in places] for row in self._rows]
        together, narrowest = grid(names, rows), grid(names, rows)
        for name, drawn, measured in zip(names, together.columns, narrowest.columns, strict=True):
            drawn.no_wrap = name != self._prose
            measured.max_width = PROSE_COLUMNS if name == self._prose else None
        return together, narrowest


class Facts:
    """Names and values, one pair per line; a word that the window has no room for is not broken, but goes beyond its edge."""

    def __init__(self, pairs: Iterable[tuple[str, Any]]):
        self._pairs = [
            (cell(name).plain, value.copy() if isinstance(value, Text) else cell(value)) for name, value in pairs
        ]
        self._width = max((cell_len(name) for name, _ in self._pairs), default=0)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        room = options.max_width - self._width - 2
        shown = self._grid()
        for name, told in self._pairs:
            told.justify = "left"
            if max((cell_len(word) for word in told.plain.split()), default=0) <= room:
                shown.add_row(Text(name, style="dim"), told)
                continue
            if shown.row_count:
                yield shown
                shown = self._grid()
            padded = name + " " * (self._width - cell_len(name) + 2)
            yield Text.assemble((padded, "dim"), told, no_wrap=True, overflow="ignore")
        if shown.row_count:
            yield shown

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        widest = max((told.cell_len for _, told in self._pairs), default=0)
        return Measurement(self._width + 2, self._width + 2 + widest).clamp(max_width=options.max_width)

    def _grid(self) -> Table:
        shown = Table.grid(padding=(0, 2))
        shown.add_column(min_width=self._width, no_wrap=True)
        shown.add_column()
        return shown


def facts(pairs: Iterable[tuple[str, Any]]) -> Facts:
    """Names and values, one pair per line."""
    return Facts(pairs)
