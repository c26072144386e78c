"""Announcements made from a batch's record alone, so that they can be made again at any time."""

from events.facts import BronzeLanded
from flowforge.state.batch import Batch, Manifest


def landed_fact(batch: Batch, seconds: float = 0.0) -> BronzeLanded:
    """The announcement of a landed batch, from its record alone."""
    manifest: Manifest = batch.manifest  # type: ignore[assignment]
    first = manifest.objects[0]
    return BronzeLanded(
        run_id=batch.command.run_id,
        bronze_table=batch.command.bronze.table,
        source_key=batch.source_key,
        generation=batch.generation,
        seq=batch.seq,
        source_table=source_table(batch),
        batch_id=batch.label,
        bronze_file_path=f"s3://{manifest.bucket}/{first.key}",
        bronze_key=first.key,
        records=manifest.rows,
        columns=len(manifest.columns) + 5 * manifest.audit_columns,
        file_size_bytes=manifest.bytes,
        cursor_column=batch.interval.column,
        low=batch.interval.low,
        watermark_value=batch.interval.high,
        max_cursor_value=manifest.max_cursor_value,
        promise=batch.interval.promise,
        seconds=round(seconds, 3),
    )


def source_table(batch: Batch) -> str:
    """The source table's name, from the source key."""
    return batch.source_key.rpartition(">")[0].split("/", 2)[2]
