"""Loads one table once: claim, land, and the fact to announce.

Whatever state an earlier attempt has left, the same command comes to the same batch: a live claim is waited for, an expired one
is taken over and finished with its own interval and keys, a landed one is announced again from its manifest and never read again.
"""

import time
from dataclasses import replace

from events.commands import IngestTable
from flowforge.aws.clients import prepare
from flowforge.aws.conditional_writes import prove_once
from flowforge.bronze.announcements import landed_fact, no_rows_fact
from flowforge.bronze.comparisons import order_comparison
from flowforge.bronze.cut_claims import finish_claim
from flowforge.bronze.file_notes import give_up, note_files, note_refused
from flowforge.bronze.file_types import note_types, with_kept_types
from flowforge.bronze.finalize import settle
from flowforge.bronze.footing import Footing
from flowforge.bronze.heartbeat import Heartbeat, RowsSoFar, reading_permitted
from flowforge.bronze.key_reading import reader_of
from flowforge.bronze.landing import land, landed_before, manifest_of
from flowforge.bronze.nothing_new import nothing_new
from flowforge.bronze.outcome import Outcome
from flowforge.bronze.planning import Found, described, look_at, plan_next
from flowforge.bronze.slice_queue import queue_slices
from flowforge.domain.batch import Batch
from flowforge.domain.errors import ChangesLost, Fatal, FileChanged, FileRefused, Wait
from flowforge.domain.interval import Interval
from flowforge.runtime.settings import settings
from flowforge.sources.base import Session, Source
from flowforge.sources.plans import Description, ReadPlan
from flowforge.sources.registry import source_at
from flowforge.state import batch_records, batches, claims, leases, table

ANNOUNCE_AGAIN_SECONDS = 60  # a landed batch that nobody has committed for so long after its lease is told again


def ingest(command: IngestTable) -> Outcome:
    """Loads the command's table.

    Raises Wait while another attempt holds the table or the source is read by as many as it allows, Fatal for what no retry can
    mend, Retriable for the rest.
    """
    prepare("s3")  # while the source answers
    with reading_permitted(command.connection):
        return _ingest(command)


def _ingest(command: IngestTable) -> Outcome:
    replayed = command.replayed
    command = command.model_copy(update={"replayed": False} | ({"given_up": []} if replayed else {}))
    source = source_at(command.connection)
    with source.session() as session:
        found = look_at(session, command)
        command, description, known = found
        state, own = known.state, known.own
        order_comparison(command, state)
        if own is None and state.active is None:
            plan, footing = _planned(session, found)
            if plan.nothing:
                return nothing_new(found, plan)
            prove_once(settings().bucket)
            interval = _with_notes(plan.interval, command.given_up)
            drawn = (interval, plan.identity, plan.memory, plan.splits)
            claimed = claims.claim(
                footing.state, command, description.name, *drawn, lake=footing.etag, label_taken=known.label_taken
            )
    if own:
        return _resume(own, source, description, replayed)
    return finish_other(state) if state.active is not None else _load(claimed, source, description, footing.state)


def _planned(session: Session, found: Found) -> tuple[ReadPlan, Footing]:
    """The next plan; where a file stops it, which one and why is kept."""
    try:
        return plan_next(session, found)
    except FileRefused as error:
        note_refused(found.known.state.source_key, found.command, error)
        raise


def _with_notes(interval: Interval, notes: list[str]) -> Interval:
    """The interval with notes of batches that this run has given up."""
    return interval.model_copy(update={"notes": [*interval.notes, *notes]})


def _resume(batch: Batch, source: Source, description: Description, replayed: bool) -> Outcome:
    """Goes on with the batch that this run has claimed before."""
    if batch.state == "claimed" and batch.interval.cut:
        return finish_claim(batch)
    if batch.state == "claimed":
        return _load(_taken_over(batch, replayed), source, description)
    if batch.state == "landed":
        return Outcome([landed_fact(batch)])
    if batch.state == "voided":
        raise Fatal(f"{batch.name} was voided by a watermark set or reset by hand", "Submit the request again.")
    if batch.state == "empty":
        return Outcome([no_rows_fact(batch)])
    return Outcome()


