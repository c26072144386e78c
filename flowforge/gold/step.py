"""The gold step: from a SilverRefined to a GoldPublished."""

import time

from events.facts import GoldPublished, SilverRefined
from flowforge.errors import Retriable
from flowforge.state import batches


def publish_refined(refined: SilverRefined) -> GoldPublished | None:
    """Publishes what follows from the batch and records it; None when a correction by hand has voided the batch."""
    from flowforge.gold.publish import publish

    batch = batches.find_batch(refined.source_key, refined.generation, refined.seq)
    if batch is None or batch.manifest is None:
        raise Retriable(f"batch {refined.seq} of {refined.source_key} has no manifest yet")
    if batch.state == "voided":
        return None
    started = time.monotonic()
    result = publish(batch, batch.manifest.bucket)
    batches.mark(batch, published=True)
    return GoldPublished(
        run_id=refined.run_id,
        bronze_table=refined.bronze_table,
        source_key=batch.source_key,
        generation=batch.generation,
        seq=batch.seq,
        gold_tables=result.gold_tables,
        deferred=result.deferred,
        seconds=round(time.monotonic() - started, 3),
    )
