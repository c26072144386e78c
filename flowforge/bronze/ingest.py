"""Loads one table once: claim, land, and the fact to announce.

Whatever state an earlier attempt has left, the same command comes to the same batch: a live claim is waited for, an expired one
is taken over and finished with its own interval and keys, a landed one is announced again from its manifest and never read again.
"""

import time
from functools import partial

from events.commands import IngestTable
from events.facts import IntervalEmpty
from flowforge.aws.clients import prepare
from flowforge.aws.conditional_writes import prove_once
from flowforge.bronze.announcements import landed_fact, no_rows_fact
from flowforge.bronze.finalize import settle
from flowforge.bronze.footing import find_footing
from flowforge.bronze.heartbeat import Heartbeat, reading_permitted
from flowforge.bronze.landing import land, manifest_of
from flowforge.bronze.outcome import Outcome
from flowforge.bronze.slice_queue import queue_slices
from flowforge.domain.batch import Batch, Interval
from flowforge.domain.errors import Fatal, Wait
from flowforge.domain.source_key import SourceKey
from flowforge.runtime.settings import settings
from flowforge.runtime.time_limit import deadline
from flowforge.sources.base import Description, LastRead, Nothing, Position, ReadPlan, Source, Wanted
from flowforge.sources.registry import source_at
from flowforge.state import batch_records, batches, claims, leases, table
from flowforge.state.spelling import named_by_catalog, settled_key

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
        description = session.describe(wanted_of(command))
        if description.written is not None:
            command = named_by_catalog(command, *description.written)
        known = _known(command, description)
        state, own = known.state, known.own
        if own is None and state.active is None:
            plan = session.plan(description, _last(state), only_new=state.asked == table.asked_of(command))
            if plan.nothing:
                return _nothing(command, description.name, state, plan, plan.nothing)
            prove_once(settings().bucket)
            footing = find_footing(state, command, plan.interval, description.name)
            interval = _with_notes(plan.interval, [*footing.notes, *command.given_up])
            drawn = (interval, plan.identity, plan.memory, plan.splits)
            claimed = claims.claim(
                footing.state, command, description.name, *drawn, lake=footing.etag, label_taken=known.label_taken
            )
    if own:
        return _resume(own, source, description, replayed)
    return _finish_other(state) if state.active is not None else _load(claimed, source, description)


def wanted_of(command: IngestTable) -> Wanted:
    """What a command asks of its source."""
    silver, refreshes = command.silver, command.bronze.load_strategy == "full_refresh"
    follows = refreshes and silver.strategy in ("merge", "scd2") and silver.deletes != "ignore"
    return Wanted(
        read=command.source,
        bronze_table=command.bronze.table,
        key=tuple(silver.primary_key),
        adds_only=silver.strategy == "append" and command.source.delta_column is None,
        removes_rows=silver.strategy == "replace" or follows,
        audited=command.bronze.audit_columns,
    )


def _known(command: IngestTable, source: Description) -> batch_records.Known:
    """What the watermark table knows of the command."""
    wanted = SourceKey.of(command.connection, *source.parts, command.bronze.table)
    key = str(wanted)
    label = batch_records.label_key(command.bronze.table, command.batch_id)
    known = batch_records.what_is_known(key, command.run_id, label)
    if known.state.version:
        return known
    settled = settled_key(wanted, source.identity.get("database"))
    return known if settled == key else batch_records.what_is_known(settled, command.run_id, label)


def _last(state: table.TableState) -> dict[str, LastRead]:
    """What the loads before have left, by cursor."""
    found = {cursor: LastRead(memory=samples) for cursor, samples in state.samples.items()}
    for cursor, mark in state.watermarks.items():
        at, memory = Position(cursor, mark.value, mark.sql_type), state.samples.get(cursor, [])
        found[cursor] = LastRead(at, mark.identity, mark.last_rows, memory)
    return found


