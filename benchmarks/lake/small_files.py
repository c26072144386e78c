"""`python -m benchmarks.lake.small_files PREFIX FILES`: the table in many small files, as many small batches leave it."""

import json
import os
import sys

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import write_deltalake
from pyarrow import fs


def main() -> None:
    """Writes the rows of BENCH_OBJECTS, one file per part of the key, in as many commits as there are objects."""
    prefix, count = sys.argv[1], int(sys.argv[2])
    bucket, found = os.environ["BENCH_BUCKET"], json.loads(os.environ["BENCH_OBJECTS"])
    files = fs.S3FileSystem(endpoint_override=os.environ["AWS_ENDPOINT_URL"], region=os.environ["AWS_REGION"])
    each = -(-count // len(found))
    for item in found:
        rows = pq.read_table(f"{bucket}/{item['key']}", filesystem=files)
        size = -(-rows.num_rows // each)
        for start in range(0, rows.num_rows, size):
            part = rows.slice(start, size)
            options = {"AWS_ALLOW_HTTP": "true"}
            write_deltalake(f"s3://{bucket}/{prefix}", pa.table(part), mode="append", storage_options=options)


if __name__ == "__main__":
    main()
