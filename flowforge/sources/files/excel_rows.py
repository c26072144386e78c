"""The rows of a sheet, one after the other, and how many there are by their tags alone.

Guarantees: a row is a record where any of its cells has a value or a formula. Memory is that of a row, at most LONGEST bytes
of XML, however far away a cell is. `count_rows` uses no XML parser.
"""

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from openpyxl.utils import column_index_from_string

from flowforge.domain.errors import UnsupportedSource
from flowforge.sources.files.excel_texts import Runs
from flowforge.sources.files.excel_xml import LONGEST, Elements, characters, too_long

TOKENS = re.compile(rb"<!--.*?-->|<!\[CDATA\[.*?\]\]>|<(?:\w+:)?(row|c|v|is|f)(?=[\s/>])([^>]*)>", re.DOTALL)
NEXT_ROW = re.compile(rb"<(?:\w+:)?(row)(?=[\s/>])([^>]*)>")  # where nothing hides tags
HIDING = ((b"<!--", b"-->"), (b"<![CDATA[", b"]]>"))  # what is between them has no tags
UTF_16 = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be", b"<\0": "utf-16-le", b"\0<": "utf-16-be"}
PLACE = re.compile(rb'\br=["\']([A-Z]*)([0-9]*)["\']')
ROW_START = r'\s*<{0}row(?: r="([0-9]+)")?((?: [\w:.-]+="[^"<]*")*) ?(/?)>'
SHOWN = re.compile(r'([a-z]+)="(\w*)"')
CELL = (
    r'<{0}c(?: r="([A-Z]{{1,3}})[0-9]+")?((?: (?:s|t|cm|vm|ph)="[A-Za-z0-9]*")*) ?(?:/>|>'
    r'(?:<{0}(f)(?: [A-Za-z0-9:]+="[^"<]*")*(?:/>|>[^<]*</{0}f>))?'
    r'(?:<{0}(v|is><{0}t(?: xml:space="preserve")?)>([^<]*)</{0}(?:v|t></{0}is)>)?</{0}c>)|([\s\S])'
)
Look = tuple[str, str]  # a cell's type and its style, as the file has them
Cell = tuple[int, Look, str, str | None, str | None]  # column, look, "f" of a formula, value, inline text
Cells = list[Cell]


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


