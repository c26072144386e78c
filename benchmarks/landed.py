"""What a contender left in the bucket: counts rows from the Parquet footers, then empties the bucket.

A process of its own, so that the one that measures stays small: a child's peak memory counts from its parent's.
"""

import json
import os

import boto3
import pyarrow.parquet as pq
from pyarrow import fs


def main() -> None:
    """Prints {"rows", "bytes"} of the Parquet objects that hold the benchmark table."""
    bucket = os.environ["BENCH_BUCKET"]
    s3 = boto3.client("s3")
    files = fs.S3FileSystem(
        access_key=os.environ["AWS_ACCESS_KEY_ID"],
        secret_key=os.environ["AWS_SECRET_ACCESS_KEY"],
        endpoint_override=os.environ["AWS_ENDPOINT_URL"],
        region=os.environ["AWS_REGION"],
    )
    rows = size = 0
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for found in page.get("Contents", ()):
            key = found["Key"]
            if key.endswith(".parquet") and "_dlt" not in key:
                rows += pq.ParquetFile(files.open_input_file(f"{bucket}/{key}")).metadata.num_rows
                size += found["Size"]
            s3.delete_object(Bucket=bucket, Key=key)
    print(json.dumps({"rows": rows, "bytes": size}))


if __name__ == "__main__":
    main()
