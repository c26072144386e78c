"""Batches as loads claim and land them."""

from flowforge.domain.batch import Batch
from flowforge.domain.interval import Interval
from flowforge.domain.manifest import BronzeObject, Manifest
from flowforge.domain.source_columns import SourceColumn
from flowforge.domain.source_key import SourceKey
from flowforge.state import claims, table
from tests.helpers.commands import command

INTERVAL = Interval(column="modified", sql_type="datetime", low=None, high="2025-01-01 00:00:00.000")


def claim(name: str, run_id: str, interval: Interval = INTERVAL, batch_id: str = "nightly") -> Batch:
    wanted = command(name, run_id, batch_id)
    key = str(SourceKey.of(wanted.connection, "dbo", name, wanted.bronze.table))
    return claims.claim(table.read_state(key), wanted, f"dbo.{name}", interval, {"object_id": 7}, [])


def manifest(batch: Batch) -> Manifest:
    key = f"bronze/{batch.command.bronze.table}/{batch.label}.parquet"
    columns = [SourceColumn(name="id", sql_type="int")]
    return Manifest(
        bucket="lake", objects=[BronzeObject(key=key, etag='"e"', rows=3, bytes=9)], rows=3, bytes=9, columns=columns
    )
