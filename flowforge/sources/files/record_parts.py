"""Parts of a file between their bytes and a portion: read already, or framed only. The last records may be none of the data.

Guarantees: a part knows how many records it has before they are read, so that a footer is left out unread.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import pyarrow as pa

from flowforge.sources.files.clean_records import Clean
from flowforge.sources.files.framing import Framed, Marks
from flowforge.sources.files.pieces import Piece
from flowforge.sources.files.rejected import Portion, Rejected


class Part(Protocol):
    """Some records in their order: how many, and the first `keep` of them as a portion. `counted` is how many by their line ends
    and quotes alone, None where these tell no end."""

    @property
    def count(self) -> int: ...
    @property
    def counted(self) -> int | None: ...
    def portion(self, keep: int) -> Portion: ...


@dataclass(frozen=True)
class CleanPart:
    """The records of a piece, read. `first` is the number of its first record, `rejected` are those that are not in its texts.

    Where each record begins is worked out when somebody asks."""

    piece: Piece
    clean: Clean
    first: int
    marks: Marks
    where: str
    rejected: Sequence[Rejected] = ()

    @property
    def count(self) -> int:
        return self.clean.count

    @property
    def counted(self) -> int | None:
        return self.clean.counted

    @cached_property
    def framed(self) -> list[Framed]:
        return list(self.piece.framed(self.marks, self.where))

    def portion(self, keep: int) -> Portion:
        odd, end = set(self.clean.odd), self.first + keep
        if odd:
            numbers = pa.array([self.first + at for at in range(keep) if at + 1 not in odd], pa.int64())
        else:
            numbers = pa.arange(self.first, end)
        rejected = [one for one in self.rejected if one.row_number < end]
        texts = self.clean.texts.slice(0, len(numbers))
        return Portion(texts, numbers, rejected, locate=lambda: self._places(numbers))

    def _places(self, numbers: pa.Array) -> tuple[pa.Array, pa.Array]:
        found = [self.framed[number - self.first] for number in numbers.to_pylist()]
        lines, offsets = [one.line for one in found], [one.offset for one in found]
        return pa.array(lines, pa.int64()), pa.array(offsets, pa.int64())


class FramedPart:
    """Records that are framed only; `read` makes a portion of some, of which the first has the number given. What is read is
    given up: a record may be long."""

    def __init__(
        self, framed: list[Framed], counted: int | None, first: int, read: Callable[[list[Framed], int], Portion]
    ):
        self._framed, self._first, self._read = framed, first, read
        self.count, self.counted = len(framed), counted

    def portion(self, keep: int) -> Portion:
        framed, self._framed = self._framed[:keep], []
        return self._read(framed, self._first)


def data_of(parts: Iterable[Part], footer: int) -> Iterator[Portion]:
    """The portions of parts, without the last `footer` records of all. Holds back the parts that may have some of these."""
    held: deque[Part] = deque()
    waiting = 0
    for part in parts:
        held.append(part)
        waiting += part.count
        while held and waiting - held[0].count >= footer:
            done = held.popleft()
            waiting -= done.count
            if done.count:
                yield done.portion(done.count)
    data = max(waiting - footer, 0)
    for part in held:
        keep = min(part.count, data)
        data -= keep
        if keep:
            yield part.portion(keep)
