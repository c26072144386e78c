"""Batches of keys: how the keys are read twice.

A key that neither reading has is gone. Guarantees: both readings begin after the batch was claimed, so they see every row that
a batch before it has brought, and that is still there; a row that is deleted and put back meanwhile, or that a writer moves past
one reading, is in the other one. Memory is bounded: a reading of more than HELD_BYTES is not held, and its keys land twice.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Self

import pyarrow as pa

from flowforge.domain.batch import Batch
from flowforge.runtime.time_limit import deadline
from flowforge.sources.base import BatchReader, Source
from flowforge.sources.plans import ReadPlan
from flowforge.sources.reports import ReadReport

HELD_BYTES = 128 * 2**20  # of one reading: two million keys of 60 bytes


def reader_of(batch: Batch, source: Source, plan: ReadPlan, index: int | None = None) -> Callable[[], BatchReader]:
    """What opens the reader of a batch, or of its slice `index`."""
    opening = partial(source.open, plan, index, deadline=deadline())
    return partial(ReadTwice, opening, source.weakest) if batch.only_keys else opening


class ReadTwice:
    """A BatchReader of keys: those of one reading, then those that only a second one has.

    Resource management: one reader is open at a time; it is closed with this one.
    """

    def __init__(
        self,
        opening: Callable[[], BatchReader],
        weakest: Callable[[list[str]], str],
        held_bytes: int = HELD_BYTES,
    ):
        self._opening, self._weakest, self._held_bytes = opening, weakest, held_bytes
        self._reader = opening()
        self.schema = self._reader.schema
        self._reports: list[ReadReport] = []
        self._closed = False

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        first = _Held(self._held_bytes)
        for batch in self._reader:
            first.take(batch)
            yield batch
        self._end_of_reading()
        self._reader = self._opening()
        if self._closed:  # meanwhile, by another thread
            self._reader.close()
        yield from self._second(first)
        self._reports.append(self._reader.report())

    def _second(self, first: "_Held") -> Iterator[pa.RecordBatch]:
        """The keys that the first reading lacks; all of them, where a reading is too large to be held."""
        if not first.is_whole:
            yield from self._reader
            return
        second, batches, held = _Held(self._held_bytes), iter(self._reader), []
        for batch in batches:
            held.append(batch)
            second.take(batch)
            if not second.is_whole:
                yield from held
                yield from batches
                return
        yield from _beyond(first.rows(self.schema), second.rows(self.schema))

    def _end_of_reading(self) -> None:
        self._reports.append(self._reader.report())
        self._reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def report(self) -> ReadReport:
        """What both readings know of themselves; neither's count is that of all rows."""
        notes = list(dict.fromkeys(note for one in self._reports for note in one.notes))
        return ReadReport(consistency=self._weakest([one.consistency for one in self._reports]), notes=notes)

    def close(self) -> None:
        """Closes the reader that is open."""
        self._closed = True
        self._reader.close()


class _Held:
    """The batches of a reading, as long as they are not too many."""

    def __init__(self, most_bytes: int):
        self._batches: list[pa.RecordBatch] = []
        self._bytes, self._most_bytes, self.is_whole = 0, most_bytes, True

    def take(self, batch: pa.RecordBatch) -> None:
        """Holds a batch, or lets all go."""
        self._bytes += batch.nbytes
        if self.is_whole and self._bytes > self._most_bytes:
            self.is_whole, self._batches = False, []
        elif self.is_whole:
            self._batches.append(batch)

    def rows(self, schema: pa.Schema) -> pa.Table:
        """All that is held."""
        return pa.Table.from_batches(self._batches, schema)


def _beyond(first: pa.Table, second: pa.Table) -> Iterator[pa.RecordBatch]:
    """The rows of the second reading that the first one lacks; a key with a NULL is never found there, and lands twice."""
    names = second.schema.names
    for rows in second.join(first, keys=names, join_type="left anti").to_batches():
        yield pa.RecordBatch.from_arrays(rows.select(names).columns, schema=second.schema)
