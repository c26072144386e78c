"""The rows of a sheet, one after the other, and how many there are by their tags alone.

Guarantees: a row is a record where any of its cells has a value or a formula. Memory is that of a row, at most LONGEST_ROW bytes
of XML, however far away a cell is. `count_rows` uses no XML parser.
"""

import codecs
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from openpyxl.utils import column_index_from_string
from openpyxl.xml.constants import SHEET_MAIN_NS

from flowforge.domain.errors import UnsupportedSource
from flowforge.sources.files.excel_cells import CELL, FORMULA, INLINE, VALUE

DATA, ROW, MERGED = (f"{{{SHEET_MAIN_NS}}}{name}" for name in ("sheetData", "row", "mergeCell"))
LONGEST_ROW = 2**27
TOKENS = re.compile(rb"<!--.*?-->|<!\[CDATA\[.*?\]\]>|<(?:\w+:)?(row|c|v|is|f)(?=[\s/>])([^>]*)>", re.DOTALL)
HIDING = ((b"<!--", b"-->"), (b"<![CDATA[", b"]]>"))  # what is between them has no tags
UTF_16 = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be", b"<\0": "utf-16-le", b"\0<": "utf-16-be"}
PLACE = re.compile(rb'\br=["\']([A-Z]*)([0-9]*)["\']')
Cells = list[tuple[int, ET.Element]]


@dataclass(frozen=True)
class Area:
    """Rows and columns that are read, from 1, both ends included; None: to the end."""

    first_row: int
    last_row: int | None
    first_column: int
    last_column: int | None

    def holds(self, row: int, column: int) -> bool:
        return self.first_row <= row <= (self.last_row or row) and self.first_column <= column <= (
            self.last_column or column
        )


class SheetRows:
    """Iterated once, it gives the number and the filled cells of each row of an area.
    `merged` counts the merged ranges, once the end is reached."""

    def __init__(self, stream: IO[bytes], area: Area, where: str):
        self._stream, self._area, self._where = stream, area, where
        self._since = self.merged = 0

    def read(self, size: int = 2**16, /) -> bytes:
        """What the parser reads; a row that does not end is refused."""
        self._since += size
        if self._since > LONGEST_ROW:
            raise _too_long(self._where)
        return self._stream.read(size)

    def __iter__(self) -> Iterator[tuple[int, Cells]]:
        area, line, data = self._area, 0, None
        for event, element in ET.iterparse(self, ("start", "end")):  # noqa: S314 - no DTD: excel_workbook
            if event == "start":
                data = element if element.tag == DATA else data
                continue
            if element.tag == MERGED:
                self.merged += 1
            elif element.tag == ROW:
                self._since = 0
                line = _after(line, element.get("r"), self._where)
                if area.last_row and line > area.last_row:
                    return
                if line >= area.first_row and (cells := _filled(element, line, area)):
                    yield line, cells
                if data is not None:
                    data.clear()


def count_rows(stream: IO[bytes], area: Area, where: str) -> int:
    """Rows of an area that have a cell with a value or a formula, by the tags alone."""
    held, count, row, column, is_counted = b"", 0, 0, 0, False
    for portion in _as_utf8(stream):
        held += portion
        end = _end_of_tags(held)
        if not end and len(held) > LONGEST_ROW:
            raise _too_long(where)
        for tag in TOKENS.finditer(held, 0, end):
            if tag[1] == b"row":
                place = PLACE.search(tag[2])
                row, column, is_counted = int(place[2]) if place and place[2] else row + 1, 0, False
            elif tag[1] == b"c":
                place = PLACE.search(tag[2])
                column = column_index_from_string(place[1].decode()) if place and place[1] else column + 1
            elif tag[1] and not is_counted and area.holds(row, column):
                count, is_counted = count + 1, True
        held = held[end:]
    return count


def _as_utf8(stream: IO[bytes]) -> Iterator[bytes]:
    """A part's bytes, in UTF-8 where it is UTF-16: the two that a package's XML may be in (ECMA-376-2, 9.1.4)."""
    portion = stream.read(2**20)
    codec = UTF_16.get(portion[:2])
    decoder = codecs.getincrementaldecoder(codec)() if codec else None
    while portion:
        yield decoder.decode(portion).encode() if decoder else portion
        portion = stream.read(2**20)


def _end_of_tags(held: bytes) -> int:
    """Behind the last tag that is whole, before a comment or a CDATA section that is not."""
    end = held.rfind(b">") + 1
    for begins, ends in HIDING:
        place = held.rfind(begins)
        if place >= 0 and held.find(ends, place) < 0:
            end = min(end, place)
    return end


def _after(line: int, number: str | None, where: str) -> int:
    """The number of the row behind `line`; as it is there, where it is. Rows out of order would be passed over unseen."""
    found = int(number or line + 1)
    if found <= line:
        raise UnsupportedSource(f"{where}: row {found:,} stands behind row {line:,}", "save it again with Excel")
    return found


def _filled(row: ET.Element, line: int, area: Area) -> Cells:
    found, column = [], 0
    for cell in row:
        if cell.tag != CELL:
            continue
        letters = (cell.get("r") or "").rstrip("0123456789")
        column = column_index_from_string(letters) if letters else column + 1
        if area.holds(line, column) and any(one.tag in (VALUE, FORMULA, INLINE) for one in cell):
            found.append((column, cell))
    return found


def _too_long(where: str) -> UnsupportedSource:
    return UnsupportedSource(f"{where}: a row of more than {LONGEST_ROW:,} bytes", "look for a cell of much text")
