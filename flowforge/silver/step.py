"""The silver step: from a BronzeLanded, or the order to release what is in quarantine, to a SilverRefined."""

import time

from events.commands import ReleaseQuarantine
from events.facts import BronzeLanded, SilverRefined
from flowforge.errors import Retriable
from flowforge.settings import settings
from flowforge.state import batches, records
from flowforge.state.announcements import about, landed_batch


def refine_landed(landed: BronzeLanded) -> SilverRefined | None:
    """Applies the batch to silver and records it; None when a correction by hand has voided the batch."""
    from flowforge.silver.refine import refine
    from flowforge.silver.telling import notes_of

    batch = landed_batch(landed)
    if batch is None:
        return None
    started = time.monotonic()
    (newest,) = records.history(batch.source_key, 1)  # its request's rules are in force, also for what is replayed
    result = refine(batch, batch.manifest.bucket, rules=newest.command.silver.quality_rules)
    batches.mark(batch, refined=True)
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
        notes=notes_of(batch, result) if (newest.generation, newest.seq) == (batch.generation, batch.seq) else [],
        column_types=result.column_types,
        seconds=round(time.monotonic() - started, 3),
    )


def release_quarantine(command: ReleaseQuarantine) -> SilverRefined | None:
    """Releases what breaks no rule any more, batch by batch; the fact sets gold off. None when nothing was released."""
    from flowforge.lake.tables import delta_types, open_table, table_uri
    from flowforge.silver.release import release, waiting

    started, bucket, inserted, updated = time.monotonic(), settings().bucket, 0, 0
    newest = records.history(command.source_key, 20)
    told = 0
    for generation, seq in waiting(bucket, command.silver_table):
        batch = records.find_batch(command.source_key, generation, seq)
        if batch is None or batch.manifest is None:
            raise Retriable(f"batch {seq} of {command.source_key} is not recorded as landed")
        found = release(batch, bucket, newest[0].command.silver.quality_rules)
        told += found.released
        inserted, updated = inserted + (found.change.inserted or 0), updated + (found.change.updated or 0)
    refined = next((batch for batch in newest if batch.refined), None)
    table = open_table(table_uri(bucket, "silver", command.silver_table))
    if not told or refined is None or table is None:
        return None
    return SilverRefined(
        **about(refined),
        silver_table=command.silver_table,
        version=table.version(),
        inserted=inserted,
        updated=updated,
        silver_rows=table.count(),
        column_types=delta_types(table),
        seconds=round(time.monotonic() - started, 3),
    )
