"""How many rows a reader fetches at once, so that a batch is bounded in bytes whatever the table looks like."""

from collections.abc import Sequence

import pyarrow as pa

from flowforge.domain.source_columns import SourceColumn
from flowforge.sources.sqlserver.sql_types import LARGE_OBJECT_BYTES, declared_bytes

BATCH_ROWS = 8_192  # several batches are under way at once; larger ones read no faster
BATCH_BYTES = 16 * 2**20  # of declared width: what one batch may take where every cell is as wide as it may be
LEAST_BATCH_ROWS = 256
FIRST_LARGE_ROWS = 16  # of a table with large objects, whose size nothing declares
LARGE_BATCH_BYTES = 2 * 2**20  # what such batches grow to; several are under way at once


class BatchRows:
    """How many rows to fetch next: `rows`.

    Declared widths bound a batch, except of large objects: those start with few rows and follow the size that arrives.
    """

    def __init__(self, columns: Sequence[SourceColumn], most: int = BATCH_ROWS):
        width = sum(declared_bytes(c.sql_type) for c in columns)
        self._most = max(1, min(most, max(LEAST_BATCH_ROWS, BATCH_BYTES // max(1, width))))
        self._adapts = any(declared_bytes(c.sql_type) == LARGE_OBJECT_BYTES for c in columns)
        self.rows = min(self._most, FIRST_LARGE_ROWS) if self._adapts else self._most

    def learn(self, batch: pa.RecordBatch) -> None:
        """Takes note of a batch that arrived."""
        if self._adapts and batch.num_rows:
            fitting = LARGE_BATCH_BYTES // max(1, batch.nbytes // batch.num_rows)
            self.rows = max(1, min(self._most, 2 * self.rows, fitting))
