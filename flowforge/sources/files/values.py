"""What texts of a column could be: each type with the first value that speaks against it. Vectorised over batches of texts.

Guarantees: nothing is converted. A type is proposed only where every value of the whole file is one, as it stands: leading zeros,
a plus sign, an exponent, more digits than a type holds, or a day and a month that no value tells apart leave a column text.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute

pc: Any = pyarrow.compute  # its functions are made at import, so no checker knows them
NULL_WORDS = ("NULL", "null", "\\N", "N/A", "n/a", "NA", "#N/A", "None", "none", "-", "NaN", "nan")
INTEGER = r"^-?(0|[1-9][0-9]*)$"
POINT = r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?$"
COMMA = r"^-?(0|[1-9][0-9]*)(,[0-9]+)?$"
BOOLEAN = r"^(?i:true|false)$"
TIME = r"(?P<H>[01][0-9]|2[0-3]):(?P<M>[0-5][0-9])(?::(?P<S>[0-5][0-9])(?:\.(?P<f>[0-9]{1,9}))?)?"
ZONE = r"(?:Z|(?P<zs>[+-])(?P<zh>[0-9]{2}):?(?P<zm>[0-9]{2}))"
DATES = {  # pattern of people, and of RE2 with year, month, day
    "yyyy-MM-dd": r"(?P<y>[0-9]{4})-(?P<m>[0-9]{2})-(?P<d>[0-9]{2})",
    "yyyy/MM/dd": r"(?P<y>[0-9]{4})/(?P<m>[0-9]{2})/(?P<d>[0-9]{2})",
    "dd.MM.yyyy": r"(?P<d>[0-9]{2})\.(?P<m>[0-9]{2})\.(?P<y>[0-9]{4})",
    "dd/MM/yyyy": r"(?P<d>[0-9]{2})/(?P<m>[0-9]{2})/(?P<y>[0-9]{4})",
    "MM/dd/yyyy": r"(?P<m>[0-9]{2})/(?P<d>[0-9]{2})/(?P<y>[0-9]{4})",
}
MONTH_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
LONGEST_INTEGER, LONGEST_DECIMAL = 18, 38  # digits that always fit an int64, and a decimal128
_VALUE = re.compile(r"^[\s+-]*[0-9][0-9.,:/ +-]*$|^(?i:true|false|null)$")


def is_plain_name(text: str) -> bool:
    """Whether a text looks like a column's name rather than a number, a date or a truth value."""
    return not _VALUE.match(text)


Check = Callable[[pa.Array], pa.Array]


def _matches(pattern: str) -> Check:
    return lambda texts: pc.match_substring_regex(texts, pattern)


def _is_date(pattern: str, rest: str) -> Check:
    return lambda texts: in_calendar(pc.extract_regex(texts, f"^{pattern}{rest}$"))


def in_calendar(parts: pa.Array) -> pa.Array:
    """Whether year, month and day (fields y, m, d, texts of digits) are a day of the calendar; not so where they are NULL."""
    year, month, day = (pc.cast(pc.struct_field(parts, name), pa.int32()) for name in ("y", "m", "d"))
    month_ok = pc.and_(pc.greater_equal(month, 1), pc.less_equal(month, 12))
    last = pc.take(pa.array((0, *MONTH_DAYS), pa.int32()), pc.if_else(pc.fill_null(month_ok, False), month, 0))
    leap = pc.and_(_divides(year, 4), pc.or_(pc.invert(_divides(year, 100)), _divides(year, 400)))
    last = pc.if_else(pc.and_(pc.equal(month, 2), pc.invert(leap)), 28, last)
    fits = pc.and_(pc.and_(pc.greater_equal(day, 1), pc.less_equal(day, last)), pc.greater_equal(year, 1))
    return pc.fill_null(pc.and_(month_ok, fits), False)


def _divides(years: pa.Array, by: int) -> pa.Array:
    return pc.equal(pc.multiply(pc.divide(years, by), by), years)


CANDIDATES: dict[str, Check] = {  # in the order in which they are preferred
    "boolean": _matches(BOOLEAN),
    "integer": _matches(INTEGER),
    "decimal": _matches(POINT),
    "decimal, comma": _matches(COMMA),
    **{f"date {name}": _is_date(pattern, "") for name, pattern in DATES.items()},
    **{f"timestamp {name}": _is_date(pattern, f"[ T]{TIME}") for name, pattern in DATES.items()},
    **{f"timestamp {name} with zone": _is_date(pattern, f"[ T]{TIME} ?{ZONE}") for name, pattern in DATES.items()},
}


