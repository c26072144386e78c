"""Encodes record batches as Parquet, with the audit columns and a footer that explains the object.

The footer's `flowforge` entry is JSON: run, batch identity, interval, source types, row count. An object can be recognised, and a
watermark table rebuilt, from it alone.
"""

import ctypes
import json
from contextlib import suppress
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from flowforge.bronze.audit_columns import SCHEMA_ENTRY, AuditColumns, schema_entry
from flowforge.bronze.last_rows import LastRows
from flowforge.domain.batch import FOOTERS, Batch
from flowforge.domain.column_types import MICROSECONDS, parse_type
from flowforge.domain.errors import UnsupportedSource
from flowforge.domain.interval import Interval
from flowforge.domain.source_columns import SourceColumn
from flowforge.domain.source_key import is_of_files
from flowforge.sources.repeated import stored
from flowforge.sources.reports import ReadReport

FOOTER = "flowforge"
ROWS_PER_GROUP = 65_536
BYTES_PER_GROUP = 32 * 2**20  # uncompressed; what readers like, and what bounds the encoder's memory
LONG_BATCH = BYTES_PER_GROUP // 3  # of a few long rows: it is a row group, and is not held until another one is there
# A dictionary that grows past this holds values that hardly repeat: giving up early saves a third of the encoder's time and
# an eighth of the file against Arrow's 1 MiB.
DICTIONARY_BYTES = 32 * 2**10

# Each write to a Python file waits for the interpreter's lock, which the reader's driver holds half of its time: 40 writes for a
# million rows of the bank table, not 3,200.
BYTES_PER_WRITE = 2 * 2**20

# The system's allocator gives memory back that Arrow's own keeps: a tenth less at the peak of a large table, and no slower.
pa.set_memory_pool(pa.system_memory_pool())

# glibc gives large blocks back to the system until it has freed one: from then on it keeps those up to its size. With a limit of
# ours it goes on giving them back (mallopt(3)): 65 MB less where records are long, nothing where they are not. Of small blocks it
# would then give back all but 128 KB, and fault them in again for the next batch: half of a CSV's page faults.
MMAP_THRESHOLD, LARGE_BLOCK = -3, 4 * 2**20
TRIM_THRESHOLD, KEPT_FREE = -1, 6 * 2**20
with suppress(AttributeError, OSError):  # another C library
    _glibc = ctypes.CDLL(None)
    _glibc.mallopt(MMAP_THRESHOLD, LARGE_BLOCK)
    _glibc.mallopt(TRIM_THRESHOLD, KEPT_FREE)


FACTS_OF_READ = ("consistency", "null_cursors", "source_rows", "counted_at", "last_rows", "read_notes")


class Encoder:
    """Writes batches of one schema into one Parquet file.

    Resource management: `close` completes the file; without it the bytes are not a Parquet file.
    """

    def __init__(
        self,
        sink: Any,
        schema: pa.Schema,
        batch: Batch,
        columns: list[SourceColumn],
        source_file: str,
        index: int | None = None,
    ):
        self.batch, self.columns, self.index = batch, columns, index
        self._own = len(columns)
        self._audit = AuditColumns(batch, source_file, schema.names[self._own :])
        self._written = self._with_audit(schema)
        self.schema = stored(self._written)
        self.rows, self.null_cursors, self.max_cursor = 0, 0, None
        self._last_rows = LastRows(batch.interval)
        self._pending, self._pending_bytes = [], 0
        self._sink = pa.BufferedOutputStream(pa.PythonFile(sink, mode="w"), BYTES_PER_WRITE)
        statistics: Any = _with_statistics(self.schema) if is_of_files(batch.source_key) else True
        self._writer = pq.ParquetWriter(
            self._sink,
            self._written,
            compression=batch.command.bronze.compression,
            dictionary_pagesize_limit=DICTIONARY_BYTES,
            write_statistics=statistics,
            store_schema=False,
        )

    def _with_audit(self, schema: pa.Schema) -> pa.Schema:
        source, brought = list(schema)[: self._own], list(schema)[self._own :]
        names = {field.name for field in source}
        taken = [field.name for field in self._audit.fields if field.name in names]
        if taken:
            raise UnsupportedSource(
                f"{self.batch.source_key}: the source has columns named like audit columns: {', '.join(taken)}",
                "Send bronzeConfig.auditColumns false for this table.",
            )
        return pa.schema([*source, *self._audit.fields, *brought], metadata=schema.metadata)

    def write(self, batch: pa.RecordBatch) -> None:
        """Adds rows; a row group is written when enough have come together."""
        if batch.num_rows == 0:
            return
        self._see_cursor(batch)
        self.rows += batch.num_rows
        columns = [*batch.columns[: self._own], *self._audit.of(batch.num_rows), *batch.columns[self._own :]]
        self._pending.append(pa.RecordBatch.from_arrays(columns, schema=self._written))
        self._pending_bytes += batch.nbytes
        full = self._pending_bytes >= BYTES_PER_GROUP or batch.nbytes >= LONG_BATCH
        if full or sum(b.num_rows for b in self._pending) >= ROWS_PER_GROUP:
            self._flush()

    def _flush(self) -> None:
        if self._pending:
            rows = pa.Table.from_batches(self._pending, self._written).unify_dictionaries()  # of several files
            self._writer.write_table(rows, row_group_size=ROWS_PER_GROUP)
            del rows
            self._pending, self._pending_bytes = [], 0

    def _see_cursor(self, batch: pa.RecordBatch) -> None:
        column = self.batch.interval.column
        if column is None:
            return
        values = batch.column(batch.schema.get_field_index(column))
        self.null_cursors += values.null_count
        self._last_rows.add(batch)
        if pa.types.is_fixed_size_binary(values.type):
            values = values.cast(pa.binary())
        newest = pc.call_function("max", [values])
        if newest.is_valid and (self.max_cursor is None or newest.as_py() > self.max_cursor.as_py()):
            self.max_cursor = newest

    @property
    def newest(self) -> str | None:
        """The newest cursor value so far, as SQL Server prints it."""
        cursor = next((c for c in self.columns if c.name == self.batch.interval.column), None)
        return cursor_literal(self.max_cursor, parse_type(cursor.type).digits if cursor else MICROSECONDS)

    def facts_of_read(self, told: ReadReport) -> dict[str, Any]:
        """What is known of the read that brought the rows, under the names that the footer and a BronzeObject have for it."""
        counted = {"source_rows": told.counted.rows, "counted_at": told.counted.at} if told.counted else {}
        last = {"last_rows": self._last_rows.digest} if self._last_rows.digest else {}
        notes = {"read_notes": list(told.notes)} if told.notes else {}
        return {"consistency": told.consistency, "null_cursors": self.null_cursors, **counted, **last, **notes}

    def close(self, told: ReadReport = ReadReport()) -> None:  # noqa: B008  immutable
        """Writes the last row group and the footer, with what the read knows of itself."""
        self._flush()
        facts = footer(self.batch, self.columns, self.rows, self.index)
        facts |= {"max_cursor_value": self.newest, **self.facts_of_read(told)}
        if told.files:
            facts["files"] = [(one.rows, one.rejected, one.first_rejected) for one in told.files]
        if told.types:
            facts["types"] = [one.model_dump(exclude_defaults=True) for one in told.types]
        self._writer.add_key_value_metadata({FOOTER: json.dumps(facts), SCHEMA_ENTRY: schema_entry(self.schema)})
        self._writer.close()
        self._sink.detach()  # writes what is left, and leaves the sink open