def _taken_over(batch: Batch, replayed: bool = False) -> Batch:
    try:
        return leases.take_over(batch, replayed)
    except Fatal:
        batches.abandon(batch)
        raise


def finish_other(state: table.TableState) -> Outcome:
    """Another run's batch is under way: wait for it, or finish it when its worker is gone."""
    other = batch_records.find_batch(state.source_key, state.generation, state.active or 0)
    if other is None:
        raise Wait(f"{state.source_key}: its claim is being written", batch_records.RETRY_SECONDS)
    if other.state == "claimed" and other.interval.cut:
        return finish_claim(other)
    if other.state == "claimed" and other.failed:
        batches.abandon(other)
        return Outcome([], 1, f"{other.name} of {other.command.run_id} had failed and was abandoned")
    if other.state == "claimed":
        return _finish_expired(other, state)
    if other.state == "landed" and other.lease_until + ANNOUNCE_AGAIN_SECONDS < time.time():
        return Outcome([landed_fact(other)], batch_records.RETRY_SECONDS, f"{other.name} was announced again")
    raise Wait(f"{other.name} is {other.state}", batch_records.RETRY_SECONDS)


def _finish_expired(batch: Batch, state: table.TableState) -> Outcome:
    """Finishes the batch of a worker that is gone, or voids it when it never can be; then it is this command's turn."""
    command = batch.command
    try:
        batch = _taken_over(batch)
        source = source_at(command.connection)
        with source.session() as session:
            description = with_kept_types(session, described(session, command), state)
        found = _load(batch, source, description)
    except Fatal as error:
        batches.abandon(batch)
        return Outcome([], 1, f"{batch.name} of {command.run_id} was abandoned: {error}")
    return Outcome(found.facts, 1, found.reason or f"{batch.name} of {command.run_id} was finished first")


def _load(batch: Batch, source: Source, description: Description, state: table.TableState | None = None) -> Outcome:
    """Reads a claimed interval, lands it and records its manifest; a claim that can never be landed is given up. `state` is the
    table's, as the claim found it.

    The slices of a large batch are queued instead: each is loaded by a message of its own.
    """
    try:
        return queue_slices(batch) if batch.slices else _land(batch, source, description, state)
    except Wait:
        raise
    except (FileChanged, ChangesLost) as error:  # nothing of it has landed: what is there now is planned anew
        batches.abandon(batch)
        raise Wait(str(error), batch_records.RETRY_SECONDS) from error
    except Fatal as error:
        give_up(batch, error)
        raise
    except Exception:
        leases.release(batch)
        raise


def _land(batch: Batch, source: Source, description: Description, state: table.TableState | None) -> Outcome:
    command, began_at = batch.command, time.time()
    even_empty = batch.refreshes and command.source.allow_empty_refresh
    even_empty = even_empty or batch.interval.replaces or batch.only_keys
    rows = RowsSoFar()
    with Heartbeat(lambda: leases.renew(batch, rows.count)):
        before = landed_before(batch) if batch.interval.files and batch.attempts > 1 else None
        if before is None:
            plan = source.resume(batch.interval, replace(description, identity=batch.identity))
            landed = land(batch, plan.columns, description.name, reader_of(batch, source, plan), even_empty, count=rows)
        else:
            plan, landed = ReadPlan(batch.interval, list(before.columns)), before
        note_files(batch, landed.read)
        note_types(batch, landed.read)
        if landed.object is None:
            batches.close_empty(batch)
            return Outcome([no_rows_fact(batch, landed.read.notes)])
        manifest = manifest_of(batch, plan.columns, description.primary_key, [landed])
        return settle(batch, manifest, source, plan, began_at, state)
