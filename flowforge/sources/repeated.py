"""Columns that have one value in all rows of a batch, as batches carry them to the encoder.

A text is there once, as a dictionary with a place a row: nobody compares or copies it for each row. That is a tenth of the time
from CSV to Parquet. What is stored is a text all the same (`stored`).
"""

from typing import Any

import pyarrow as pa

ONE_TEXT = pa.dictionary(pa.int32(), pa.string())


def repeated(value: pa.Scalar, rows: int) -> pa.Array:
    """A value in so many rows, of `given_type`."""
    if not pa.types.is_string(value.type):
        return pa.repeat(value, rows)
    places: Any = pa.repeat(pa.scalar(0, pa.int32()), rows) if value.is_valid else pa.nulls(rows, pa.int32())
    return pa.DictionaryArray.from_arrays(places, pa.array([value.as_py()] if value.is_valid else [], pa.string()))


def given_type(kind: pa.DataType) -> pa.DataType:
    """How the encoder is given values that are all the same."""
    return ONE_TEXT if pa.types.is_string(kind) else kind


def stored(schema: pa.Schema) -> pa.Schema:
    """The schema with the types that are stored and read."""
    fields = [field.with_type(pa.string()) if field.type == ONE_TEXT else field for field in schema]
    return pa.schema(fields, metadata=schema.metadata)