def _with_statistics(schema: pa.Schema) -> list[str]:
    """The columns of files that have statistics: all but texts, whose least and greatest tell a reader little. They take an
    eighth of the time from CSV to Parquet, and several times the memory of a long text."""
    return [field.name for field in schema if not pa.types.is_string(field.type)]


def footer(batch: Batch, columns: list[SourceColumn], rows: int, index: int | None = None) -> dict[str, Any]:
    """The facts that an object carries about itself."""
    command = batch.command
    return {
        "version": FOOTERS,  # since 2: label, command, watermark_before, and primary_key in identity; since 3: claimed_at
        "run_id": command.run_id,
        "workflow_id": command.workflow_id,
        "job_id": command.job_id,
        "batch_id": command.batch_id,
        "source_key": batch.source_key,
        "generation": batch.generation,
        "seq": batch.seq,
        "claim": batch.claim,
        "claimed_at": batch.claimed_at,
        "epoch": batch.epoch,
        "slice": index or 0,
        "slices": len(batch.slices.ranges) if batch.slices else 1,
        "interval": batch.interval.model_dump(),
        "identity": batch.identity,
        "label": batch.label,
        "command": json.loads(command.model_dump_json()),
        "watermark_before": batch.watermark_before,
        "rows": rows,
        "columns": [column.model_dump() for column in columns],
    }


def same_batch(found: dict[str, Any], batch: Batch, index: int | None = None) -> bool:
    """Whether a footer is that of this very batch, interval and slice."""
    mine = footer(batch, [], 0, index)
    found = {"claim": "", **found}
    try:
        interval = Interval.model_validate(found.get("interval"))  # a version before has left out what it did not know
    except ValueError:
        return False
    names = ("source_key", "generation", "seq", "claim", "slice", "slices")
    return interval == batch.interval and all(found.get(name) == mine[name] for name in names)


def read_footer(source: Any) -> dict[str, Any] | None:
    """The `flowforge` entry of a Parquet file's footer; None when it has none."""
    metadata = pq.ParquetFile(source).metadata.metadata or {}
    entry = metadata.get(FOOTER.encode())
    return json.loads(entry) if entry else None


def cursor_literal(value: pa.Scalar | None, digits: int) -> str | None:
    """The newest cursor value as SQL Server prints it (style 121; hex for bytes), a time with so many digits of its seconds."""
    if value is None:
        return None
    plain = value.as_py()
    if isinstance(plain, bytes):
        return "0x" + plain.hex().upper()
    if not isinstance(plain, datetime):
        return str(plain)
    text = plain.strftime("%Y-%m-%d %H:%M:%S").rjust(19, "0")
    fraction = f"{plain.microsecond:06d}".ljust(7, "0")[:digits]
    return (f"{text}.{fraction}" if digits else text) + (" +00:00" if plain.tzinfo else "")
