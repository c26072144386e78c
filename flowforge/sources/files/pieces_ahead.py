"""Pieces of a text that are read by threads while what is before them is cast and encoded.

Guarantees: pieces come in the text's order, each of them read alone; where one leaves a doubt, those behind it, which may then
begin in the wrong place, are given back unread. Memory is that of MOST pieces and what was read of them.
"""

import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

from flowforge.sources.files.clean_records import Clean
from flowforge.sources.files.pieces import Piece, Pieces

WORKERS = min(2, os.cpu_count() or 1)  # more are no quicker: the encoder takes a quarter of the time, in one thread
MOST = WORKERS
TRUST = 4  # pieces without a doubt, after one with it, before others are read ahead again


class PiecesAhead:
    """The pieces of a text with what `read`, which may run in any thread and changes nothing, makes of each.

    Resource management: leaving it ends its threads."""

    def __init__(self, pieces: Pieces, read: Callable[[bytes], Clean | None]):
        self._pieces, self._read = pieces, read
        self._asked: deque[tuple[Piece, Future[Clean | None]]] = deque()
        self._threads = ThreadPoolExecutor(WORKERS, "pieces") if WORKERS > 1 else None
        self._trust = TRUST

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._threads:
            self._threads.shutdown(cancel_futures=True)

    def ask(self, size: int, is_full: bool) -> tuple[Piece, Clean | None] | None:
        """The next piece, as `Pieces.ask` has it, and what was made of it; it stays to be taken. `is_full`: pieces behind it are
        of its size, and may be read meanwhile."""
        self._ask_ahead(size, MOST if is_full and self._threads and self._trust >= TRUST else 1)
        if not self._asked:
            found = self._pieces.ask(size)
            return None if found is None else (found, self._read(found.data) if found.data else None)
        piece, made = self._asked[0]
        return piece._replace(line=self._pieces.line), made.result()

    def take(self, piece: Piece, lines: int) -> None:
        """Goes on behind the piece that was asked for, of so many lines."""
        if self._asked:
            self._asked.popleft()
            self._pieces.line += lines
        else:
            self._pieces.take(piece, lines)
        self._trust += 1

    def give_back(self, is_doubtful: bool) -> None:
        """Goes back to the piece that was asked for, or that would be."""
        if self._asked:
            for _, made in self._asked:
                made.cancel()
            self._pieces.give_back([piece for piece, _ in self._asked])
            self._asked.clear()
        if is_doubtful:
            self._trust = 0

    def _ask_ahead(self, size: int, most: int) -> None:
        while most > 1 and self._threads and len(self._asked) < most:
            piece = self._pieces.ask(size)
            if piece is None or not piece.data:
                return
            self._pieces.take(piece, 0)
            self._asked.append((piece, self._threads.submit(self._read, piece.data)))
