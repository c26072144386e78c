"""Whether a state and its lake go together, before a batch is claimed and again before it counts as landed.

A state may be lost, or restored to an earlier moment; a lake may be copied, replaced, or filled by another deployment. Then the
state's next batch would have the place of one that the lake holds, and its rows would lose against older ones in silence.

Guarantees: a batch stands above all that the lake holds, in a new generation where the state does not know that, or the table is
refused by name with the command that mends it. Nothing of this asks more than one object for a state that the lake knows.
"""

from datetime import UTC, datetime
from typing import NamedTuple

from events.commands import IngestTable
from flowforge.bronze.announcements import source_table
from flowforge.bronze.lake_contents import ask_lake
from flowforge.domain.batch import Batch
from flowforge.domain.errors import LakeChanged, StoreUnavailable
from flowforge.domain.interval import Interval
from flowforge.runtime.settings import settings
from flowforge.sources.registry import source_at
from flowforge.state import batch_records
from flowforge.state.folded import read_folded
from flowforge.state.lake_head import Head, Mark, marks_of, read_head, replace_head
from flowforge.state.table import TableState

KEEPS_ALL = ("append", "scd2")  # strategies whose tables hold more than the source's present rows


class Footing(NamedTuple):
    """The state to claim with, the ETag of the lake's head (empty: none), and what the run should tell."""

    state: TableState
    etag: str = ""
    notes: tuple[str, ...] = ()


def find_footing(state: TableState, command: IngestTable, interval: Interval, name: str) -> Footing:
    """Compares a state with its lake before the interval of source table `name` is claimed. Raises LakeChanged."""
    head = read_head(settings().bucket, state.source_key)
    if head is None and state.landed is not None:
        raise _behind(state, command, name, "nothing of the table")
    if head is None and state.seq == 0:
        head = ask_lake(settings().bucket, state.source_key, command.silver.table)
    if head is None:
        return Footing(state)
    if is_known(state, head):
        if state.landed is not None and head.order < state.landed.order:
            raise _behind(state, command, name, f"batch {head.seq} of generation {head.generation} as the newest")
        return Footing(state, head.etag)
    if state.seq and state.epoch and head.epoch not in ("", state.epoch):
        raise LakeChanged(
            f"{name}: another deployment has loaded it into this lake: {_described(head)}",
            "Only one deployment may load a table into a lake, or give this one a bronzeConfig.tableName and silver table of its "
            f"own. Once the other one has stopped: {_rebuild(command)}.",
        )
    _refuse_gaps(head, command, interval, name)
    return Footing(_above(state, head), head.etag, (_note(head, interval),))


def is_known(state: TableState, head: Head) -> bool:
    """Whether the lake's newest batch is one of this state."""
    if state.landed is not None and state.landed.claim == head.claim:
        return True
    batch = batch_records.find_batch(state.source_key, head.generation, head.seq)
    if batch is None and head.epoch in ("", state.epoch):
        return head.order <= read_folded(state.source_key).order
    return batch is not None and batch.claim == head.claim


def take_lead(batch: Batch, state: TableState) -> None:
    """Makes a batch, all of whose objects are in bronze, the lake's newest; it may then count as landed.

    Raises LakeChanged where the lake's head is not the one that the batch was claimed above: another deployment has landed a
    batch meanwhile; StoreUnavailable where S3 refuses though it is. May be called again.
    """
    if not batch.claim:  # claimed by a version before
        return
    marks = marks_of(state)  # what is committed; this batch may still be voided
    if batch.moves_watermark and batch.interval.column and batch.interval.high:
        marks.setdefault(batch.interval.column, Mark(value=batch.interval.high, sql_type=batch.interval.sql_type))
    mine = Head(
        source_key=batch.source_key,
        epoch=batch.epoch,
        generation=batch.generation,
        seq=batch.seq,
        claim=batch.claim,
        run_id=batch.command.run_id,
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        watermarks=marks,
    )
    if replace_head(settings().bucket, mine, batch.lake):
        return
    head = read_head(settings().bucket, batch.source_key)
    if head is not None and head.claim == batch.claim:
        return
    if (
        head.etag if head else ""
    ) == batch.lake:  # 409: S3 was at the object for somebody else, or for our own call before
        raise StoreUnavailable(f"S3: {batch.name}: its head is being written", "The message is delivered again.")
    there = _described(head) if head else "its head is gone"
    raise LakeChanged(
        f"{source_table(batch)}: the lake changed while {batch.name} was read: {there}",
        "Only one deployment may load a table into a lake. Once the other one has stopped, submit the request again.",
    )


def _above(state: TableState, head: Head) -> TableState:
    following = {
        "generation": max(state.generation, head.generation) + 1,
        "seq": max(state.seq, head.seq),
        "landed": head.landed if head.etag else None,
        "resumed": True,
    }
    return state.model_copy(update=following)


def _refuse_gaps(head: Head, command: IngestTable, interval: Interval, name: str) -> None:
    """Refuses what reading again would not mend: states of rows that only bronze has, and rows below a bound that nobody read."""
    known = f"{name}: the lake holds batches that the watermark table does not know ({_described(head)})"
    if command.silver.strategy in KEEPS_ALL:
        raise LakeChanged(
            f"{known}, and silver.{command.silver.table} keeps what the source no longer has ({command.silver.strategy})",
            f"{_rebuild(command)} goes on where bronze ended; then replay, or submit the request again. Where bronze has been "
            "deleted, load into a new silver table (silverConfig.tableName).",
        )
    if interval.column is None or interval.low is None:
        return
    if head.watermarks is None:
        raise LakeChanged(
            f"{known}; how far they reach is not known, and this load begins at {interval.low} of {interval.column} only",
            "Send the request once without lastWatermark: all is then read again.",
        )
    mark = head.watermarks.get(interval.column)
    order = source_at(command.connection).order(interval.sql_type)
    if mark and (mark.sql_type != interval.sql_type or order(mark.value) < order(interval.low)):
        raise LakeChanged(
            f"{known} up to {mark.value} of {interval.column}; a load from {interval.low} on would leave out what lies between",
            f"{_rebuild(command)} goes on where bronze ended; then replay, or submit the request again.",
        )


def _note(head: Head, interval: Interval) -> str:
    again = f"from {interval.low} of {interval.column} on" if interval.low else "from the beginning"
    return (
        f"the lake holds batches that the watermark table does not know ({_described(head)}): it was lost or restored; all is "
        f"read again {again}, in a new generation"
    )


def _behind(state: TableState, command: IngestTable, name: str, held: str) -> LakeChanged:
    landed, bucket = state.landed, settings().bucket
    assert landed is not None  # noqa: S101
    return LakeChanged(
        f"{name}: the watermark table has committed batch {landed.seq} of generation {landed.generation}, and the lake "
        f"s3://{bucket} has {held}: another lake, or one of an earlier moment",
        "Name the lake that holds it; or load all again into this one: flowforge watermark reset "
        f"{command.bronze.table} --yes; or, if nothing is missing: flowforge watermark accept {command.bronze.table}.",
    )


def _rebuild(command: IngestTable) -> str:
    return f"flowforge watermark rebuild --table {command.bronze.table} --write"


def _described(head: Head) -> str:
    at = f", {head.at}" if head.at else ""
    run = f", {head.run_id}{at}" if head.run_id else ""
    return f"newest: generation {head.generation}, batch {head.seq}{run}"
