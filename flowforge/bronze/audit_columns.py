"""The audit columns of an object that have one value in all of its rows, but for those that a source brings itself."""

import base64
from collections.abc import Sequence
from datetime import UTC, datetime

import pyarrow as pa

from flowforge.domain.batch import Batch
from flowforge.sources.repeated import given_type, repeated

AUDIT = (
    pa.field("_batch_id", pa.string()),
    pa.field("_ingestion_time", pa.timestamp("us", tz="UTC")),
    pa.field("_source_system", pa.string()),
    pa.field("_source_file", pa.string()),
    pa.field("_file_modified_time", pa.timestamp("us", tz="UTC")),
)
SCHEMA_ENTRY = "ARROW:schema"  # where Arrow's readers find a file's types


class AuditColumns:
    """The columns but those named in `brought`, as the encoder is given them."""

    def __init__(self, batch: Batch, source_file: str, brought: Sequence[str]):
        values = [batch.label, datetime.now(UTC), batch.command.connection.address, source_file, None]
        told = [(field, value) for field, value in zip(AUDIT, values, strict=True) if field.name not in brought]
        wanted = told if batch.command.bronze.audit_columns else []
        self._values = [pa.scalar(value, field.type) for field, value in wanted]
        self.fields = [field.with_type(given_type(field.type)) for field, _ in wanted]
        self._arrays: list[pa.Array] = []

    def of(self, rows: int) -> list[pa.Array]:
        """The columns of so many rows: slices of the same arrays for every batch."""
        if self._values and (not self._arrays or len(self._arrays[0]) < rows):
            self._arrays = [repeated(value, rows) for value in self._values]
        return [array.slice(0, rows) for array in self._arrays]


def schema_entry(schema: pa.Schema) -> bytes:
    """What Arrow keeps of a schema in a file's footer: its IPC message in base64 (`store_schema` of ParquetWriter)."""
    return base64.b64encode(schema.serialize())
