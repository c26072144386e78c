"""Reads a source in a thread of its own, ahead of the encoder, and never far ahead.

Guarantees: batches come in the reader's order; what is read and not yet taken is bounded in bytes, however wide the rows are; an
error of the reader is raised where the batches are taken; the reader is closed when the block ends, also early.
"""

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any, Self

import pyarrow as pa

from flowforge.sources.base import BatchReader
from flowforge.sources.reports import ReadReport

BYTES_AHEAD = 16 * 2**20  # reading goes on while a row group of 65,536 rows is encoded
LONG_BATCH = 8 * 2**20


class ReadAhead:
    """The record batches of a reader, with at least one row each.

    `open_reader` opens the reader, in the thread that reads. With `even_empty` an empty batch, which has the schema, comes
    first.
    """

    def __init__(self, open_reader: Callable[[], BatchReader], even_empty: bool = False):
        self._open_reader, self._even_empty = open_reader, even_empty
        self._batches: queue.Queue[pa.RecordBatch | BaseException | None] = _BytesAhead(BYTES_AHEAD)
        self._stop = threading.Event()
        self._reader: BatchReader | None = None
        self._thread = threading.Thread(target=self._read, name="reader", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        reader = self._reader
        if exception[0] is not None and reader is not None:
            reader.close()  # it may be waiting for a server that sends nothing
        self._thread.join()

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        while (value := self._batches.get()) is not None:
            if isinstance(value, BaseException):
                raise value
            yield value

    def report(self) -> ReadReport:
        """What the read knows of itself, once all batches have been taken."""
        return self._reader.report() if self._reader is not None else ReadReport()

    def _read(self) -> None:
        try:
            with closing(self._open_reader()) as reader:
                self._reader = reader
                if self._even_empty:
                    self._put(pa.RecordBatch.from_pylist([], reader.schema))
                for batch in reader:
                    if batch.num_rows and not self._put(_fitting(batch)):
                        return
                    del batch  # before the next one is read: a row may be long
            self._put(None)
        except BaseException as error:
            self._reader = None  # closed
            self._put(error)

    def _put(self, value: Any) -> bool:
        while not self._stop.is_set():
            try:
                self._batches.put(value, timeout=0.5)
                return True
            except queue.Full:
                continue
        return False


class _BytesAhead(queue.Queue):
    """A queue that is full when the batches in it, and one more as large as the last, hold `maxsize` bytes: a row may be long."""

    def _init(self, maxsize: int) -> None:
        super()._init(maxsize)
        self._bytes = self._last = 0

    def _qsize(self) -> int:
        return self._bytes + self._last if self._bytes else 0

    def _put(self, item: Any) -> None:
        super()._put(item)
        self._last = _size(item)
        self._bytes += self._last

    def _get(self) -> Any:
        item = super()._get()
        self._bytes -= _size(item)
        return item


def _size(item: Any) -> int:
    return max(1, item.nbytes) if isinstance(item, pa.RecordBatch) else 1


def _fitting(batch: pa.RecordBatch) -> pa.RecordBatch:
    """A copy without what a driver's buffers have to spare: they can be twice as large as what is in them. Long rows that fill
    theirs are not held twice."""
    if batch.nbytes >= LONG_BATCH and batch.get_total_buffer_size() <= 1.1 * batch.nbytes:
        return batch
    return pa.RecordBatch.from_arrays([pa.concat_arrays([column]) for column in batch.columns], schema=batch.schema)
