"""An S3 server with one Delta table, for commands that read the lake themselves."""

from collections.abc import Iterator
from contextlib import contextmanager

import boto3
import duckdb
from deltalake import write_deltalake
from moto.server import ThreadedMotoServer

from tests.helpers.servers import AWS_KEYS, AWS_VARIABLES


@contextmanager
def serving_table(bucket: str, path: str, *queries: str) -> Iterator[str]:
    """The server's URL; the table at `path` has one file for each query's rows."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    url = "http://{}:{}".format(*server.get_host_and_port())
    boto3.client("s3", endpoint_url=url, region_name="us-east-1", **AWS_KEYS).create_bucket(Bucket=bucket)
    options = {
        "AWS_ENDPOINT_URL": url,
        **AWS_VARIABLES,
        "AWS_REGION": "us-east-1",
        "AWS_ALLOW_HTTP": "true",
    }
    with duckdb.connect() as connection:
        for query in queries:
            rows = connection.sql(query)
            write_deltalake(f"s3://{bucket}/{path}", rows, mode="append", storage_options=options)
    yield url
    server.stop()
