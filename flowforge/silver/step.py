"""The silver step: from a BronzeLanded, or the order to release what is in quarantine, to a SilverRefined."""

import time

from events.commands import ReleaseQuarantine
from events.facts import BronzeLanded, SilverRefined
from flowforge.bronze.announcements import about, landed_batch
from flowforge.domain.batch import Batch
from flowforge.domain.errors import NotFound, Retriable
from flowforge.domain.given import given
from flowforge.runtime.settings import settings
from flowforge.silver.earlier import wait_for_earlier
from flowforge.state import batch_records, batches
from flowforge.tables.lake import open_table, table_uri


def refine_landed(landed: BronzeLanded) -> SilverRefined | None:
    """Applies the batch to silver and records it; None when a correction by hand has voided the batch."""
    from flowforge.silver.lost_batches import held_before
    from flowforge.silver.near_keys import near_key_notes
    from flowforge.silver.refine import refine
    from flowforge.silver.summary import notes_of

    last = list(batch_records.stored_history(landed.source_key, 2))  # most often the very batch, and the one before
    newest = batch_records.batch_of(last[0]) if last else None
    batch = landed_batch(landed, newest)
    if batch is None:
        return None
    started = time.monotonic()
    if batch.only_keys:
        wait_for_earlier(batch)
    newest = newest or _newest(batch.source_key)  # its request's rules are in force, also for what is replayed
    bucket = given(batch.manifest).bucket
    result = refine(batch, bucket, rules=newest.rules_in_force, held=held_before(batch, last))
    unknown = result.already_applied and not result.quarantined  # the commit is too long ago to tell
    batches.mark(batch, refined=True, quarantined=None if unknown else result.quarantined)
    is_newest = (newest.generation, newest.seq) == (batch.generation, batch.seq)
    near = near_key_notes(batch, bucket) if is_newest and result.near_keys else []
    return SilverRefined(
        **about(batch),
        silver_table=result.silver_table,
        version=result.version,
        inserted=result.inserted,
        updated=result.updated,
        deleted=result.deleted,
        quarantined=result.quarantined,
        silver_rows=result.silver_rows,
        already_applied=result.already_applied,
        schema_changes=result.schema_changes,
        quality=result.quality,
        notes=[*notes_of(batch, result), *near] if is_newest else [],
        column_types=result.column_types,
        cut=batch.interval.cut.version if batch.interval.cut else None,
        seconds=round(time.monotonic() - started, 3),
    )


def release_quarantine(command: ReleaseQuarantine) -> SilverRefined | None:
    """Releases what breaks no rule any more, batch by batch; the fact sets gold off, in the name of the newest batch that silver
    holds, however many empty ones came since.

    It is told in any case: a worker that died between the release and the telling has left nothing to release, and gold leaves
    alone what has not changed. None where silver has no table.
    """
    from flowforge.silver.release import release, waiting

    started, bucket, inserted, updated = time.monotonic(), settings().bucket, 0, 0
    rules = _newest(command.source_key).rules_in_force
    last: Batch | None = None
    for generation, seq in waiting(bucket, command.silver_table):
        batch = batch_records.find_batch(command.source_key, generation, seq)
        if batch is None or batch.manifest is None:
            raise Retriable(f"batch {seq} of {command.source_key} is not recorded as landed")
        found = release(batch, bucket, rules)
        last = batch
        inserted, updated = inserted + (found.change.inserted or 0), updated + (found.change.updated or 0)
    refined = batch_records.newest(command.source_key, _is_told_of) or last
    table = open_table(table_uri(bucket, "silver", command.silver_table))
    if refined is None or table is None:
        return None
    return SilverRefined(
        **about(refined),
        silver_table=command.silver_table,
        version=table.version(),
        inserted=inserted,
        updated=updated,
        silver_rows=table.count(),
        column_types=table.column_words(),
        seconds=round(time.monotonic() - started, 3),
    )


def _is_told_of(batch: Batch) -> bool:
    return batch.refined and batch.manifest is not None and batch.state != "voided"


def _newest(source_key: str) -> Batch:
    """The table's newest batch, whose request's rules are in force."""
    for batch in batch_records.history(source_key, 1):
        return batch
    raise NotFound(
        f"no batch of {source_key} is recorded", "Restore the record from bronze: flowforge watermark rebuild --write."
    )
