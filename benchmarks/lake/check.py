"""Counts and checksums: `python -m benchmarks.lake.check KIND`, with what to read in the environment, as one JSON line.

BENCH_URI is a Delta table, BENCH_FILES a list of data files (of an Iceberg table); with neither of them it prints what a table
must hold after the case, from the bronze objects BENCH_BASE and BENCH_OBJECTS.
"""

import json
import os
import sys

from deltalake import DeltaTable

from benchmarks.lake.rows import GOLD, checksum, history, merged
from flowforge.domain.given import given
from flowforge.engines.duckdb.sql import read_parquet
from flowforge.engines.duckdb.storage import duckdb_connection
from flowforge.tables.delta.access import storage_options


def _objects(variable: str) -> str:
    bucket, found = os.environ["BENCH_BUCKET"], json.loads(os.environ.get(variable) or "[]")
    return read_parquet([f"s3://{bucket}/{item['key']}" for item in found])


def _table(kind: str) -> str:
    if uri := os.environ.get("BENCH_URI"):
        return read_parquet(DeltaTable(uri, storage_options=storage_options()).file_uris())
    if files := os.environ.get("BENCH_FILES"):
        return read_parquet(json.loads(files))
    base = _objects("BENCH_BASE")
    if kind == "gold":
        return f"({GOLD.format(table=base)})"
    if kind in ("copy", "compact"):
        return base
    return f"({(history if kind == 'scd2' else merged)(base, _objects('BENCH_OBJECTS'))})"


def main() -> None:
    """Prints {"rows", "checksum"}."""
    kind = sys.argv[1]
    with duckdb_connection() as connection:
        count, total = given(connection.execute(checksum(_table(kind), kind)).fetchone())
    print(json.dumps({"rows": count, "checksum": total}))


if __name__ == "__main__":
    main()
