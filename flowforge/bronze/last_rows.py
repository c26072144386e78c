"""The rows with the last number of an interval, where other rows may still get that number: are they as they were landed?

They are read again with every load (see `sources.sqlserver.ties`), and landed again only if their digest is another than that of
what has landed. So many rows that hashing is not worth it are landed again.
"""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from itertools import chain
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from flowforge.domain.interval import Interval
from flowforge.state.digests import digest_of, joined

MOST_ROWS = 50_000  # hashing them takes a second, and they are held meanwhile


class LastRows:
    """Takes the digest of the rows with an interval's last number, as they pass by."""

    def __init__(self, interval: Interval):
        self._column, self._number = interval.column, None
        if interval.ties and interval.high is not None:
            self._number = int(interval.high) - 1
        self._rows, self._digests = 0, [digest_of([])]

    def add(self, batch: pa.RecordBatch) -> None:
        """Looks at a batch of the read."""
        if self._number is None:
            return
        values = batch.column(batch.schema.get_field_index(self._column))
        try:
            number = pa.scalar(Decimal(self._number) if pa.types.is_decimal(values.type) else self._number, values.type)
        except (pa.ArrowInvalid, OverflowError):  # none of the column's type
            self._number = None
            return
        found = batch.filter(pc.call_function("equal", [values, number]))
        self._rows += found.num_rows
        if self._rows <= MOST_ROWS and found.num_rows:
            self._digests.append(digest_of(zip(*map(_plain, found.columns), strict=True)))

    @property
    def digest(self) -> str:
        """The digest of what has passed; empty where nobody asks for it, or there were too many rows."""
        return "" if self._number is None or self._rows > MOST_ROWS else joined(self._digests)


def new_rows(batches: Iterable[pa.RecordBatch], interval: Interval) -> Iterator[pa.RecordBatch]:
    """The batches of a read; none when they hold just the rows that the interval is known by."""
    rest = iter(batches)
    if not interval.known:
        return rest
    seen, held = LastRows(interval), []
    for batch in rest:
        held.append(batch)
        seen.add(batch)
        if not seen.digest:
            return chain(held, rest)
    return iter([]) if seen.digest == interval.known else iter(held)


def _plain(column: pa.Array) -> list[Any]:
    """Values whose repr is exact; times as whole numbers, since Python's have no nanoseconds."""
    return (column.cast(pa.int64()) if pa.types.is_time64(column.type) else column).to_pylist()
