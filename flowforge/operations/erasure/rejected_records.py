"""Records of files that did not land, where their text may be of the person: the text goes, place and reason stay.

Their key was perhaps never read, so the values are looked for in the text: as words of their own, in any case. Where a value may
be written in many ways (a date, a decimal number, bytes), or a text was cut, the text goes: the files themselves still have it.
"""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from flowforge.bronze.keys import folders
from flowforge.operations.erasure.bronze_objects import downloaded, keys_below, replacing
from flowforge.operations.erasure.subject import Subject

RAW = "raw"


def rejects_of(bucket: str, bronze_table: str) -> list[str]:
    """The keys of a table's objects of rejects."""
    prefixes = ["rejected/" + folder.removeprefix("bronze/") for folder in folders(bronze_table)]
    return [one["Key"] for prefix in prefixes for one in keys_below(bucket, prefix) if one["Key"].endswith(".parquet")]


def texts_of(subject: Subject, bucket: str, key: str, erase: bool) -> int:
    """How many rejects of an object have a text that may be of the person; with `erase` they have none afterwards.

    Memory is that of one row group. Raises StoreUnavailable where the object was replaced meanwhile.
    """
    with downloaded(bucket, key) as found, pq.ParquetFile(found.path) as parquet:
        if RAW not in parquet.schema_arrow.names:
            return 0
        count = sum(sum(_theirs(subject, rows)) for rows in _groups(parquet, [RAW]))
        if erase and count:
            with replacing(bucket, key, found.etag, found.metadata) as writer:
                _copy(subject, parquet, writer)
        return count


def _groups(parquet: pq.ParquetFile, columns: list[str] | None = None) -> Iterator[pa.Table]:
    return (parquet.read_row_group(group, columns=columns) for group in range(parquet.num_row_groups))


def _theirs(subject: Subject, rows: pa.Table) -> list[bool]:
    return [text is not None and subject.is_in(text) for text in rows.column(RAW).to_pylist()]


def _copy(subject: Subject, parquet: pq.ParquetFile, sink: Any) -> None:
    schema = parquet.schema_arrow
    place = schema.get_field_index(RAW)
    with pq.ParquetWriter(pa.PythonFile(sink, mode="w"), schema, compression="zstd") as writer:
        for rows in _groups(parquet):
            gone = _theirs(subject, rows)
            texts = [None if one else text for one, text in zip(gone, rows.column(RAW).to_pylist(), strict=True)]
            writer.write_table(rows.set_column(place, schema.field(place), pa.array(texts, pa.string())))
