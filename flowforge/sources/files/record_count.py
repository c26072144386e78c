"""How many records a delimited text has, by its quotes and line ends alone: the check on the parser that reads them.

Guarantees: it shares no step with the parser. One pass over the bytes, as they come; memory is that of a chunk. Pieces
whose quotes all stand where they may are not counted here: each of their LFs ends a record (`clean_records`).
"""

import re
from collections.abc import Iterable

from flowforge.sources.files.framing import Marks

STEP = 2**16  # bytes; where quotes stand oddly, so many are looked at one mark after the other
TRIES = 8


def count_records(chunks: Iterable[bytes], marks: Marks) -> int:
    """The records in chunks of bytes, those above and below the data too."""
    counter = RecordCounter(marks)
    for chunk in chunks:
        counter.add(chunk)
    return counter.total()


def count_whole(data: bytes, marks: Marks) -> int | None:
    """The records of bytes that end with a record; None where they end inside of its quotes."""
    counter = RecordCounter(marks)
    counter.add(data)
    found = counter.total()
    return None if counter.is_open else found


class RecordCounter:
    """Counts the records of the bytes that are added to it, one chunk after the other."""

    def __init__(self, marks: Marks):
        self._counter, self._held, self._added = _Counter(marks), b"", 0

    def add(self, chunk: bytes) -> None:
        self._added += len(chunk)
        for start in range(0, len(chunk), STEP):
            self._held = self._counter.take(self._held + chunk[start : start + STEP], is_last=False)

    @property
    def begun(self) -> tuple[int, int] | None:
        """Where a record begins in what was added, as far behind as is known, and how many are before it. None: inside of one."""
        return None if self._counter.inside else (self._added - len(self._held), self._counter.count)

    @property
    def is_open(self) -> bool:
        """Whether what was counted ends inside of quotes."""
        return self._counter.quoted

    def total(self) -> int:
        """The records of all that was added, the last one too; nothing can be added after it."""
        self._held = self._counter.take(self._held, is_last=True)
        return self._counter.count + self._counter.filled


class _Counter:
    """`filled`: the record has a byte; `quoted`: quotes are open; `begins`: a field may begin here; `closed`: quotes were
    closed by the byte before."""

    def __init__(self, marks: Marks):
        names = {"escape": marks.escape, "quote": marks.quote, "delimiter": marks.delimiter}
        parts = [f"(?P<{name}>".encode() + re.escape(mark) + b")" for name, mark in names.items() if mark]
        if marks.escape:
            parts[0] = b"(?P<escape>" + re.escape(marks.escape) + rb"[^\r\n])"
        self._tokens = re.compile(b"|".join([rb"(?P<end>[\r\n])", *parts]))
        self._fields = _quoted_fields(marks) if marks.quote else None
        self._inside = re.compile(_quoted_text(marks), re.DOTALL) if marks.quote and not marks.escape else None
        self._marks, self._keep = marks, 2 * max(map(len, names.values()))
        self.count, self.filled = 0, False
        self.quoted, self._begins, self._closed = False, True, False

    @property
    def inside(self) -> bool:
        """Whether what was taken ends inside of a record."""
        return self.filled or self.quoted

    def take(self, data: bytes, is_last: bool) -> bytes:
        """Counts; gives back what is to be looked at again with what follows: the first bytes of a mark, or of a record."""
        if not is_last and (end := self._count_lines(data)):
            return data[end:]
        limit = len(data) if is_last else max(len(data) - self._keep, 0)
        if self.quoted and self._inside and (found := self._inside.match(data, 0, limit)) and found.end():
            self._plain()
            data, limit = data[found.end() :], limit - found.end()
        place = ended = 0
        for token in self._tokens.finditer(data):
            if token.start() >= limit:
                break
            if token.start() > place:
                self._plain()
            place = token.end()
            if self._mark(str(token.lastgroup)):
                ended, count = place, self.count
        if ended and not is_last:
            self.count, self.filled = count, False
            self.quoted, self._begins, self._closed = False, True, False
            return data[ended:]
        if limit > place:
            self._plain()
        return data[max(place, limit) :]

    def _count_lines(self, data: bytes) -> int:
        """Counts the records up to the last LF outside of quotes, quoted fields taken out, and returns where that is; 0: their
        quotes tell no end, or there is none."""
        if self.inside or self._marks.escape:
            return 0
        lines = data[: self._last_end(data)]
        end = len(lines)
        if self._fields and self._marks.quote in lines:
            lines = self._fields.sub(b"-", lines)
            if self._marks.quote in lines:
                return 0
        self.count += sum(map(bool, lines.lstrip(b"\r\n").splitlines()))
        return end

    def _last_end(self, data: bytes) -> int:
        """Behind the last LF that an even number of quotes stands before; 0: none was found."""
        quote, end = self._marks.quote, data.rfind(b"\n") + 1
        for _ in range(TRIES):
            if not quote or data.count(quote, 0, end) % 2 == 0:
                return end
            end = data.rfind(b"\n", 0, data.rfind(quote, 0, end)) + 1
        return 0

    def _plain(self) -> None:
        self.filled, self._begins, self._closed = True, False, False

    def _mark(self, kind: str) -> bool:
        """Takes a mark; whether a line ends there outside of quotes."""
        if kind == "end" and not self.quoted:
            self.count += self.filled
            self.filled, self._begins, self._closed = False, True, False
            return True
        self.filled = True
        if kind == "quote":
            again = self._closed and not self._marks.escape  # a doubled quote: it goes on
            self._closed = self.quoted
            self.quoted = not self.quoted and (self._begins or again)
            self._begins = False
        else:
            self._closed = False
            self._begins = kind == "delimiter" and not self.quoted
        return False


def _quoted_fields(marks: Marks) -> re.Pattern[bytes]:
    """Quoted fields whose inner quotes are doubled. It begins with the quote, which is then searched for quickly."""
    quote = re.escape(marks.quote)
    before = [b"(?<=" + re.escape(marks.delimiter), rb"(?<=[\r\n]", b"(?<!."]  # the last: where the text begins
    begins = b"(?:" + b"|".join(one + quote + b")" for one in before) + b")"
    return re.compile(quote + begins + _quoted_text(marks) + quote, re.DOTALL)


def _quoted_text(marks: Marks) -> bytes:
    """What is between quotes, inner ones doubled."""
    quote = re.escape(marks.quote)
    inner = b"(?>(?:(?!" + quote + b").)*)" if len(marks.quote) > 1 else b"[^" + quote + b"]*+"
    return inner + b"(?>(?:" + quote * 2 + inner + b")*)"
