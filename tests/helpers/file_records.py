"""The records of a text under a contract, read and rejected."""

import io
from typing import Any

from events.files import FileContract
from flowforge.sources.files.container import look_into
from flowforge.sources.files.records import open_records
from flowforge.sources.files.rejected import Rejected

Row = list[str | None]


def read(data: bytes, **contract: Any) -> tuple[list[str], list[Row], list[Rejected]]:
    """The fields, rows and rejects of a content; the records counted are always all of these."""
    content = look_into("landing/a.csv", len(data), lambda: io.BytesIO(data))
    rows: list[Row] = []
    rejected: list[Rejected] = []
    numbers: list[int] = []
    with open_records(content, FileContract(**{"format": "csv", **contract})) as records:
        for portion in records:
            rows += map(list, zip(*(column.to_pylist() for column in portion.texts.columns), strict=True))
            numbers += [*portion.row_numbers.to_pylist(), *(one.row_number for one in portion.rejected)]
            rejected += portion.rejected
        assert records.counted() == len(rows) + len(rejected)
        assert sorted(numbers) == list(range(1, len(numbers) + 1))
        return records.fields, rows, rejected
