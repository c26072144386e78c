"""Slices of a batch as messages: queued with the claim, queued again when a claim's workers have gone."""

from events.commands import IngestSlice
from flowforge.aws.fanout import send_commands
from flowforge.bronze.announcements import about, slices_read
from flowforge.bronze.outcome import Outcome
from flowforge.domain.batch import Batch
from flowforge.domain.given import given
from flowforge.runtime.settings import settings
from flowforge.state import slice_set


def queue_slices(batch: Batch) -> Outcome:
    """Queues one message for each slice that is not done yet. A slice that is queued twice is loaded once."""
    done = slice_set.finished_slices(batch)
    wanted = [n for n in range(len(given(batch.slices).ranges)) if n not in done]
    if not wanted:  # the worker that did the last one died before it could say so: any slice's message will tell
        wanted = [0]
    commands = [IngestSlice(**about(batch), index=n) for n in wanted]
    send_commands(settings().slice_queue_url, commands)
    return Outcome(progress=[slices_read(batch, done)])