class SheetRows(Elements[tuple[int, Cells]]):
    """Iterated once, it gives the number and the filled cells of each row of an area.
    `merged` counts the merged ranges, once the end is reached."""

    NAME, WITHIN = "row", "sheetData"

    def __init__(self, stream: IO[bytes], area: Area, where: str):
        super().__init__(stream, where)
        self._area, self._line, self._column, self.merged = area, 0, 0, 0
        self._looks, self._columns = dict[str, Look](), dict[str, int]()
        self._cells: Cells = []
        self._cell = _Cell({})

    def _prepare(self, prefix: str) -> None:
        self._row_end = re.compile(f"</{prefix}row>")
        self._row_start = re.compile(ROW_START.format(prefix))
        self._cell_pattern = re.compile(CELL.format(prefix))

    def _by_pattern(self, text: str) -> list[tuple[int, Cells]] | None:
        found, line = list[tuple[int, Cells]](), self._line
        *rows, rest = self._row_end.split(text)
        if rest:
            return None
        for row in rows:
            start = self._row_start.match(row)
            while start and start[3]:  # a row without cells
                line = self._after(line, start[1])
                start = self._row_start.match(row, start.end())
            if not start or ' r="' in start[2]:
                return None
            line = self._after(line, start[1])
            cells = self._filled(self._cell_pattern.findall(row, start.end()), line)
            if cells is None:
                return None
            if self._is_done:
                break
            if cells and line >= self._area.first_row:
                found.append((line, cells))
        self._line = line
        return found

    def _filled(self, cells: list[tuple[str, ...]], line: int) -> Cells | None:
        """The cells of a row that have something and are in the area; None where the pattern does not read all of it."""
        found, column, looks, columns = [], 0, self._looks, self._columns
        first, last = self._area.first_column, self._area.last_column or 2**31
        for letters, shown, formula, kind, text, other in cells:
            if other:
                return None
            if not letters:
                column += 1
            elif letters in columns:
                column = columns[letters]
            else:
                column = columns[letters] = column_index_from_string(letters)
            if (kind or formula) and first <= column <= last:
                look = looks.get(shown) or self._look(shown)
                read = characters(text) if "&" in text else text
                value, inline = (read, None) if kind == "v" else (None, read if kind else None)
                found.append((column, look, formula, value, inline))
        return found

    def _look(self, shown: str) -> Look:
        attributes = dict(SHOWN.findall(shown))
        look = self._looks[shown] = attributes.get("t", "n"), attributes.get("s", "")
        return look

    def _after(self, line: int, number: str | None) -> int:
        """The number of the row behind `line`; as it is there, where it is. Rows out of order would be passed over unseen."""
        found = int(number or line + 1)
        if self._area.last_row and found > self._area.last_row:
            self._is_done = True
        elif found <= line and not self._is_done:
            raise UnsupportedSource(
                f"{self._where}: row {found:,} stands behind row {line:,}", "save it again with Excel"
            )
        return found

    def _beside(self, name: str) -> None:
        self.merged += name == "mergeCell" and not self._is_done

    def _opened(self, path: list[str], attributes: dict[str, str]) -> list[str] | None:
        if len(path) == 1:
            self._line, self._column, self._cells = self._after(self._line, attributes.get("r")), 0, []
        elif path[1] != "c":
            return None
        elif len(path) > 2:
            return self._cell.opened(path[2:])
        else:
            letters = attributes.get("r", "").rstrip("0123456789")
            self._column = column_index_from_string(letters) if letters else self._column + 1
            self._cell = _Cell(attributes)
        return None

    def _closed(self, path: list[str]) -> None:
        if path == ["row", "c"]:
            found = self._cell.read(self._column)
            if found and self._area.holds(self._line, self._column):
                self._cells.append(found)
        elif len(path) == 1 and self._cells and not self._is_done:
            self._found.append((self._line, self._cells))


class _Cell:
    """A cell while its elements come. Of those that are there twice the first counts."""

    def __init__(self, attributes: dict[str, str]):
        self._look = attributes.get("t", "n"), attributes.get("s", "")
        self._formula = ""
        self._value: list[str] | None = None
        self._inline: Runs | None = None
        self._is_first = True

    def opened(self, path: list[str]) -> list[str] | None:
        """Where the text of an element goes. `path` is that below the cell."""
        if path[0] == "is":
            if len(path) > 1:
                return self._inline.opened(path[1:]) if self._inline and self._is_first else None
            self._is_first = self._inline is None
            self._inline = self._inline or Runs()
        elif path == ["v"] and self._value is None:
            self._value = []
            return self._value
        elif path == ["f"]:
            self._formula = "f"
        return None

    def read(self, column: int) -> Cell | None:
        """The cell, if it has something."""
        if self._value is None and self._inline is None and not self._formula:
            return None
        value = None if self._value is None else "".join(self._value)
        return column, self._look, self._formula, value, self._inline.text() if self._inline else None


def count_rows(stream: IO[bytes], area: Area, where: str) -> int:
    """Rows of an area that have a cell with a value or a formula, by the tags alone."""
    held, count, row, column, is_counted = b"", 0, 0, 0, False
    for portion in _as_utf8(stream):
        held += portion
        end = _end_of_tags(held)
        if not end and len(held) > LONGEST:
            raise too_long(where)
        is_plain, place = b"<!" not in held, 0
        while tag := (NEXT_ROW if is_counted and is_plain else TOKENS).search(held, place, end):
            place = tag.end()
            if tag[1] == b"row":
                found = PLACE.search(tag[2])
                row, column, is_counted = int(found[2]) if found and found[2] else row + 1, 0, False
            elif tag[1] == b"c":
                found = PLACE.search(tag[2])
                column = column_index_from_string(found[1].decode()) if found and found[1] else column + 1
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
