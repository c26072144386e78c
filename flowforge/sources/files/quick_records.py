"""Records that are read by pieces where a piece leaves no doubt, and one by one elsewhere.

Guarantees: records, numbers, places and rejects are those of reading one by one. A piece with a doubt is tried again in smaller
ones, so that an odd record costs little more than those around it.
"""

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import replace
from typing import Protocol

from events.files import FileContract
from flowforge.sources.files.clean_records import Clean
from flowforge.sources.files.container import Content
from flowforge.sources.files.pieces import PIECE, Piece, Pieces
from flowforge.sources.files.pieces_ahead import PiecesAhead
from flowforge.sources.files.record_count import count_whole
from flowforge.sources.files.record_parts import CleanPart, FramedPart, Part, data_of
from flowforge.sources.files.rejected import Portion, Rejected
from flowforge.sources.files.text_records import TextRecords

SMALL_PIECE = 2**14  # bytes; what has a doubt in it is read record by record


class Reader(Protocol):
    """Reads pieces of whole records; None where there is a doubt. `read_ahead` may run in any thread, for several pieces at once,
    and changes nothing; `read` is tried where that has found a doubt, in the pieces' order."""

    def read_ahead(self, piece: bytes) -> Clean | None: ...
    def read(self, piece: bytes) -> Clean | None: ...


class QuickRecords(TextRecords):
    """See records.Records."""

    def __init__(
        self, content: Content, contract: FileContract, has_header: bool, quick: bool = True, piece_bytes: int = PIECE
    ):
        """Not `quick`: each record is read by itself. `piece_bytes` are read at once, and where one has a doubt, fewer."""
        super().__init__(content, contract, has_header)
        self._quick, self._piece = quick, piece_bytes
        self._head = [] if quick else None

    @abstractmethod
    def _clean_reader(self) -> Reader | None:
        """What reads pieces, once the header is known; None: nothing does for this contract."""

    def __iter__(self) -> Iterator[Portion]:
        reader = self._clean_reader() if self._head is not None else None
        head, self._head = self._head or [], None
        if reader is None:
            yield from super().__iter__()
            return
        self._by_parts = True
        line, offset = self._start
        passed, at = b"".join(head), offset - (self._part.offset if self._part else 0)
        pieces = Pieces(passed[at:], line, offset, self._chunks, self._marks, self._content.name)
        above = count_whole(passed[:at], self._marks)
        del passed, head
        yield from data_of(self._counting(self._parts(pieces, reader), above), self._below)

    def _counting(self, parts: Iterator[Part], above: int | None) -> Iterator[Part]:
        """The parts, whose records are counted with those `above` them. Where one does not end as it should, nothing is: the
        count is then a pass of its own over the file."""
        total = above
        for part in parts:
            found = part.counted
            total = None if total is None or found is None else total + found
            yield part
        self._total = total

    def _parts(self, pieces: Pieces, reader: Reader) -> Iterator[Part]:
        number, size, known = self._first, self._piece, len(self.fields)
        with PiecesAhead(pieces, reader.read_ahead) as ahead:
            while asked := ahead.ask(size, is_full=size == self._piece):
                piece, clean = asked
                part = self._clean_part(piece, clean, reader, number) if piece.data else None
                if part:
                    ahead.take(piece, part.clean.lines)
                    size = min(4 * size, self._piece)
                elif piece.data and size > SMALL_PIECE:
                    ahead.give_back(is_doubtful=True)
                    size = max(size // 4, SMALL_PIECE)
                    continue
                elif not piece.data and size == self._piece and (part := self._long_part(pieces, reader, number)):
                    pass
                else:
                    ahead.give_back(is_doubtful=True)
                    part = self._framed_part(pieces, size, number)
                    size = size if piece.data else min(4 * size, self._piece)
                number += part.count
                yield part
                if known < len(self.fields):  # what was read ahead has no columns for the new ones
                    ahead.give_back(is_doubtful=False)
                    known = len(self.fields)

    def _long_part(self, pieces: Pieces, reader: Reader, number: int) -> CleanPart | None:
        """A record that is longer than a piece, read as pieces are: as Python's text it could take four times its size."""
        piece = pieces.ask_long(self._piece)
        part = self._clean_part(piece, reader.read_ahead(piece.data), reader, number) if piece else None
        if piece and part:
            pieces.take(piece, part.clean.lines)
        return part

    def _framed_part(self, pieces: Pieces, size: int, number: int) -> FramedPart:
        taken, framed = pieces.take_framed(size)
        return FramedPart(framed, count_whole(taken.data, self._marks), number, self._portion)

    def _clean_part(self, piece: Piece, made: Clean | None, reader: Reader, number: int) -> CleanPart | None:
        clean = made or reader.read(piece.data)
        if clean is None:
            return None
        part = CleanPart(piece, clean, number, self._marks, self._content.name)
        if not clean.odd:
            return part
        if len(part.framed) != clean.count:
            return None
        found = [self._read(number + odd - 1, part.framed[odd - 1]) for odd in clean.odd]
        rejected = [one for one in found if isinstance(one, Rejected)]
        return replace(part, rejected=rejected) if len(rejected) == len(found) else None