@dataclass(frozen=True)
class Against:
    """The first value that is not of a type, and its record's number."""

    record: int
    value: str


@dataclass
class ColumnValues:
    """What is known of a column's texts so far."""

    name: str
    values: int = 0
    empty: int = 0
    null_words: dict[str, int] = field(default_factory=dict)
    against: dict[str, Against] = field(default_factory=dict)
    digits: int = 0
    scale: int = 0
    longest: int = 0

    @property
    def has_comma(self) -> bool:
        """Whether its numbers are such with a comma only."""
        return "decimal" in self.against and "decimal, comma" not in self.against

    def add(self, texts: pa.Array, records: pa.Array) -> None:
        """Takes a batch of texts (string, without nulls), each with the number of its record."""
        lengths = pc.utf8_length(texts)
        self.longest = max(self.longest, pc.max(lengths).as_py() or 0)
        self.empty += pc.sum(pc.equal(lengths, 0)).as_py() or 0
        words = pc.is_in(texts, pa.array(NULL_WORDS))
        for found in pc.value_counts(texts.filter(words)).to_pylist():
            self.null_words[found["values"]] = self.null_words.get(found["values"], 0) + found["counts"]
        told = pc.and_(pc.greater(lengths, 0), pc.invert(words))
        kept, places = texts.filter(told), pc.indices_nonzero(told)
        self.values += len(kept)
        if not len(kept):
            return
        for kind, check in CANDIDATES.items():
            if kind in self.against:
                continue
            bad = pc.indices_nonzero(pc.invert(check(kept)))
            if len(bad):
                place = bad[0].as_py()
                self.against[kind] = Against(records[places[place].as_py()].as_py(), kept[place].as_py())
        if "decimal" not in self.against or "decimal, comma" not in self.against:
            self._measure(kept)

    def _measure(self, kept: pa.Array) -> None:
        parts = pc.extract_regex(kept, r"^-?(?P<whole>[0-9]*)(?:[.,](?P<part>[0-9]*))?$")
        for name in ("whole", "part"):
            longest = pc.max(pc.utf8_length(pc.struct_field(parts, name))).as_py() or 0
            if name == "whole":
                self.digits = max(self.digits, longest)
            else:
                self.scale = max(self.scale, longest)

    def proposed(self) -> tuple[str, str]:
        """A type for the column, and why."""
        if not self.values:
            return "text", "it has no value"
        alive = [kind for kind in CANDIDATES if kind not in self.against]
        words = f"; {', '.join(sorted(self.null_words))} for NULL" if self.null_words and alive else ""
        if alive and alive[0] == "integer":
            if self.digits <= LONGEST_INTEGER:
                return "bigint", f"all values are whole numbers of up to {self.digits} digits{words}"
            if self.digits <= LONGEST_DECIMAL:
                return f"decimal({self.digits},0)", f"whole numbers of up to {self.digits} digits{words}"
            return "text", f"numbers of {self.digits} digits, more than a decimal holds"
        if alive and alive[0].startswith("decimal"):
            sign = "a comma" if "comma" in alive[0] else "a point"
            if self.digits + self.scale <= LONGEST_DECIMAL:
                reason = f"all values are numbers with {sign}, with up to {self.scale} digits behind it{words}"
                return f"decimal({self.digits + self.scale},{self.scale})", reason
            return "text", f"numbers of {self.digits + self.scale} digits, more than a decimal holds"
        if len(alive) > 1:
            return "text", f"it could be {' or '.join(alive)}: no value tells which"
        if alive:
            return alive[0], f"every value is one{words}"
        last = max(self.against, key=lambda kind: self.against[kind].record)
        found = self.against[last]
        if found.record == min(one.record for one in self.against.values()):
            return "text", f"{_short(found.value)} in record {found.record:,}"
        return "text", f"{last} until {_short(found.value)} in record {found.record:,}"


def _short(value: str) -> str:
    return repr(value if len(value) <= 40 else value[:40] + "…")
