"""FlowForge's own step as one process: refine, publish or compact, as the functions run them on a landed batch.

What is missing against the function is the batch's record in DynamoDB and the event afterwards: a few calls whatever the size of
the table.
"""

from infra.local import packaged  # noqa: F401  first: a function's package has no numpy

# isort: split
import json
import os
import sys
from typing import Any

from benchmarks.lake.cases import OF_GOLD
from benchmarks.lake.rows import COLUMNS, CURSOR, GOLD, KEY
from events.commands import IngestTable
from flowforge.domain.batch import Batch
from flowforge.domain.interval import Interval
from flowforge.domain.manifest import BronzeObject, Manifest
from flowforge.domain.source_columns import SourceColumn


def batch(kind: str, table: str, strategy: str, seq: int, objects: list[dict[str, Any]]) -> Batch:
    """The record of the batch that landed these objects."""
    silver = "base_merge" if kind in OF_GOLD else table
    model = {"models": [{"table": table, "sql": GOLD.format(table=f"silver.{silver}")}]}
    command = IngestTable.model_validate(
        {
            "run_id": "benchmark",
            "workflow_id": "benchmark",
            "job_id": "benchmark",
            "batch_id": "benchmark",
            "connection": {"host": "localhost", "database": "benchmark", "secret_id": "benchmark"},
            "source": {"table_name": "bookings"},
            "bronze": {"table": "bookings"},
            "silver": {"table": silver, "strategy": strategy},
            "gold": {"table": table} if kind == "copy" else model,
        }
    )
    return Batch(
        source_key="benchmark",
        generation=1,
        seq=seq,
        state="committed",
        token="benchmark",
        lease_until=0,
        label="benchmark",
        claimed_at=1_750_000_000 + seq,
        interval=Interval(column=CURSOR),
        command=command,
        manifest=Manifest(
            bucket=os.environ["BENCH_BUCKET"],
            objects=[BronzeObject(**item) for item in objects],
            rows=sum(item["rows"] for item in objects),
            bytes=sum(item["bytes"] for item in objects),
            columns=[SourceColumn(name=name, sql_type="int") for name in COLUMNS],
            primary_key=[KEY],
            audit_columns=False,
        ),
    )


def main() -> None:
    """Does one step: base, merge, scd2, gold, copy or compact."""
    kind, table = sys.argv[1:]
    bucket = os.environ["BENCH_BUCKET"]
    if kind == "compact":
        from flowforge.tables.compaction import compact
        from flowforge.tables.lake import table_uri

        compact(f"silver.{table}", table_uri(bucket, "silver", table), 2)
        return
    objects, seq = json.loads(os.environ["BENCH_OBJECTS"]), 1 if kind == "base" else 2
    strategy = "scd2" if "scd2" in (kind, table.removeprefix("base_")) else "merge"
    landed = batch(kind, table, strategy, seq, objects)
    if kind in OF_GOLD:
        from flowforge.gold.publish import publish

        publish(landed, bucket)
        return
    from flowforge.silver.refine import refine

    refine(landed, bucket)


if __name__ == "__main__":
    main()
