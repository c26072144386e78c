"""The lake as the demo reads it: SQL over silver and gold, and bronze objects by a Parquet reader that is not ours."""

import io
from dataclasses import dataclass
from typing import Any

import boto3
from pyarrow import parquet

from flowforge.operations.query import QueryResult, query


@dataclass(frozen=True)
class Landed:
    """One bronze object."""

    rows: int
    columns: list[str]
    bytes: int


class Lake:
    """Reads one bucket with the credentials of this process's environment."""

    def __init__(self, bucket: str):
        self._bucket = bucket
        self._objects = boto3.client("s3")

    def answer(self, sql: str) -> QueryResult:
        """A query over silver and gold."""
        return query(sql, self._bucket)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Its rows."""
        return self.answer(sql).rows

    def bronze(self, key: str) -> Landed:
        """A bronze object, read whole."""
        content = self._objects.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        read = parquet.read_table(io.BytesIO(content))
        return Landed(read.num_rows, read.column_names, len(content))
