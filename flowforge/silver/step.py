"""The silver step: from a BronzeLanded to a SilverRefined."""

import time

from events.facts import BronzeLanded, SilverRefined
from flowforge.state import batches
from flowforge.state.announcements import about, landed_batch


def refine_landed(landed: BronzeLanded) -> SilverRefined | None:
    """Applies the batch to silver and records it; None when a correction by hand has voided the batch."""
    from flowforge.silver.refine import refine

    batch = landed_batch(landed)
    if batch is None:
        return None
    started = time.monotonic()
    (newest,) = batches.history(batch.source_key, 1)  # its request's rules are in force, also for what is replayed
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
        seconds=round(time.monotonic() - started, 3),
    )
