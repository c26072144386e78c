"""The gold step: from a SilverRefined to a GoldPublished."""

import time

from events.facts import GoldPublished, SilverRefined
from flowforge.state import batches
from flowforge.state.announcements import about, landed_batch


def publish_refined(refined: SilverRefined) -> GoldPublished | None:
    """Publishes what follows from the batch and records it; None when a correction by hand has voided the batch."""
    from flowforge.gold.publish import publish

    batch = landed_batch(refined)
    if batch is None:
        return None
    started = time.monotonic()
    result = publish(batch, batch.manifest.bucket)
    batches.mark(batch, published=True)
    return GoldPublished(
        **about(batch),
        gold_tables=result.gold_tables,
        deferred=result.deferred,
        seconds=round(time.monotonic() - started, 3),
    )
