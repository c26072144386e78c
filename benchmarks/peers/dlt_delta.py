"""dlt: one batch into its filesystem destination with table format delta, by the strategy upsert."""

import json
import os
import sys
import tempfile

import dlt  # pyright: ignore[reportMissingImports] - in its own environment
import pyarrow.parquet as pq
from dlt.destinations import filesystem  # pyright: ignore[reportMissingImports] - in its own environment
from pyarrow import fs

KEY, BUCKET = "transaction_id", os.environ["BENCH_BUCKET"]


def main() -> None:
    _, table = sys.argv[1:]
    files = fs.S3FileSystem(endpoint_override=os.environ["AWS_ENDPOINT_URL"], region=os.environ["AWS_REGION"])
    paths = [f"{BUCKET}/{item['key']}" for item in json.loads(os.environ["BENCH_OBJECTS"])]

    @dlt.resource(
        name=table,
        primary_key=KEY,
        write_disposition={"disposition": "merge", "strategy": "upsert"},
        table_format="delta",
    )
    def bookings():
        yield pq.read_table(paths, filesystem=files)

    destination = filesystem(
        bucket_url=f"s3://{BUCKET}/dlt",
        credentials={
            "aws_access_key_id": os.environ["AWS_ACCESS_KEY_ID"],
            "aws_secret_access_key": os.environ["AWS_SECRET_ACCESS_KEY"],
            "endpoint_url": os.environ["AWS_ENDPOINT_URL"],
            "region_name": os.environ["AWS_REGION"],
        },
        deltalake_storage_options={"AWS_ALLOW_HTTP": "true"},
    )
    with tempfile.TemporaryDirectory() as folder:
        pipeline = dlt.pipeline("bench", pipelines_dir=folder, destination=destination, dataset_name="bench")
        pipeline.run(bookings())


if __name__ == "__main__":
    main()
