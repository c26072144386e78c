"""What a cell of a workbook says, as text: numbers as Excel's doubles print, dates of both epochs in ISO 8601.

A number is a double that Excel writes with 17 digits or an exponent (1.1000000000000001, 1E-3): it is given by the fewest digits
that mean it, without an exponent (1.1, 0.001); whole numbers keep all digits that the file has. An instant is exact to a
millisecond, as in Excel. A cell without a value that can be told raises CellError.
"""

import re
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation

from openpyxl.utils.datetime import MAC_EPOCH

from events.files import FileColumn
from flowforge.sources.files.excel_rows import Cell
from flowforge.sources.files.excel_texts import meant

TRUTH = {"1": "true", "true": "true", "0": "false", "false": "false"}  # xsd:boolean
DAY_MS = 86_400_000
SURE_DIGITS = 15  # of a double
POINTED = re.compile(r"[0-9]+\.[0-9]+")
LONGEST_PLAIN = 20  # digits before or behind the point; beyond, an exponent stays


class CellError(ValueError):
    """A cell has no value, though it is not empty."""


class CellTexts:
    """Reads cells of one workbook. `strings` are its shared texts, `dates` the styles of dates, `epoch` the day of 0."""

    def __init__(self, strings: Sequence[str], dates: Collection[int], epoch: datetime):
        self._strings, self._dates, self._is_mac = strings, dates, epoch == MAC_EPOCH
        self._is_date = dict[str, bool]()

    def text(self, cell: Cell, column: FileColumn | None) -> tuple[str | None, bool]:
        """The text of a cell and whether the cell is text itself; None for an empty cell."""
        _, (kind, style), formula, value, inline = cell
        if kind == "inlineStr":
            return (None if inline is None else _readable(inline)), True
        if not value and (value is None or kind != "str"):
            if formula:
                raise CellError("is a formula without a value: the file was not saved by a program that calculates")
            return None, False
        if kind == "n":
            return self._number(value, style, column), False
        if kind == "s":
            return self._shared(value), True
        if kind == "str":
            return _readable(value), True
        if kind == "b":
            return _truth(value), False
        if kind == "e":
            raise CellError(f"is the error {value}")
        if kind != "d":
            raise CellError(f"has the type {kind!r}, which there is not")
        return value, False

    def _number(self, value: str, style: str, column: FileColumn | None) -> str:
        is_date = self._is_date.get(style)
        if is_date is None:
            if not (style or "0").isdecimal():
                raise CellError("has a style that is no number")
            is_date = self._is_date[style] = int(style or 0) in self._dates
        if is_date:
            return self._instant(value, column.type if column else "text")
        value = _plain(value)
        return value.replace(".", ",") if column and column.decimal_comma else value

    def _shared(self, place: str) -> str:
        try:
            text = self._strings[int(place)]
        except (IndexError, ValueError) as error:
            raise CellError("points to a shared text that there is not") from error
        return _without_nul(text)

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
    if value.isdecimal() or (len(value) <= SURE_DIGITS + 1 and POINTED.fullmatch(value)):
        return value
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


def _readable(text: str) -> str:
    if "_x" not in text:
        return text
    try:
        return _without_nul(meant(text))
    except UnicodeError as error:
        raise CellError("has half of a surrogate pair, which is no character") from error


def _without_nul(text: str) -> str:
    if "\0" in text:
        raise CellError("has a NUL character")
    return text
