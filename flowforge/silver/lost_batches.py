"""Whether a silver table still has what it has taken: it may have been deleted, or taken back to an earlier moment.

The batch that comes next would otherwise make the table anew of its own few rows, and nobody would hear of those that are gone.
Guarantees: a batch is refused where the table lacks the newest one that is recorded as being in it, unless it brings all rows by
itself. Nothing is asked for it, in the ordinary case, that is not read anyway.
"""

from collections.abc import Sequence
from functools import partial

from flowforge.aws.items import Item
from flowforge.domain.batch import Batch
from flowforge.domain.errors import LakeChanged
from flowforge.silver.transactions import is_applied, newest_mark
from flowforge.state import batch_records
from flowforge.tables.base import LakeTable


def held_before(batch: Batch, newest: Sequence[Item]) -> Batch | None:
    """The newest other batch that the table of `batch` is recorded to have; `newest` are the stored records of the last two of
    its source. None where there is none."""
    fits = partial(_is_held, batch)
    return batch_records.first_of(newest, fits) or (
        batch_records.newest(batch.source_key, fits) if newest[1:] else None
    )


def refuse_lost(table: LakeTable | None, batch: Batch, held: Batch | None) -> None:
    """Raises LakeChanged where the batch's table lacks the one that it held."""
    if held is None or (table is not None and _has(table, held)) or _brings_all(batch, held):
        return
    silver = batch.command.silver.table
    what = f"lacks {held.name}, which it had" if table is not None else f"is gone, and it had {held.name}"
    raise LakeChanged(
        f"silver.{silver} {what}: it was deleted, or taken back to an earlier moment; {batch.name} has only what came since",
        f"flowforge rebuild silver {silver} --write makes it anew from bronze; then replay. To begin anew from the source: "
        f"flowforge watermark reset {silver} --yes, and submit the request again.",
    )


def _is_held(batch: Batch, other: Batch) -> bool:
    same = other.command.silver.table == batch.command.silver.table
    return other.refined and same and other.order != batch.order


def _has(table: LakeTable, held: Batch) -> bool:
    mark = newest_mark(held.source_key)
    newest = table.in_newest_commit(mark) or table.transaction_version(mark)
    return (newest is not None and newest >= held.order) or is_applied(table, held)


def _brings_all(batch: Batch, held: Batch) -> bool:
    """Whether the batch makes the table whole by itself. A person who has reset the table has begun it anew; else rows that the
    source has no more are in the lake alone, where its table keeps them."""
    if batch.only_keys or batch.interval.window or not (batch.reads_all or _reads_from_the_beginning(batch)):
        return False
    silver = batch.command.silver
    return (
        batch.generation != held.generation
        or silver.strategy == "replace"
        or (silver.strategy, silver.deletes) == ("merge", "hard")
    )


def _reads_from_the_beginning(batch: Batch) -> bool:
    return batch.interval.low is None and not batch.interval.files
