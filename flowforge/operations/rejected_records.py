"""All records of a file that did not land, as its load has kept them: a Parquet object for its batch, or one for each slice.

Reading changes nothing. Memory is that of a portion of rows, however many there are.
"""

from collections.abc import Iterator
from itertools import chain, islice
from typing import Any

import pyarrow.parquet as pq

from flowforge.aws.stored_files import list_files, open_file
from flowforge.domain.file_version import FileVersion

COLUMNS = ("line", "byte_offset", "row_number", "column", "reason", "raw")
ROWS_AT_ONCE = 500  # a text has up to 64 Ki characters


def first_rejects(bucket: str, report: dict[str, Any], most: int) -> list[dict[str, Any]]:
    """The first rejected records of a file's version, by its report (`file_outcomes`), in the order of the file; fewer than were
    counted where objects are gone. Their `raw` is None where the table protects columns. Raises StoreUnavailable, FileChanged.
    """
    key = report["file"].removeprefix("s3://").partition("/")[2]
    versions = {report["version_id"], report["etag"]}
    found = chain.from_iterable(_rows_of(one) for one in _objects(bucket, report["rejects_at"]))
    own = (row for row in found if row["file"] == key and row["version"] in versions)
    hidden = {"raw": None} if report.get("protects") else {}
    return [{name: row[name] for name in COLUMNS} | hidden for row in islice(own, most)]


def _objects(bucket: str, place: str) -> Iterator[FileVersion]:
    """The batch's own object, or those of its slices in their order."""
    for one in chain(list_files(bucket, f"{place}.parquet"), list_files(bucket, f"{place}/")):
        if one.key.endswith(".parquet"):
            yield one


def _rows_of(one: FileVersion) -> Iterator[dict[str, Any]]:
    with open_file(one) as stream, pq.ParquetFile(stream) as parquet:
        for rows in parquet.iter_batches(ROWS_AT_ONCE):
            yield from rows.to_pylist()
