"""How many records a delimited text has, by its quotes and line ends alone: the check on the parser that reads them.

Guarantees: it shares no step with the parser. One pass over the bytes; memory is that of a chunk.
"""

import re
from collections.abc import Iterable

from flowforge.sources.files.framing import Marks


def count_records(chunks: Iterable[bytes], marks: Marks) -> int:
    """The records in chunks of bytes, those above and below the data too."""
    counter = _Counter(marks)
    held = b""
    for chunk in chunks:
        held = counter.take(held + chunk, is_last=False)
    counter.take(held, is_last=True)
    return counter.count + counter.filled


class _Counter:
    """`filled`: the record has a byte; `begins`: a field may begin here; `closed`: quotes were closed by the byte before."""

    def __init__(self, marks: Marks):
        names = {"escape": marks.escape, "quote": marks.quote, "delimiter": marks.delimiter}
        parts = [f"(?P<{name}>".encode() + re.escape(mark) + b")" for name, mark in names.items() if mark]
        if marks.escape:
            parts[0] = b"(?P<escape>" + re.escape(marks.escape) + rb"[^\r\n])"
        self._tokens = re.compile(b"|".join([rb"(?P<end>[\r\n])", *parts]))
        self._fields = _quoted_fields(marks) if marks.quote else None
        self._marks, self._keep = marks, 2 * max(map(len, names.values()))
        self.count, self.filled = 0, False
        self._quoted, self._begins, self._closed = False, True, False

    def take(self, data: bytes, is_last: bool) -> bytes:
        """Counts; what may be the first bytes of a mark is given back."""
        if not is_last and (count := self._count_lines(data)) is not None:
            self.count += count
            return data[data.rfind(b"\n") + 1 :]
        limit = len(data) if is_last else max(len(data) - self._keep, 0)
        place = 0
        for token in self._tokens.finditer(data):
            if token.start() >= limit:
                break
            if token.start() > place:
                self._plain()
            place = token.end()
            self._mark(str(token.lastgroup))
        if limit > place:
            self._plain()
        return data[max(place, limit) :]

    def _count_lines(self, data: bytes) -> int | None:
        """The records of the lines that end in LF, quoted fields taken out; None: their quotes tell no end, or there is none."""
        end = data.rfind(b"\n") + 1
        if not end or self._quoted or self.filled or self._marks.escape:
            return None
        lines = data[:end]
        if self._fields and self._marks.quote in lines:
            lines = self._fields.sub(b"-", lines)
            if self._marks.quote in lines:
                return None
        return sum(map(bool, lines.splitlines()))

    def _plain(self) -> None:
        self.filled, self._begins, self._closed = True, False, False

    def _mark(self, kind: str) -> None:
        if kind == "end" and not self._quoted:
            self.count += self.filled
            self.filled, self._begins, self._closed = False, True, False
            return
        self.filled = True
        if kind == "quote":
            again = self._closed and not self._marks.escape  # a doubled quote: it goes on
            self._closed = self._quoted
            self._quoted = not self._quoted and (self._begins or again)
            self._begins = False
        else:
            self._closed = False
            self._begins = kind == "delimiter" and not self._quoted


def _quoted_fields(marks: Marks) -> re.Pattern[bytes]:
    """Quoted fields whose inner quotes are doubled."""
    quote = re.escape(marks.quote)
    begins = rb"(?:(?<=" + re.escape(marks.delimiter) + rb")|(?<=[\r\n])|\A)"
    inner = b"(?:(?!" + quote + b").)*+" if len(marks.quote) > 1 else b"[^" + quote + b"]*+"
    return re.compile(begins + quote + inner + b"(?:" + quote * 2 + inner + b")*+" + quote, re.DOTALL)
