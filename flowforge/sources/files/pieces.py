"""A text of quoted fields in pieces of whole records, from any of its records on.

Guarantees: the pieces are together the text, in its order. Where a piece ends is told by the number of its quotes, which its
reader has to prove; what it cannot prove it takes framed, as `framing` has it. Memory is that of two pieces, or of a record.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from flowforge.sources.files.framing import LONGEST_RECORD, Framed, Marks, frame, too_long
from flowforge.sources.files.record_count import STEP, RecordCounter

PIECE = 2**20  # bytes
TRIES = 8


class Piece(NamedTuple):
    """Bytes that begin with a record, the line and the offset of their first one."""

    data: bytes
    line: int
    offset: int

    def lines(self) -> Iterator[bytes]:
        """Its lines with their ends, some at a time: a long record of short ones would take many times its size."""
        start = 0
        while start < len(self.data):
            end = self.data.rfind(b"\n", start, start + PIECE) + 1 or self.data.find(b"\n", start + PIECE) + 1
            yield from self.data[start : end or len(self.data)].splitlines(keepends=True)
            start = end or len(self.data)

    def framed(self, marks: Marks, where: str) -> Iterator[Framed]:
        """The records of the piece, with their places in the text."""
        for one in frame(self.lines(), marks, where):
            yield one._replace(line=one.line + self.line - 1, offset=one.offset + self.offset)


class Pieces:
    """The rest of a text: `held`, which begins with a record at `line` and `offset`, and the chunks behind it."""

    def __init__(self, held: bytes, line: int, offset: int, chunks: Iterator[bytes], marks: Marks, where: str):
        self._held, self._at, self.line, self._offset = held, 0, line, offset
        self._chunks, self._marks, self._where = chunks, marks, where
        self._ended = False

    def ask(self, size: int) -> Piece | None:
        """About `size` bytes that end with a record, if their quotes are all in pairs; without data: there is no such end.
        None behind the last record. The piece stays to be taken."""
        self._fill(size)
        if self._at == len(self._held):
            return None
        return Piece(self._held[self._at : self._last_end(size)], self.line, self._offset)

    def ask_long(self, size: int) -> Piece | None:
        """A record of more than `size` bytes, with what follows it in the same step; None where the next one is shorter, or its
        quotes are open at the end. Raises UnsupportedSource."""
        counter, added = RecordCounter(self._marks), 0
        while True:
            self._fill(added + STEP)
            step = self._held[self._at + added : self._at + added + STEP]
            counter.add(step)
            added += len(step)
            end, count = counter.begun or (0, 0)
            if self._ended and self._at + added == len(self._held):
                end, count = added, counter.total() and not counter.is_open
            if end and not count:
                return None  # blank lines
            if count:
                return Piece(self._held[self._at : self._at + end], self.line, self._offset) if end > size else None
            if not step:
                return None
            if added > LONGEST_RECORD + STEP:
                raise too_long(self._where)

    def take(self, piece: Piece, lines: int) -> None:
        """Goes on behind a piece of so many lines."""
        self._at += len(piece.data)
        self._offset += len(piece.data)
        self.line += lines

    def give_back(self, taken: Sequence[Piece]) -> None:
        """Goes back before the pieces that were taken last, whose lines were not counted yet."""
        self._held, self._at = b"".join([*(one.data for one in taken), self._held[self._at :]]), 0
        self._offset -= sum(len(one.data) for one in taken)

    def take_framed(self, size: int) -> tuple[Piece, list[Framed]]:
        """Takes the records of about `size` bytes, with these; at least one, or blank lines. Raises UnsupportedSource."""
        while True:
            found: list[Framed] = []  # what was tried before is let go: it may be long
            self._fill(size)
            end = len(self._held) if self._ended and len(self._held) - self._at <= size else self._line_end(size)
            piece = Piece(self._held[self._at : end], self.line, self._offset)
            found = list(piece.framed(self._marks, self._where))
            if found and found[-1].is_open and not (self._ended and end == len(self._held)):
                rest = found.pop()
                piece = piece._replace(data=piece.data[: rest.offset - piece.offset])
            if piece.data:
                self.take(piece, sum(1 for _ in piece.lines()))
                return piece, found
            if size > LONGEST_RECORD:
                raise too_long(self._where)
            size = min(2 * size, LONGEST_RECORD + PIECE)

    def _fill(self, size: int) -> None:
        """Holds `size` bytes, or all that there are."""
        length = len(self._held) - self._at
        if length >= size or self._ended:
            return
        parts, self._held = [self._held[self._at :]], b""
        while length < size and not self._ended:
            chunk = next(self._chunks, b"")
            parts.append(chunk)
            length, self._ended = length + len(chunk), not chunk
        self._held, self._at = b"".join(parts), 0

    def _last_end(self, size: int) -> int:
        """Behind the last LF within `size` that is outside of quotes, by what stands around the quote before it; where that
        tells nothing, by the number of quotes."""
        start, limit, quote = self._at, self._at + size, self._marks.quote
        end = len(self._held) if self._ended and len(self._held) <= limit else self._held.rfind(b"\n", start, limit) + 1
        for _ in range(TRIES):
            if not end or not quote:
                return max(end, start)
            last = self._held.rfind(quote, start, end)
            if last < 0 or self._closes(last) or self._held.count(quote, start, end) % 2 == 0:
                return max(end, start)
            end = self._held.rfind(b"\n", start, last) + 1
        return start

    def _closes(self, place: int) -> bool:
        """Whether the quote there closes a field, where the text is as it should be: a field ends behind it, and none before."""
        marks, held = self._marks, self._held
        ends = (marks.delimiter, b"\r", b"\n")
        before = held[max(self._at, place - max(len(marks.delimiter), len(marks.quote))) : place]
        return (
            held.startswith(ends, place + len(marks.quote))
            and bool(before)
            and not before.endswith((*ends, marks.quote))
        )

    def _line_end(self, size: int) -> int:
        """Behind the last line within `size`; a CR at the very end may be half of a CRLF."""
        limit = self._at + size
        return (
            max(self._held.rfind(b"\n", self._at, limit), self._held.rfind(b"\r", self._at, limit - 1), self._at - 1)
            + 1
        )
