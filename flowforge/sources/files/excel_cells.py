"""What a cell of a workbook says, as text: numbers as Excel's doubles print, dates of both epochs in ISO 8601.

A number is a double that Excel writes with 17 digits or an exponent (1.1000000000000001, 1E-3): it is given by the fewest digits
that mean it, without an exponent (1.1, 0.001); whole numbers keep all digits that the file has. An instant is exact to a
millisecond, as in Excel. A cell without a value that can be told raises CellError.
"""

import xml.etree.ElementTree as ET
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from openpyxl.utils.datetime import MAC_EPOCH
from openpyxl.xml.constants import SHEET_MAIN_NS

from events.files import FileColumn
from flowforge.sources.files.excel_workbook import meant, text_of

CELL, VALUE, FORMULA, INLINE = (f"{{{SHEET_MAIN_NS}}}{name}" for name in ("c", "v", "f", "is"))
KINDS = ("n", "str", "d")  # ISO/IEC 29500-1, 18.18.11, beside those that are read before
TRUTH = {"1": "true", "true": "true", "0": "false", "false": "false"}  # xsd:boolean
DAY_MS = 86_400_000
SURE_DIGITS = 15  # of a double
LONGEST_PLAIN = 20  # digits before or behind the point; beyond, an exponent stays


class CellError(ValueError):
    """A cell has no value, though it is not empty."""


class CellTexts:
    """Reads cells of one workbook. `strings` are its shared texts, `dates` the styles of dates, `epoch` the day of 0."""

    def __init__(self, strings: Sequence[str], dates: Collection[int], epoch: datetime):
        self._strings, self._dates, self._is_mac = strings, dates, epoch == MAC_EPOCH

    def text(self, cell: ET.Element, column: FileColumn | None) -> tuple[str | None, bool]:
        """The text of a `c` element and whether the cell is text itself; None for an empty cell."""
        text, is_text = self._text(cell, column)
        if text and "\0" in text:
            raise CellError("has a NUL character")
        return text, is_text

    def _text(self, cell: ET.Element, column: FileColumn | None) -> tuple[str | None, bool]:
        kind, found = cell.get("t", "n"), cell.find(VALUE)
        if kind == "inlineStr":
            inline = cell.find(INLINE)
            return (None if inline is None else _readable(text_of, inline)), True
        value = None if found is None else found.text or ""
        if cell.find(FORMULA) is not None and (value is None or (not value and kind != "str")):
            raise CellError("is a formula without a value: the file was not saved by a program that calculates")
        if value is None or (not value and kind != "str"):
            return None, False
        if kind == "e":
            raise CellError(f"is the error {value}")
        if kind == "s":
            return self._shared(value), True
        if kind == "b":
            return _truth(value), False
        if kind not in KINDS:
            raise CellError(f"has the type {kind!r}, which there is not")
        if kind != "n":
            return (_readable(meant, value) if kind == "str" else value), kind == "str"
        if int(cell.get("s") or 0) in self._dates:
            return self._instant(value, column.type if column else "text"), False
        value = _plain(value)
        return (value.replace(".", ",") if column and column.decimal_comma else value), False

    def _shared(self, place: str) -> str:
        try:
            return self._strings[int(place)]
        except (IndexError, ValueError) as error:
            raise CellError("points to a shared text that there is not") from error

    def _instant(self, serial: str, kind: str) -> str:
        try:
            days, part = divmod(Decimal(serial), 1)
            milliseconds = int((part * DAY_MS).to_integral_value())
            return self._printed(int(days), milliseconds, kind)
        except (InvalidOperation, OverflowError, ValueError) as error:
            raise CellError("is formatted as a date, and its number is no day") from error

    def _printed(self, days: int, milliseconds: int, kind: str) -> str:
        if days < 0 or (days == 60 and not self._is_mac):
            raise ValueError("no day")  # the 29 February 1900 of Lotus 1-2-3
        windows = datetime(1899, 12, 31) if days < 60 else datetime(1899, 12, 30)
        first = MAC_EPOCH if self._is_mac else windows
        stamp = first + timedelta(days=days, milliseconds=milliseconds)
        form = "milliseconds" if stamp.microsecond else "seconds"
        if not days and not (self._is_mac and (not milliseconds or kind != "text")):
            return stamp.time().isoformat(form)
        if not milliseconds and not kind.startswith("timestamp"):
            return stamp.date().isoformat()
        return stamp.isoformat(" ", form)


def _truth(value: str) -> str:
    if value not in TRUTH:
        raise CellError("is a truth value that is neither true nor false")
    return TRUTH[value]


def _plain(value: str) -> str:
    """A number without an exponent, with the fewest digits that mean its double where it has more than are sure."""
    if value.removeprefix("-").isdecimal():
        return value
    try:
        number = Decimal(value)
        if len(number.as_tuple().digits) <= SURE_DIGITS and "e" not in value.lower():
            return value
        number = Decimal(repr(float(value)))
    except (InvalidOperation, ValueError) as error:
        raise CellError("is a number that cannot be read") from error
    if not number.is_finite():
        raise CellError("is a number that is too great for 64 bits")
    if abs(number.adjusted()) > LONGEST_PLAIN:
        return str(number)
    return format(number, "f").removesuffix(".0")


def _readable(read: Callable[[Any], str], found: Any) -> str:
    try:
        return read(found)
    except ValueError as error:
        raise CellError("has half of a surrogate pair, which is no character") from error
