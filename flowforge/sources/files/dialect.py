"""How a text's records and fields are told apart, proposed from its beginning.

Guarantees: a proposal only. What is proposed is held against the whole file by `inspection`, and comes with its reason; a file
whose records no delimiter splits alike has one column.
"""

import re
from collections import Counter
from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from events.files import FileContract
from flowforge.sources.files.fields import Splitter
from flowforge.sources.files.framing import Marks, frame, lines_of
from flowforge.sources.files.values import is_plain_name

SAMPLE_BYTES = 2**20
SAMPLE_RECORDS = 2_000
DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
MOST_LINES_ABOVE = 20  # titles and the like above the header
NEVER = "\0"  # no text has it: `encoding` refuses it
# A first line by which Excel splits the others; it is no record.
SEPARATOR = re.compile(r'(?P<line>"?sep=(?P<sign>[^"])"?)(?:\r\n|\r|\n|\Z)', re.IGNORECASE)


class Dialect(BaseModel):
    """How a delimited text is read. `delimiter` empty: one column. `escape` empty: quotes inside are doubled.

    `skip_rows` and `skip_footer_rows` are records above the header (or the first row) and below the last row.
    """

    model_config = ConfigDict(frozen=True)

    delimiter: str
    quote: str = '"'
    escape: str = ""
    header: bool = True
    skip_rows: int = 0
    skip_footer_rows: int = 0


class Proposal(NamedTuple):
    """A dialect, how many fields most records of the sample have, and why."""

    dialect: Dialect
    width: int
    reasons: dict[str, str]


def propose_dialect(sample: bytes, codec: str, where: str) -> Proposal:
    """A dialect for a text that begins with `sample`: its first SAMPLE_BYTES, or all of it."""
    if len(sample) >= SAMPLE_BYTES:
        sample = sample[: max(sample.rfind(b"\n"), sample.rfind(b"\r")) + 1] or sample
    told = SEPARATOR.match(sample[:32].decode(codec, errors="replace"))
    above = len(told[0].encode(codec)) if told else 0
    delimiters = [told["sign"]] if told else list(DELIMITERS)
    sample = sample[above:]
    tried = [_Tried.of(sample, codec, dialect, where) for dialect in _candidates(sample, delimiters)]
    best = max(tried, key=lambda one: (one.share, one.width))
    if told:
        name = DELIMITERS.get(best.dialect.delimiter, best.dialect.delimiter)
        reason = f"{name}: the first line is {told['line']!r}, by which Excel splits"
    elif best.share <= 0.5 and (len(best.widths) > 1 or best.width < 2):
        best = _Tried.of(sample, codec, Dialect(delimiter=""), where)
        reason = "no delimiter splits most records into the same number of fields: one column"
        reason += ", or fixed width, whose columns are named with start and width"
    else:
        name = DELIMITERS[best.dialect.delimiter]
        reason = f"{name}: {best.alike:,} of the first {len(best.widths):,} records have {best.width} fields"
    skip = best.above()
    header, why = header_of(best.records[skip:], best.width)
    dialect = best.dialect.model_copy(update={"skip_rows": skip + bool(told), "header": header})
    reasons = {"delimiter": reason, "header": why, "quote": _quote_reason(best.dialect)}
    if skip:
        reasons["skip_rows"] = f"{skip} above the first record with {best.width} fields"
    if told:
        reasons["skip_rows"] = "the line for Excel" + (f", and {reasons['skip_rows']}" if skip else "")
    return Proposal(dialect, best.width, reasons)


def _candidates(sample: bytes, delimiters: Sequence[str]) -> list[Dialect]:
    found = [Dialect(delimiter=delimiter) for delimiter in delimiters]
    if b'\\"' in sample:
        found += [Dialect(delimiter=delimiter, escape="\\") for delimiter in delimiters]
    if b"'" in sample and b'"' not in sample:
        found += [Dialect(delimiter=delimiter, quote="'") for delimiter in delimiters]
    return found


class _Tried(NamedTuple):
    dialect: Dialect
    records: list[list[str]]
    widths: list[int]
    width: int
    alike: int

    @classmethod
    def of(cls, sample: bytes, codec: str, dialect: Dialect, where: str) -> "_Tried":
        contract = FileContract(
            format="csv", **dialect.model_dump(exclude={"delimiter"}), delimiter=dialect.delimiter or NEVER
        )
        split = Splitter(contract)
        framed = frame(lines_of([sample] if sample else [], where), Marks.of(contract, codec), where)
        records: list[list[str]] = []
        for record in islice(framed, SAMPLE_RECORDS):
            if record.is_open:  # by a quote that nothing closes, or where the sample ends: it tells no width
                break
            try:
                records.append(split.texts(record.raw.decode(codec)))
            except ValueError:
                records.append([])
        widths = [len(record) for record in records]
        counted = Counter(width for width in widths if width > 1 or not dialect.delimiter)
        width, alike = max(counted.items(), key=lambda one: (one[1], one[0]), default=(1, 0))
        return cls(dialect, records, widths, width, alike)

    @property
    def share(self) -> float:
        return self.alike / max(len(self.widths), 1)

    def above(self) -> int:
        """Records above the first that has as many fields as most."""
        first = next((place for place, width in enumerate(self.widths) if width == self.width), 0)
        return first if first <= MOST_LINES_ABOVE else 0


def header_of(records: Sequence[Sequence[str]], width: int) -> tuple[bool, str]:
    """Whether the first of the records has names, and why."""
    if not records or len(records[0]) != width:
        return False, "the first record has another number of fields"
    names = records[0]
    if no_name := next((name for name in names if not is_plain_name(name)), None):
        return False, f"{no_name!r} in the first record looks like a value"
    if "" in (name.strip() for name in names):
        return False, "a field of the first record is empty"
    return True, "all fields of the first record look like names"


def _quote_reason(dialect: Dialect) -> str:
    return "quotes inside are escaped by \\" if dialect.escape else "quotes inside are doubled"
