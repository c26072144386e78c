"""Dates and timestamps of texts by the patterns of a contract, on the real calendar; zones become UTC."""

import re
from typing import Any

import pyarrow as pa
import pyarrow.compute

from events.files import FileColumn
from flowforge.domain.errors import UnsupportedSource
from flowforge.sources.files.values import DATES, TIME, ZONE, in_calendar

pc: Any = pyarrow.compute
LETTERS = {  # Unicode TR 35
    "yyyy": r"(?P<y>[0-9]{4})", "MM": r"(?P<m>[0-9]{2})", "M": r"(?P<m>[0-9]{1,2})", "dd": r"(?P<d>[0-9]{2})",
    "d": r"(?P<d>[0-9]{1,2})", "HH": r"(?P<H>[01][0-9]|2[0-3])", "H": r"(?P<H>1[0-9]|2[0-3]|0?[0-9])",
    "mm": r"(?P<M>[0-5][0-9])", "ss": r"(?P<S>[0-5][0-9])",
    **{letters: ZONE for letters in ("X", "XX", "XXX", "Z", "ZZZZZ")},
}  # fmt: skip
PIECES = re.compile(r"'((?:[^']|'')*)'|(([A-Za-z])\3*)|(.)", re.DOTALL)
FIRST, LAST = -62_135_596_800_000_000, 253_402_300_799_999_999  # microseconds of the years 1 and 9999


def stamp_pattern(column: FileColumn, where: str) -> str:
    """The expression (RE2, named groups) of a column's dates. A timestamp whose pattern has no hour has `HH:mm[:ss[.fraction]]`
    behind the date, after a blank or a T. Raises UnsupportedSource for a pattern that leaves a part of the date open."""
    pattern = column.pattern or "yyyy-MM-dd"
    found = DATES.get(pattern) or _expression(pattern, column, where)
    if missing := [
        name for name, group in (("year", "y"), ("month", "m"), ("day", "d")) if f"?P<{group}>" not in found
    ]:
        raise _unread(column, where, f"has no {missing[0]}")
    if column.type == "date":
        if "?P<H>" in found:
            raise _unread(column, where, "has a time of day, which a date would lose")
        return f"^{found}$"
    if "?P<H>" not in found:
        found += f"[ T]{TIME}"
    zoned = column.type == "timestamp with zone"
    if "?P<zs>" in found and not zoned:
        raise _unread(column, where, "has a zone; the type is timestamp with zone")
    return f"^{found}{f' ?{ZONE}' if zoned and '?P<zs>' not in found else ''}$"


def _expression(pattern: str, column: FileColumn, where: str) -> str:
    parts, used = [], set[str]()
    for quoted, letters, _, sign in PIECES.findall(pattern):
        if not letters:
            parts.append(re.escape(quoted.replace("''", "'") if quoted else sign or "'"))
            continue
        one = (
            rf"(?P<f>[0-9]{{{len(letters)}}})" if set(letters) == {"S"} and len(letters) <= 9 else LETTERS.get(letters)
        )
        if letters == "T":
            one = "T"
        if one is None:
            raise _unread(column, where, f"has {letters!r}, which is not read")
        if letters[0] in used:
            raise _unread(column, where, f"has {letters[0]!r} twice")
        used.add(letters[0])
        parts.append(one)
    return "".join(parts)


def _unread(column: FileColumn, where: str, what: str) -> UnsupportedSource:
    return UnsupportedSource(
        f"{where}: column {column.name}: the pattern {column.pattern!r} {what}",
        "patterns are of yyyy MM M dd d HH H mm ss S (up to nine) XXX, other letters in single quotes",
    )


class Stamps:
    """Casts texts by an expression of `stamp_pattern` to `date`, `timestamp` or `timestamp with zone`."""

    def __init__(self, expression: str, kind: str):
        self._expression, self._kind = expression, kind
        zone = "UTC" if kind == "timestamp with zone" else None
        self.type = pa.date32() if kind == "date" else pa.timestamp("us", tz=zone)

    def convert(self, texts: pa.Array) -> tuple[pa.Array, pa.Array]:
        parts = pc.extract_regex(texts, self._expression)
        good = in_calendar(parts)
        days = self._joined(good, [self._part(parts, *one) for one in (("y", 4), ("m", 2), ("d", 2))], "-")
        if self._kind == "date":
            return pc.cast(days, pa.date32()), pc.or_(good, pc.is_null(texts))
        if "?P<f>" in self._expression:
            good = pc.and_(good, pc.invert(self._too_fine(parts)))
        clock = self._joined(good, [self._part(parts, name, 2) for name in "HMS"], ":")
        stamps = pc.cast(pc.binary_join_element_wise(days, clock, " "), pa.timestamp("us"))
        micros = pc.add(pc.cast(stamps, pa.int64()), self._micros(parts))
        if self._kind == "timestamp with zone":
            shift, fits = self._shift(parts)
            micros = pc.subtract(micros, shift)
            held = pc.and_(pc.greater_equal(micros, FIRST), pc.less_equal(micros, LAST))
            good = pc.and_(good, pc.fill_null(pc.and_(fits, held), False))
        return pc.cast(micros, self.type), pc.or_(good, pc.is_null(texts))

    def why_not(self, text: str) -> str:
        parts = pc.extract_regex(pa.array([text]), self._expression)
        if not parts[0].is_valid:
            return f"it has not the form of the column's {self._kind}"
        if not in_calendar(parts)[0].as_py():
            return "there is no such day"
        if "?P<f>" in self._expression and self._too_fine(parts)[0].as_py():
            return "it is finer than microseconds; text keeps it"
        return "its zone is none, or takes it out of the years 1 to 9999"

    def _part(self, parts: pa.Array, name: str, width: int) -> pa.Array:
        """A part with leading zeros; zeros where the pattern or the text leaves it out."""
        if f"?P<{name}>" not in self._expression:
            return pa.repeat(pa.scalar("0" * width), len(parts))
        return pc.utf8_lpad(pc.struct_field(parts, name), width, "0")

    def _joined(self, good: pa.Array, parts: list[pa.Array], by: str) -> pa.Array:
        joined = pc.binary_join_element_wise(*parts, by)
        return pc.if_else(good, joined, pa.scalar(None, pa.string()))

    def _too_fine(self, parts: pa.Array) -> pa.Array:
        finer = pc.match_substring_regex(pc.struct_field(parts, "f"), r"^[0-9]{6}0*[1-9]")
        return pc.fill_null(finer, False)

    def _micros(self, parts: pa.Array) -> pa.Array:
        if "?P<f>" not in self._expression:
            return pa.repeat(pa.scalar(0, pa.int64()), len(parts))
        six = pc.utf8_slice_codeunits(pc.utf8_rpad(pc.struct_field(parts, "f"), 6, "0"), 0, 6)
        return pc.cast(six, pa.int64())

    def _shift(self, parts: pa.Array) -> tuple[pa.Array, pa.Array]:
        """Microseconds ahead of UTC, and whether the zone is one: less than 24 hours and 60 minutes."""
        hours, minutes = (pc.cast(self._part(parts, name, 2), pa.int64()) for name in ("zh", "zm"))
        total = pc.multiply(pc.add(pc.multiply(hours, 60), minutes), 60_000_000)
        behind = pc.equal(pc.struct_field(parts, "zs"), "-")
        return pc.if_else(behind, pc.negate(total), total), pc.and_(pc.less(hours, 24), pc.less(minutes, 60))
