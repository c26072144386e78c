"""Makes bronze objects: `python -m benchmarks.lake.bronze PREFIX TABLE_ROWS [BATCH_ROWS SPREAD]`, as one JSON line.

A process of its own, so that the one that measures stays small: a child's peak memory counts from its parent's.
"""

import json
import os
import sys

from benchmarks.lake.rows import base_numbers, batch_numbers, rows
from flowforge.aws.clients import client
from flowforge.engines.duckdb.storage import duckdb_connection

ROWS_PER_OBJECT = 1_000_000  # as slices do


def main() -> None:
    """Writes the table (or a batch for it) as Parquet and prints the objects: key, etag, rows, bytes."""
    prefix, table_rows, *batch = sys.argv[1:]
    total = int(table_rows)
    parts = [(n, min(n + ROWS_PER_OBJECT - 1, total)) for n in range(1, total + 1, ROWS_PER_OBJECT)]
    queries = [(rows(base_numbers(*part), 0), part[1] - part[0] + 1) for part in parts]
    if batch:
        count, spread = int(batch[0]), batch[1]
        queries = [(rows(batch_numbers(total, count, spread), 700), count)]
    bucket, objects = os.environ["BENCH_BUCKET"], []
    with duckdb_connection() as connection:
        connection.execute("SET preserve_insertion_order = true")
        for number, (query, count) in enumerate(queries):
            key = f"bronze/{prefix}/part-{number:05}.parquet"
            connection.execute(f"COPY ({query}) TO 's3://{bucket}/{key}' (FORMAT parquet, COMPRESSION snappy)")
            head = client("s3").head_object(Bucket=bucket, Key=key)
            objects.append({"key": key, "etag": head["ETag"], "rows": count, "bytes": head["ContentLength"]})
    print(json.dumps(objects))


if __name__ == "__main__":
    main()
