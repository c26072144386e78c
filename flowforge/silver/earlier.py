"""A comparison of keys is applied after what its table has landed before it.

Else a batch that comes later to silver could bring a row back that the comparison has seen to be gone, and it would stand until
the next one. Guarantees: what is under way is waited for. What was given up is not: it would hold every comparison up.
"""

from contextlib import suppress

from flowforge.domain.batch import Batch
from flowforge.domain.errors import UnreadableRecord, Wait
from flowforge.state import batch_records

RETRY_SECONDS = 5
LOOKED_AT = 100  # batches before it: what is older, and open still, no worker has in hand


def wait_for_earlier(batch: Batch) -> None:
    """Raises Wait while a batch before this one is on its way to silver."""
    for item in batch_records.stored_history(batch.source_key, LOOKED_AT):
        with suppress(UnreadableRecord):
            other = batch_records.batch_of(item)
            under_way = "open" in item and other.state in ("landed", "committed") and not other.refined
            if under_way and other.order < batch.order and not other.only_keys:
                raise Wait(f"{other.name} is not in silver yet", RETRY_SECONDS)
