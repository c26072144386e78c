"""From an event to the batch that it tells of, and from a batch's record to the events about it, again at any time."""

from collections.abc import Sequence
from typing import Any

from events.facts import BatchEvent, BronzeLanded, IntervalEmpty, SlicesRead, StepFailed
from flowforge.aws.compact import unpack
from flowforge.aws.items import Item
from flowforge.domain.alone import Failure
from flowforge.domain.batch import Batch
from flowforge.domain.column_types import ColumnType, parse_type
from flowforge.domain.errors import Retriable
from flowforge.domain.given import given
from flowforge.domain.manifest import Manifest
from flowforge.domain.source_columns import SourceColumn
from flowforge.domain.source_key import SourceKey
from flowforge.sources.registry import source_at
from flowforge.state.batch_records import find_batch


def landed_batch(fact: BatchEvent, read: Batch | None = None) -> Batch | None:
    """The landed batch that an event tells of; None when a correction by hand has voided it. `read` is a batch of the table that
    was read just now: it is not read again if it is the one.

    Raises Retriable while its manifest is not recorded.
    """
    place = (fact.source_key, fact.generation, fact.seq)
    is_read = read is not None and (read.source_key, read.generation, read.seq) == place
    batch = read if is_read else find_batch(fact.source_key, fact.generation, fact.seq)
    if batch is not None and batch.state == "voided":
        return None
    if batch is None or batch.manifest is None:
        raise Retriable(f"batch {fact.seq} of {fact.source_key} is not recorded as landed yet")
    return batch


def about(batch: Batch) -> dict[str, Any]:
    """The fields by which every event about a batch names it."""
    return {
        "run_id": batch.command.run_id,
        "bronze_table": batch.command.bronze.table,
        "source_key": batch.source_key,
        "generation": batch.generation,
        "seq": batch.seq,
    }


def landed_fact(batch: Batch, seconds: float = 0.0) -> BronzeLanded:
    """The announcement of a landed batch, from its record alone."""
    manifest = given(batch.manifest)
    first = manifest.objects[0]
    return BronzeLanded(
        **about(batch),
        source_table=source_table(batch),
        batch_id=batch.label,
        bronze_file_path=f"s3://{manifest.bucket}/{first.key}",
        bronze_key=first.key,
        records=manifest.rows,
        columns=len(manifest.columns) + len(batch.audit),
        file_size_bytes=manifest.bytes,
        cursor_column=batch.interval.column,
        low=batch.interval.low,
        watermark_value=batch.watermark_after,
        max_cursor_value=manifest.max_cursor_value,
        promise=batch.interval.promise,
        consistency=_consistency(batch, manifest),
        source_rows=manifest.count.rows,
        counted=manifest.count.how,
        counted_at=manifest.count.at or None,
        notes=[*batch.interval.notes, *_read_notes(manifest), *_rows_left(manifest), *_cut_times(manifest.columns)],
        only_keys=batch.only_keys,
        cut=batch.interval.cut.version if batch.interval.cut else None,
        seconds=round(seconds, 3),
    )


def slices_read(batch: Batch, done: dict[int, dict[str, Any]]) -> SlicesRead:
    """How far a batch in slices has come; `done` are those of its set, see `slice_set`."""
    rows = sum(one["object"]["rows"] for one in done.values() if one["object"])
    return SlicesRead(**about(batch), slices=len(given(batch.slices).ranges), done=len(done), records=rows)


def _read_notes(manifest: Manifest) -> list[str]:
    return list(dict.fromkeys(note for one in manifest.objects for note in one.read_notes))


def _cut_times(columns: Sequence[SourceColumn]) -> list[str]:
    """What silver cannot hold of them: its engine reads times of day in microseconds (see `engines.duckdb.types`)."""
    cut = [column.name for column in columns if parse_type(column.type) == ColumnType("time", digits=7)]
    verb = "is" if len(cut) == 1 else "are"
    told = "silver and gold have the first six digits of its seconds, bronze has all seven"
    return [f"{', '.join(cut)} {verb} time(7): {told}"] if cut else []


def _consistency(batch: Batch, manifest: Manifest) -> str:
    held = source_at(batch.command.connection).weakest([one.consistency for one in manifest.objects])
    return f"{held} per slice" if held and len(manifest.objects) > 1 else held


def _rows_left(manifest: Manifest) -> list[str]:
    left = manifest.count.left
    return [f"{left} rows of the interval were changed or deleted at the source since they were read"] if left else []


def source_table(batch: Batch) -> str:
    """The source table's name, from the source key."""
    return SourceKey.parse(batch.source_key).source_table


def no_rows_fact(batch: Batch, read_notes: Sequence[str] = ()) -> IntervalEmpty:
    """The announcement of a batch that had no rows; `read_notes` tell of how they were looked for."""
    kept = "; what silver holds is kept (allowEmptyRefresh true would empty it)" if batch.refreshes else ""
    where = (
        f"nothing is new at {batch.interval.low}, the last number that was loaded, and nothing is above it"
        if batch.interval.known
        else f"no rows from {batch.interval.low or 'the beginning'} up to {batch.interval.high}"
        if batch.interval.column
        else "no rows"
    )
    return IntervalEmpty(
        **about(batch),
        source_table=source_table(batch),
        reason=where + kept,
        promise=batch.interval.promise,
        notes=[*batch.interval.notes, *read_notes],
        watermark_value=batch.watermark_before,
    )


def swept_in_vain(item: Item, failure: Failure[Any]) -> StepFailed | None:
    """What to tell the run of a stored batch that cannot be followed up; None where the record does not even name its run."""
    try:
        command = unpack(item["command"])
        run_id, bronze_table = str(command["run_id"]), str(command["bronze"]["table"])
    except (KeyError, TypeError, ValueError):
        return None
    step = "ingest" if item.get("state") == "claimed" else "gold" if item.get("refined") else "silver"
    error = type(failure.error).__name__
    return StepFailed(
        run_id=run_id, bronze_table=bronze_table, step=step, error=error, cause=failure.cause, remedy=failure.remedy
    )
