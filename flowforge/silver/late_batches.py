"""Batches of files that came late: they have a later number than the batches in whose order they count as earlier."""

from itertools import takewhile

from flowforge.domain.batch import Batch
from flowforge.state import batch_records


def late_batches(batch: Batch) -> tuple[int, ...]:
    """The sequence numbers of later batches that came late, in whose place in the order this one is later; their own records tell
    it (`Interval.below`). Only batches of files come late: of others no record is read. Raises StoreUnavailable."""
    if not batch.interval.files:
        return ()
    recorded = map(batch_records.batch_of, batch_records.stored_history(batch.source_key, None))
    later = takewhile(lambda one: one.order > batch.order, recorded)
    ranges = ((one.seq, one.interval.below) for one in later if one.generation == batch.generation)
    return tuple(seq for seq, below in ranges if any(first <= batch.seq <= last for first, last in below))
