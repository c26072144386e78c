"""Takes the lines of `packing` apart again: Arrow arrays in the columns' canonical types, exactly or not at all."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from flowforge.domain.errors import SourceChanged

_PARSE = csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False)


class LineReader:
    """Reads the lines of one cell, whose columns are `fields` of the canonical schema."""

    def __init__(self, fields: Sequence[pa.Field]):
        self._fields = fields
        self._names = [str(n) for n in range(len(fields))]
        self._conversion = csv.ConvertOptions(
            column_types={n: _printed_type(field.type) for n, field in zip(self._names, fields, strict=True)},
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            check_utf8=False,  # encoded here
        )

    def arrays(self, lines: Sequence[str]) -> list[pa.Array]:
        """One array a column. Raises SourceChanged for lines that are not what was asked for."""
        # The last line ends too: Arrow would take an empty field before the end of the text for a quoted one.
        text = ("\n".join(lines) + "\n").encode()
        whole = csv.ReadOptions(use_threads=False, column_names=self._names, block_size=len(text) + 1)
        try:
            table = csv.read_csv(pa.py_buffer(text), whole, _PARSE, self._conversion)
            arrays = [_array(table.column(n), field) for n, field in enumerate(self._fields)]
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise self._refusal(type(error).__name__) from error
        if table.num_rows != len(lines):
            raise self._refusal(f"{len(lines)} lines are {table.num_rows} rows")
        return arrays

    def _refusal(self, why: str) -> SourceChanged:
        names = ", ".join(field.name for field in self._fields[:5])
        return SourceChanged(
            f"the values of columns {names} … are not of the described types: {why}",
            "the table changed while it was read: run the job again",
        )


def _printed_type(canonical: pa.DataType) -> pa.DataType:
    # An instant comes printed in UTC, without saying so.
    return pa.timestamp(canonical.unit) if pa.types.is_timestamp(canonical) else canonical


def _array(column: pa.ChunkedArray, field: pa.Field) -> pa.Array:
    values = pa.concat_arrays(column.chunks)
    if field.metadata[b"sql_type"] == b"uniqueidentifier":
        return pc.call_function("utf8_lower", [values])
    return values.cast(field.type)
