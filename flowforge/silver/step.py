"""The silver step: from a BronzeLanded to a SilverRefined."""

import time

from events.facts import BronzeLanded, SilverRefined
from flowforge.errors import Retriable
from flowforge.state import batches


def refine_landed(landed: BronzeLanded) -> SilverRefined | None:
    """Applies the batch to silver and records it; None when a correction by hand has voided the batch."""
    from flowforge.silver.refine import refine

    batch = batches.find_batch(landed.source_key, landed.generation, landed.seq)
    if batch is None or batch.manifest is None:
        raise Retriable(f"batch {landed.seq} of {landed.source_key} has no manifest yet")
    if batch.state == "voided":
        return None
    started = time.monotonic()
    result = refine(batch, batch.manifest.bucket)
    batches.mark(batch, refined=True)
    return SilverRefined(
        run_id=landed.run_id,
        bronze_table=landed.bronze_table,
        source_key=batch.source_key,
        generation=batch.generation,
        seq=batch.seq,
        silver_table=result.silver_table,
        version=result.version,
        inserted=result.inserted,
        updated=result.updated,
        quarantined=result.quarantined,
        silver_rows=result.silver_rows,
        already_applied=result.already_applied,
        seconds=round(time.monotonic() - started, 3),
    )
