"""Columns of fixed width, proposed from all lines of a text: they are told apart by the places that are blank in each line.

Guarantees: a proposal only, and only of a text whose lines all have one length. The columns cover the whole line: a value of a
later file that is longer is read or rejected, and never cut. Columns that touch cannot be told apart: where that may be so, a
note says it. Memory is that of a line.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from events.files import FileColumn
from flowforge.sources.files.container import Content
from flowforge.sources.files.dialect import header_of
from flowforge.sources.files.framing import chunks_of, codec_of, lines_of

LEAST_LINES = 3  # in fewer, blanks are in line by chance
MOST_NOTES = 20
DIGITS, SIGNS = b"0123456789", b"+-.,"
FILLED = bytes(byte != 32 for byte in range(256))
DIGIT = bytes(byte in DIGITS for byte in range(256))
WORD = bytes(byte not in DIGITS + SIGNS for byte in range(256))  # or a blank


@dataclass(frozen=True)
class FixedWidth:
    """The columns with their places, whether the first line has their names, and why; of each column the reason of its place."""

    columns: list[FileColumn]
    header: bool
    header_reason: str
    reasons: list[str]
    notes: list[str]


@dataclass
class _Lines:
    """What all lines are alike in, a bit for each place: `filled` in some, `always` filled, `digit` in all, `word` in all; of the
    last three the first line, which may have names, says nothing."""

    first: str
    count: int = 1
    filled: int = 0
    always: int = -1
    digit: int = -1
    word: int = -1

    def add(self, text: str) -> None:
        signs = text.encode("ascii", errors="replace")
        filled = _bits(signs, FILLED)
        self.filled |= filled
        self.always &= filled
        self.digit &= _bits(signs, DIGIT)
        self.word &= _bits(signs, WORD)
        self.count += 1


def propose_fixed(content: Content, encoding: str) -> FixedWidth | None:
    """None for a text that has no such columns. Raises UnsupportedSource for a line that is too long to be read."""
    lines = _look(content, encoding)
    if lines is None or lines.count < LEAST_LINES:
        return None
    length = len(lines.first)
    filled, always = lines.filled.to_bytes(length), (lines.always & lines.filled).to_bytes(length)
    runs = [found.span() for found in re.finditer(rb"\x01+", filled)]
    if len(runs) < 2:
        return None
    bounds = [0, *(_bound(left, right, always) for left, right in pairwise(runs)), length]
    places = list(pairwise(bounds))
    names = [lines.first[start:end].strip() for start, end in places]
    header, why = header_of([names], len(places))
    if header and len({name.casefold() for name in names}) < len(names):
        header, why = False, "two fields of the first line are alike"
    names = names if header else [f"column_{number}" for number in range(1, len(places) + 1)]
    columns = [
        FileColumn(name=name, field=name, start=start + 1, width=end - start)
        for name, (start, end) in zip(names, places, strict=True)
    ]
    reasons = [_reason(run, place, lines.count) for run, place in zip(runs, places, strict=True)]
    return FixedWidth(columns, header, why, reasons, list(_touching(lines, places)))


def _look(content: Content, encoding: str) -> _Lines | None:
    """None where lines have different lengths, tabs, or bytes that are no text."""
    codec, _ = codec_of(encoding)
    lines: _Lines | None = None
    chunks = chunks_of(content, encoding)
    try:
        for line in lines_of(chunks, content.name):
            text = line.rstrip(b"\r\n").decode(codec)
            if not text:
                continue
            if "\t" in text or (lines and len(text) != len(lines.first)):
                return None
            if lines is None:
                lines = _Lines(text, filled=_bits(text.encode("ascii", errors="replace"), FILLED))
            else:
                lines.add(text)
    except UnicodeDecodeError:
        return None
    finally:
        chunks.close()
    return lines


def _bits(signs: bytes, table: bytes) -> int:
    """One byte for each place, 1 where the table says so."""
    return int.from_bytes(signs.translate(table))


def _bound(left: tuple[int, int], right: tuple[int, int], always: bytes) -> int:
    """Where the right column begins. The blanks between are of the right one where its values end in one place and begin in
    several, as those of numbers do; else of the left one."""
    return left[1] if always[right[1] - 1] and not always[right[0]] else right[0]


def _reason(run: tuple[int, int], place: tuple[int, int], count: int) -> str:
    told = f"filled in some of {count:,} lines: {run[0] + 1:,} to {run[1]:,}"
    blanks = [f"{start + 1:,} to {end:,}" for start, end in ((place[0], run[0]), (run[1], place[1])) if start < end]
    return f"{told}; blank in all: {' and '.join(blanks)}" if blanks else told


def _touching(lines: _Lines, places: list[tuple[int, int]]) -> Iterator[str]:
    """Where digits end in all lines and other signs begin, within a column."""
    length = len(lines.first)
    digit, word = (lines.digit & lines.filled).to_bytes(length), (lines.word & lines.filled).to_bytes(length)
    found = [at for start, end in places for at in range(start + 1, end) if digit[at - 1] and word[at]]
    for at in found[:MOST_NOTES]:
        yield (
            f"in all lines a digit stands at character {at:,} and none at {at + 1:,}: two columns may touch there, which would "
            "have to be named with start and width"
        )
