"""The lease of a claim: who works on it renews it; one that has expired is taken over, and its holder fenced off by a token."""

import time
import uuid

from flowforge.aws import items
from flowforge.domain.batch import Batch
from flowforge.domain.errors import Fatal, UnreadableRecord, Wait
from flowforge.runtime.settings import settings
from flowforge.state.batch_records import RETRY_SECONDS, find_batch, is_written, key_of, write
from flowforge.state.table import TableState


def take_over(batch: Batch, replayed: bool = False) -> Batch:
    """Gives an expired claim a new token, so that this attempt may finish it.

    Raises Wait while the claim is live, Fatal when it has cost too many workers already: it would cost the next one too; the
    count starts anew when a person has `replayed` its message. A batch of slices is not counted: its slices are, each by its
    own message.
    """
    if batch.lease_until > time.time():
        raise Wait(f"{batch.name} is being loaded", RETRY_SECONDS)
    counted = 0 if replayed else batch.attempts
    if batch.slices is None and counted >= settings().max_attempts:
        raise Fatal(
            f"{batch.name}: {batch.attempts} workers have died or failed while they loaded it",
            "Look at the function's log for this run (memory, time limit), then replay the message: flowforge replay --run RUN.",
        )
    token, lease_until = uuid.uuid4().hex, time.time() + settings().lease_seconds
    values = {":token": token, ":lease": lease_until, ":attempts": counted + 1, ":none": 0}
    mine = batch.model_copy(update={"token": token, "lease_until": lease_until, "attempts": counted + 1})
    if not (
        write(
            batch, "SET #t = :token, lease_until = :lease, attempts = :attempts, rows_so_far = :none", values, "claimed"
        )
        or is_written(mine, "claimed")
    ):
        raise Wait(f"{batch.name} was taken over by another worker", RETRY_SECONDS)
    return mine


def holds_up(state: TableState) -> bool:
    """Whether a batch of the table is under way, for which the next one waits. One that only the next load will end, since a
    slice of it was given up or it has cost too many workers, holds nothing up."""
    if state.active is None:
        return False
    try:
        batch = find_batch(state.source_key, state.generation, state.active)
    except UnreadableRecord:  # the sweep tells of it
        return True
    return batch is None or goes_on(batch)


def goes_on(batch: Batch) -> bool:
    """Whether somebody goes on with a batch of which a table says that it is under way."""
    used_up = batch.slices is None and batch.attempts >= settings().max_attempts and batch.lease_until < time.time()
    return batch.state != "claimed" or not (batch.failed or used_up)


def count_attempt(batch: Batch) -> None:
    """Counts a claim that is queued again, so that this does not go on for ever."""
    write(batch, "SET attempts = :more", {":more": batch.attempts + 1}, "claimed")


def release(batch: Batch) -> None:
    """Ends the lease of an attempt that failed, so that the next one need not wait for it to expire."""
    write(batch, "SET lease_until = :none", {":none": 0}, "claimed")


def renew(batch: Batch, rows: int | None = None) -> bool:
    """Extends the lease of a claim that is being worked on, and tells how many rows its attempt has read so far; False when the
    claim is no longer this attempt's."""
    expression, values = "SET lease_until = :lease", {":lease": time.time() + settings().lease_seconds}
    if rows is not None:
        expression, values = f"{expression}, rows_so_far = :rows", values | {":rows": rows}
    return write(batch, expression, values, "claimed")


def fail(batch: Batch) -> None:
    """Marks a batch one of whose slices was given up: a replay may still finish it, but the next load of the table voids it."""
    names = {"s": "state", "open": "open"}
    values = {":yes": True, ":none": 0, ":claimed": "claimed", ":now": time.time()}
    expression = "SET failed = :yes, lease_until = :none, updated_at = :now REMOVE #open"
    items.update(settings().watermarks_table, key_of(batch), expression, values, "#s = :claimed", **names)
