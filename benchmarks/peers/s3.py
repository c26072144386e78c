"""Where the Python peers write: pyarrow's own S3 filesystem, which uploads in parts in the background."""

import os
from typing import Any

import pyarrow.parquet as pq
from pyarrow import fs


def writer(schema: Any) -> pq.ParquetWriter:
    """A Parquet writer (snappy) on a fresh object of the benchmark's bucket."""
    filesystem = fs.S3FileSystem(
        access_key=os.environ["AWS_ACCESS_KEY_ID"],
        secret_key=os.environ["AWS_SECRET_ACCESS_KEY"],
        endpoint_override=os.environ["AWS_ENDPOINT_URL"],
        region=os.environ["AWS_REGION"],
    )
    where = f"{os.environ['BENCH_BUCKET']}/{os.environ['BENCH_PREFIX']}/table.parquet"
    return pq.ParquetWriter(where, schema, filesystem=filesystem, compression="snappy")
