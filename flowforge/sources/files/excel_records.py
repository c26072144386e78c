"""Records of a sheet, row by row: texts as the file has them; what is no value is a reject with the cell's address.

Guarantees: a row is a record where any of its cells has a value or a formula. A cell beside the columns is a reject, never passed
over. Memory is that of the shared texts and a portion.
"""

import json
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Self

import pyarrow as pa
from openpyxl.utils import get_column_letter
from openpyxl.utils.cell import range_boundaries

from events.files import FileColumn, FileContract
from flowforge.domain.errors import UnsupportedSource
from flowforge.sources.files.container import Content
from flowforge.sources.files.excel_cells import CellError, CellTexts
from flowforge.sources.files.excel_rows import Area, Cells, SheetRows, count_rows
from flowforge.sources.files.excel_workbook import Workbook, damage
from flowforge.sources.files.rejected import Portion, Rejected, cut_raw
from flowforge.sources.files.text_records import MOST_COLUMNS, PORTION_BYTES, PORTION_ROWS, Row

TWICE = "is there twice"  # one of the values would be lost


class ExcelRecords:
    """See records.Records. `fields` are the header's texts, or the places of the columns from 1: without a header the first row
    says how many there are. `line` of a reject is the sheet's row. Raises UnsupportedSource."""

    def __init__(self, content: Content, contract: FileContract):
        self._name, self._contract, self._opened = content.name, contract, ExitStack()
        self.extra: list[str] = []
        try:
            self._book = Workbook(content, contract.sheet, self._opened)
            self._cells = CellTexts(self._book.strings, self._book.dates, self._book.epoch)
            self._area = self._area_of(contract)
            self.fields = self._header()
        except BaseException:
            self._opened.close()
            raise
        known = {column.field: column for column in contract.columns}
        self.extra = [name for name in self.fields if known and name not in known]
        self.notes = [*content.notes, *self._book.notes]
        self._nulls = {*contract.null_words, *([""] if contract.empty_is_null else [])}
        self._known = [known.get(name) for name in self.fields]

    @property
    def columns(self) -> list[FileColumn]:
        """The contract's, or else one for each field."""
        return self._contract.columns or [FileColumn(name=name, field=name) for name in self.fields]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self._opened.close()

    def __iter__(self) -> Iterator[Portion]:
        rows: list[Row] = []
        placed: list[tuple[int, int]] = []
        rejected: list[Rejected] = []
        size = 0
        for number, (line, cells) in enumerate(self._data_rows(), start=1):
            found = self._record(number, line, cells)
            if isinstance(found, Rejected):
                rejected.append(found)
            else:
                rows.append(found)
                placed.append((number, line))
                size += sum(map(len, filter(None, found)))
            if len(rows) + len(rejected) >= PORTION_ROWS or size >= PORTION_BYTES:
                yield self._portion(rows, placed, rejected)
                rows, placed, rejected, size = [], [], [], 0
        if rows or rejected:
            yield self._portion(rows, placed, rejected)

    def counted(self) -> int:
        """The number of records, by a pass of its own over the sheet's bytes, without an XML parser."""
        with damage(self._name), self._book.open_sheet() as stream:
            found = count_rows(stream, self._area, self._name)
        return max(found - self._contract.skip_footer_rows, 0)

    def _area_of(self, contract: FileContract) -> Area:
        """The area of the data rows. The header is the range's first row, else `header_row`, behind `skip_rows` further rows."""
        first_column, first, last_column, last = 1, contract.header_row, None, None
        if contract.cell_range:
            try:
                first_column, first, last_column, last = range_boundaries(contract.cell_range)
            except (ValueError, TypeError) as error:
                raise UnsupportedSource(
                    f"{self._name}: {contract.cell_range!r} is no range", "write it as B3:F200"
                ) from error
        self._header_row = int(first or 1) + contract.skip_rows
        return Area(self._header_row + contract.header, last, int(first_column or 1), last_column)

    def _header(self) -> list[str]:
        area = self._area
        if not self._contract.header:
            _, cells = next(self._rows(area), (0, []))
            width = max([int(one.field) for one in self._contract.columns if one.field.isdecimal()], default=0)
            if not width or self._contract.unknown_columns != "refuse":
                width = max(width, self._width(cells))
            return [str(place) for place in range(1, width + 1)]
        row = Area(self._header_row, self._header_row, area.first_column, area.last_column)
        line, cells = next(self._rows(row), (self._header_row, []))
        if not cells:
            raise UnsupportedSource(f"{self._name}: row {line:,} is empty and should be the header", "name headerRow")
        if (width := self._width(cells)) > MOST_COLUMNS:
            raise UnsupportedSource(f"{self._name}: {width:,} columns", f"a table has at most {MOST_COLUMNS:,}")
        names = [""] * width
        seen: set[int] = set()
        for cell in cells:
            place = cell[0] - area.first_column
            try:
                if place in seen:
                    raise CellError(TWICE)
                seen.add(place)
                names[place] = self._cells.text(cell, None)[0] or ""
            except CellError as error:
                address = f"{get_column_letter(cell[0])}{line}"
                raise UnsupportedSource(
                    f"{self._name}: the header: cell {address} {error}", "mend the header"
                ) from error
        for place, name in enumerate(names):
            if not name.strip():
                address = f"{get_column_letter(area.first_column + place)}{line}"
                raise UnsupportedSource(
                    f"{self._name}: cell {address} of the header is empty",
                    "give it a name; set headerRow where titles stand above the header",
                )
        return names

    def _width(self, cells: Cells) -> int:
        return max((cell[0] for cell in cells), default=self._area.first_column - 1) - self._area.first_column + 1

    def _data_rows(self) -> Iterator[tuple[int, Cells]]:
        held: deque[tuple[int, Cells]] = deque()
        for line, cells in self._rows(self._area):
            held.append((line, cells))
            if len(held) > self._contract.skip_footer_rows:
                yield held.popleft()

    def _rows(self, area: Area) -> Iterator[tuple[int, Cells]]:
        with damage(self._name), self._book.open_sheet() as stream:
            rows = SheetRows(stream, area, self._name)
            yield from rows
        if rows.merged:
            self.notes.append(
                f"{rows.merged:,} ranges are merged: the first cell of each has its value, the others are empty"
            )

    def _record(self, number: int, line: int, cells: Cells) -> Row | Rejected:
        record: Row = [None] * len(self.fields)
        problem, field = "", ""
        seen: set[int] = set()
        first, known, nulls, text_of = self._area.first_column, self._known, self._nulls, self._cells.text
        for cell in cells:
            place = cell[0] - first
            try:
                if place in seen:
                    raise CellError(TWICE)
                seen.add(place)
                if place >= len(record):
                    raise CellError("stands beside the columns")
                text, is_text = text_of(cell, known[place])
                if not (is_text and text in nulls):
                    record[place] = text
            except CellError as error:
                problem = problem or f"cell {get_column_letter(cell[0])}{line} {error}"
                field = field or (self._name_of(place) if place < len(record) else "")
        if not problem:
            return record
        raw = json.dumps(dict(zip(self.fields, record, strict=True)), ensure_ascii=False)
        return Rejected(number, line, None, cut_raw(raw), problem, field)

    def _name_of(self, place: int) -> str:
        column = self._known[place]
        return column.name if column else self.fields[place]

    def _portion(self, rows: list[Row], placed: list[tuple[int, int]], rejected: list[Rejected]) -> Portion:
        columns = list(zip(*rows, strict=True)) if rows else [()] * len(self.fields)
        texts = pa.RecordBatch.from_arrays([pa.array(column, pa.string()) for column in columns], names=self.fields)
        numbers, lines = zip(*placed, strict=True) if placed else ((), ())
        return Portion(texts, pa.array(numbers, pa.int64()), rejected, pa.array(lines, pa.int64()))