def _with_notes(interval: Interval, notes: list[str]) -> Interval:
    """The interval with notes of a lake that was found otherwise, and of batches that this run has given up."""
    return interval.model_copy(update={"notes": [*interval.notes, *notes]})


def _resume(batch: Batch, source: Source, description: Description, replayed: bool) -> Outcome:
    """Goes on with the batch that this run has claimed before."""
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


def _finish_other(state: table.TableState) -> Outcome:
    """Another run's batch is under way: wait for it, or finish it when its worker is gone."""
    other = batch_records.find_batch(state.source_key, state.generation, state.active or 0)
    if other is None:
        raise Wait(f"{state.source_key}: its claim is being written", batch_records.RETRY_SECONDS)
    if other.state == "claimed" and other.failed:
        batches.abandon(other)
        return Outcome([], 1, f"{other.name} of {other.command.run_id} had failed and was abandoned")
    if other.state == "claimed":
        return _finish_expired(other)
    if other.state == "landed" and other.lease_until + ANNOUNCE_AGAIN_SECONDS < time.time():
        return Outcome([landed_fact(other)], batch_records.RETRY_SECONDS, f"{other.name} was announced again")
    raise Wait(f"{other.name} is {other.state}", batch_records.RETRY_SECONDS)


def _finish_expired(batch: Batch) -> Outcome:
    """Finishes the batch of a worker that is gone, or voids it when it never can be; then it is this command's turn."""
    command = batch.command
    try:
        batch = _taken_over(batch)
        source = source_at(command.connection)
        with source.session() as session:
            description = session.describe(wanted_of(command))
        found = _load(batch, source, description)
    except Fatal as error:
        batches.abandon(batch)
        return Outcome([], 1, f"{batch.name} of {command.run_id} was abandoned: {error}")
    return Outcome(found.facts, 1, found.reason or f"{batch.name} of {command.run_id} was finished first")


def _load(batch: Batch, source: Source, description: Description) -> Outcome:
    """Reads a claimed interval, lands it and records its manifest; a claim that can never be landed is given up.

    The slices of a large batch are queued instead: each is loaded by a message of its own.
    """
    try:
        return queue_slices(batch) if batch.slices else _land(batch, source, description)
    except Wait:
        raise
    except Fatal:
        batches.abandon(batch)
        raise
    except Exception:
        leases.release(batch)
        raise


def _land(batch: Batch, source: Source, description: Description) -> Outcome:
    command, began_at = batch.command, time.time()
    plan = source.resume(batch.interval, description)
    even_empty = command.bronze.load_strategy == "full_refresh" and command.source.allow_empty_refresh
    open_reader = partial(source.open, plan, deadline=deadline())
    with Heartbeat(partial(leases.renew, batch)):
        landed = land(batch, plan.columns, description.name, open_reader, even_empty)
        if landed is None:
            batches.close_empty(batch)
            return Outcome([no_rows_fact(batch)])
        manifest = manifest_of(batch, plan.columns, description.primary_key, [landed])
        return settle(batch, manifest, source, plan, began_at)


def _nothing(command: IngestTable, name: str, state: table.TableState, plan: ReadPlan, found: Nothing) -> Outcome:
    """The end of a load that has nothing to read: what the source wants to see again is kept, the run is told why."""
    interval = plan.interval
    if found.news:
        table.remember_samples(state, interval.column or "", plan.memory)
    if found.wait_seconds:
        return Outcome([], found.wait_seconds, found.wait_reason)
    mark = state.watermarks.get(interval.column or "")
    fact = IntervalEmpty(
        run_id=command.run_id,
        bronze_table=command.bronze.table,
        source_key=state.source_key,
        generation=state.generation,
        seq=state.seq,
        source_table=name,
        reason=found.reason,
        promise=interval.promise,
        notes=found.notes,
        watermark_value=mark.value if mark else None,
        claimed=False,
    )
    return Outcome([fact])
