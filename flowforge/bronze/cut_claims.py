"""What becomes of the claims of a cut whose worker is gone.

The tables of a cut are claimed one after the other, read to their objects, and then landed one after the other. The first of them
decides: no batch is landed before it, and it is not landed before the objects of all are in bronze. So if it is landed, each of
the others can be, from its object; if it is not, none may be: their snapshot is gone, and they are voided, the first one first.

Guarantees: a worker that was thought dead and the one that follows it come to one decision, since both write the record of the
first batch, which takes one of them. A claim whose lease is live is waited for.
"""

import time
from collections.abc import Iterable

from flowforge.bronze.announcements import landed_fact
from flowforge.bronze.finalize import settle
from flowforge.bronze.landing import landed_before, manifest_of
from flowforge.bronze.outcome import Outcome
from flowforge.bronze.planning import described
from flowforge.domain.batch import Batch
from flowforge.domain.errors import Fatal, Wait
from flowforge.domain.slice_plan import Counting
from flowforge.sources.plans import ReadPlan
from flowforge.sources.registry import source_at
from flowforge.state import batches, leases
from flowforge.state.batch_records import RETRY_SECONDS, find_batch

LANDED = ("landed", "committed")
NOT_COUNTED = Counting(why_not="not counted again: all tables were read in one transaction, which is over")


def decides(batch: Batch) -> Batch | None:
    """The batch with which a batch of a cut lands or does not, as it is recorded now."""
    cut = batch.interval.cut
    own = batch.source_key, batch.generation, batch.seq
    return find_batch(*(cut.decided_by if cut and cut.decided_by else own))


def finish_claim(batch: Batch) -> Outcome:
    """Ends an expired claim of a cut: lands it where its cut has landed, else voids it; then it is the caller's turn.

    Raises Wait while a worker of the cut lives.
    """
    first = decides(batch)
    if first is not None and first.state in LANDED:
        landed = land_from_object(batch)
        return Outcome(landed.facts, 1, landed.reason or f"{batch.name} was landed with the others of its cut")
    give_up([*([first] if first else []), batch])
    return Outcome([], 1, f"{batch.name} was part of a cut that was not read to its end, and was abandoned")


def give_up(claimed: Iterable[Batch], ours: bool = False) -> None:
    """Voids the claims of a cut, that of the first table first; `ours` does not wait for leases. Raises Wait where a worker of
    the cut lives, or has landed it meanwhile."""
    open_ones = [batch for batch in claimed if batch.state == "claimed"]
    for batch in open_ones:
        if batch.lease_until > time.time() and not ours:
            raise Wait(f"{batch.name} is being loaded", RETRY_SECONDS)
    for batch in open_ones:
        if batch.interval.cut is None or batch.interval.cut.decided_by is None:
            batches.abandon(batch)
        first = decides(batch)
        if first is not None and first.state in ("claimed", *LANDED):
            raise Wait(f"{first.name} is {first.state}: another worker has its cut", RETRY_SECONDS)
        batches.abandon(batch)


def land_from_object(batch: Batch) -> Outcome:
    """Lands a claimed batch of a cut that has landed, from the object that is there. Raises Wait while its lease is live."""
    if batch.state in LANDED:
        return Outcome([landed_fact(batch)] if batch.state == "landed" else [])
    if batch.state != "claimed":
        raise Fatal(
            f"{batch.name} was {batch.state} by hand while its cut landed",
            "Submit the request again: a later cut has the table.",
        )
    batch = leases.take_over(batch, replayed=True)
    found = landed_before(batch)
    if found is None:
        batches.abandon(batch)
        return Outcome([], None, f"{batch.name} has no object any more, and was abandoned; the next cut has its rows")
    source = source_at(batch.command.connection)
    with source.session() as session:
        key = described(session, batch.command).primary_key
    plan = ReadPlan(batch.interval, list(found.columns), counting=NOT_COUNTED)
    return settle(batch, manifest_of(batch, plan.columns, key, [found]), source, plan, time.time())
