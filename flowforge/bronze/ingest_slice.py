"""Loads one slice of a claimed batch, and lands the batch when it was the last.

Slices are a set: each is recorded once, by whoever loaded it, and every delivery looks whether the set is whole. So a message may
come twice, a worker may die before or after it has recorded its slice, and the batch is landed exactly once.
"""

from dataclasses import replace
from functools import partial
from typing import Any

from pydantic import ValidationError

from events.commands import IngestSlice
from flowforge.bronze.announcements import landed_fact, no_rows_fact, slices_read, source_table
from flowforge.bronze.file_notes import give_up, look_again, note_files
from flowforge.bronze.file_slices import whole_file
from flowforge.bronze.finalize import settle, submit_again
from flowforge.bronze.heartbeat import Heartbeat, reading_permitted
from flowforge.bronze.key_reading import reader_of
from flowforge.bronze.landing import Landed, land, landed_before, manifest_of
from flowforge.bronze.outcome import Outcome
from flowforge.domain.batch import Batch
from flowforge.domain.errors import ChangesLost, Fatal, FileChanged, Wait
from flowforge.domain.given import given
from flowforge.domain.manifest import BronzeObject
from flowforge.sources.base import Source
from flowforge.sources.plans import ReadPlan
from flowforge.sources.registry import source_at
from flowforge.state import batch_records, batches, leases, slice_set


def ingest_slice(command: IngestSlice) -> Outcome:
    """Loads the command's slice, unless it is done; announces the batch when all are.

    A batch that was voided or committed meanwhile needs nothing any more; but where a person has put the message back, the
    table of a voided one is submitted again, for the same run. Raises Fatal for what no retry can mend (the batch is
    then given up), Wait while the source is read by as many as it allows, Retriable for the rest.
    """
    batch = batch_records.find_batch(command.source_key, command.generation, command.seq)
    if batch is None or batch.slices is None:
        raise Fatal(f"batch {command.seq} of {command.source_key} has no slices", "Submit the request again.")
    if batch.state == "landed":
        return Outcome([landed_fact(batch)])
    if batch.state == "voided" and command.replayed:
        return submit_again(batch)
    if batch.state != "claimed":
        return Outcome()
    try:
        return _load_and_settle(command, batch)
    except Wait:
        leases.renew(batch)  # its slices are under way, though none may be read now
        raise
    except (FileChanged, ChangesLost) as error:
        # Nothing of it counts: what is there now is planned by the table's own message.
        again = submit_again(batch)
        batches.abandon(batch)
        return replace(again, reason=f"{again.reason}: {error}")
    except Fatal as error:
        give_up(batch, error)
        raise


def _load_and_settle(command: IngestSlice, batch: Batch) -> Outcome:
    with reading_permitted(batch.command.connection), Heartbeat(partial(leases.renew, batch)):
        source = source_at(batch.command.connection)
        plan = source.resume(batch.interval, splits=batch.slices)
        if command.index not in slice_set.finished_slices(batch):
            _load(batch, source, plan, command.index)
        return _land_when_whole(command, source, plan)


def _load(batch: Batch, source: Source, plan: ReadPlan, index: int) -> None:
    is_file = bool(batch.interval.files)
    landed = landed_before(batch, index) if is_file else None
    if landed is None:  # each slice of a file has its object: a rebuild from bronze then knows that it is whole
        open_reader, even_empty = reader_of(batch, source, plan, index), is_file or batch.only_keys
        landed = land(batch, plan.columns, source_table(batch), open_reader, even_empty=even_empty, index=index)
    file = next(((one.rows, one.rejected, one.first_rejected) for one in landed.read.files), None)
    slice_set.finish_slice(batch, index, landed.object, landed.max_cursor, file)


def _land_when_whole(command: IngestSlice, source: Source, plan: ReadPlan) -> Outcome:
    batch = given(batch_records.find_batch(command.source_key, command.generation, command.seq))
    done, slices = slice_set.finished_slices(batch), given(batch.slices)
    if batch.state == "claimed" and len(done) == len(slices.ranges):
        found = [done[n] for n in sorted(done) if done[n]["object"]]
        landed = [Landed(BronzeObject(**one["object"]), one["max_cursor"]) for one in found]
        note_files(batch, whole_file(batch, done))
        if not landed:
            batches.close_empty(batch)
            return Outcome([no_rows_fact(batch)])
        manifest = manifest_of(batch, slices.columns, slices.primary_key, landed)
        return settle(batch, manifest, source, plan, batch.claimed_at)
    if batch.state == "landed":
        return Outcome([landed_fact(batch)])
    return Outcome(progress=[slices_read(batch, done)] if batch.state == "claimed" else [])


def give_up_slice(body: dict[str, Any]) -> None:
    """Marks the batch of a slice whose message is given up; a message that fits no contract has none."""
    try:
        command = IngestSlice.model_validate(body)
    except ValidationError:
        return
    batch = batch_records.find_batch(command.source_key, command.generation, command.seq)
    if batch:
        leases.fail(batch)
        look_again(batch.command)
