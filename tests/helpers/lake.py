"""A lake for one test: bronze batches as ingestion leaves them behind, written with pyarrow."""

import json
import uuid
from io import BytesIO
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from events.commands import IngestTable
from flowforge.bronze.parquet import FOOTER, footer
from flowforge.domain.batch import FOOTERS, Batch
from flowforge.domain.given import given as present
from flowforge.domain.interval import Interval
from flowforge.domain.manifest import BronzeObject, Manifest
from flowforge.domain.source_columns import SourceColumn
from flowforge.engines.registry import ENGINE
from flowforge.tables.delta.tables import Delta, Handle
from flowforge.tables.lake import open_table, table_uri
from flowforge.tables.rows import relation
from tests.helpers.outside import bucket_prefix


def delta_table(uri: str) -> Handle:
    """A table as delta-rs has it, for what only Delta has."""
    newest = present(Delta().open(uri))
    return newest.at(newest.version())


class Source:
    """A made-up source table whose batches land in a bucket: what ingestion would have left behind."""

    def __init__(self, s3: Any, bucket: str, table: str = "customers", **settings: Any):
        self.s3, self.bucket, self.table = s3, bucket, table
        self.settings = settings

    def batch(self, seq: int, data: pa.Table | list[pa.Table], generation: int = 1, **changes: Any) -> Batch:
        """Lands `data` (one object each) and returns the record of the batch."""
        given = {**self.settings, **changes}
        parts = data if isinstance(data, list) else [data]
        prefix = f"bronze/bronze_{self.table}/{given.get('label', f'day=1+{generation}-{seq}')}"
        objects = [self._land(f"{prefix}/part-{n:05}.parquet", part) for n, part in enumerate(parts)]
        audit = given.get("audit", [])
        names = [name for name in parts[0].schema.names if name not in audit]
        return Batch(
            source_key=given.get("source_key", f"srv/db/dbo.{self.table}/bronze_{self.table}"),
            generation=generation,
            seq=seq,
            state="committed",
            token="t",
            lease_until=0,
            label=f"b{seq}",
            claimed_at=given.get("claimed_at", 1_700_000_000 + 3600 * seq),
            interval=Interval(column=given.get("cursor")),
            command=self._command(given),
            manifest=Manifest(
                bucket=self.bucket,
                objects=objects,
                rows=sum(part.num_rows for part in parts),
                bytes=sum(item.bytes for item in objects),
                columns=[
                    SourceColumn(**{"name": name, "sql_type": "int", **given.get("columns", {}).get(name, {})})
                    for name in names
                ],
                primary_key=given.get("key", []),
                unique_keys=given.get("unique_keys", []),
                audit_columns=bool(audit),
            ),
        )

    def _land(self, key: str, part: pa.Table) -> BronzeObject:
        buffer = BytesIO()
        pq.write_table(part, buffer)
        etag = self.s3.put_object(Bucket=self.bucket, Key=key, Body=buffer.getvalue())["ETag"]
        return BronzeObject(key=key, etag=etag, rows=part.num_rows, bytes=len(buffer.getvalue()))

    def _command(self, given: dict[str, Any]) -> IngestTable:
        silver = {"table": given.get("silver_table", self.table), "strategy": given.get("strategy", "merge")}
        silver |= {"deletes": given.get("deletes", "hard"), "schema_mode": given.get("schema_mode", "evolve")}
        silver["quality_rules"] = given.get("rules", [])
        silver |= given.get("silver", {})
        return IngestTable.model_validate(
            {
                "run_id": "r1",
                "workflow_id": "w1",
                "job_id": "j1",
                "batch_id": "b1",
                "connection": {"host": "localhost", "database": "d", "secret_id": "s"},
                "source": {"table_name": self.table},
                "bronze": {"table": f"bronze_{self.table}", "load_strategy": given.get("load", "append")},
                "silver": {**silver, "primary_key": given.get("requested_key", [])},
                "gold": given.get("gold", {"table": self.table}),
            }
        )


class Lake:
    """A bucket of its own for one test."""

    def __init__(self, s3: Any):
        self.s3, self.bucket = s3, f"{bucket_prefix()}{uuid.uuid4().hex[:12]}"
        region = s3.meta.region_name
        where = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        s3.create_bucket(Bucket=self.bucket, **where)

    def source(self, table: str = "customers", **settings: Any) -> Source:
        """A source table; settings: key, unique_keys, cursor, strategy, load, gold, source_key, silver_table, requested_key,
        audit, deletes, schema_mode, claimed_at, rules, columns (name -> of SourceColumn), silver (of SilverTarget)."""
        return Source(self.s3, self.bucket, table, **settings)

    def read(self, layer: str, table: str) -> pa.Table:
        """A table's rows. By DuckDB: pyarrow's datasets may abort a process that ends right after it read one."""
        found = open_table(table_uri(self.bucket, layer, table))
        assert found is not None, f"there is no {layer}.{table}"
        with ENGINE.session() as session:
            return pa.table(relation(session, found))


def with_footers(lake: Lake, batch: Batch) -> Batch:
    """The batch with objects that tell of it, as ingestion lands them."""
    manifest = present(batch.manifest)
    known = {"primary_key": manifest.primary_key, "unique_keys": manifest.unique_keys}
    command = batch.command.model_copy(update={"run_id": f"r{batch.seq}"})
    batch = batch.model_copy(update={"identity": known, "footers": FOOTERS, "command": command})
    landed = []
    for one in manifest.objects:
        body, target = lake.s3.get_object(Bucket=lake.bucket, Key=one.key)["Body"].read(), BytesIO()
        rows = pq.read_table(BytesIO(body))
        with pq.ParquetWriter(target, rows.schema) as writer:
            writer.write_table(rows)
            writer.add_key_value_metadata({FOOTER: json.dumps(footer(batch, manifest.columns, one.rows))})
        etag = lake.s3.put_object(Bucket=lake.bucket, Key=one.key, Body=target.getvalue())["ETag"]
        landed.append(one.model_copy(update={"etag": etag, "bytes": len(target.getvalue())}))
    return batch.model_copy(update={"manifest": manifest.model_copy(update={"objects": landed})})
