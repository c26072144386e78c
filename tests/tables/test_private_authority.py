"""An S3 whose certificate a private authority has signed, as a company's own often has: all libraries go by one bundle."""

import io
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake

from flowforge.aws.clients import client
from flowforge.engines.duckdb.storage import duckdb_connection
from flowforge.tables.delta.access import storage_options
from tests.helpers.outside import S3
from tests.helpers.tls import tls_before

ROWS = pa.table({"id": [1, 2]})


@pytest.fixture
def bucket(s3_endpoint: str, lake_environment: None) -> str:
    """A bucket of the embedded S3."""
    if os.environ.get(S3):
        pytest.skip("TLS is put before the embedded S3")
    name = f"tls-{uuid.uuid4().hex[:8]}"
    where = {"LocationConstraint": "eu-central-1"}
    boto3.client("s3").create_bucket(Bucket=name, CreateBucketConfiguration=where)
    return name


@pytest.fixture
def authority(s3_endpoint: str, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file of the authority that has signed the certificate of the S3 that the environment names."""
    with tls_before(s3_endpoint, tmp_path / "tls") as (url, file):
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        monkeypatch.setenv("SSL_CERT_FILE", "")
        monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
        yield file


def written_and_read(bucket: str) -> tuple[int, int]:
    """The rows of an object by DuckDB and of a table by delta-rs, that boto3 and delta-rs have written."""
    content = io.BytesIO()
    pq.write_table(ROWS, content)
    client("s3").put_object(Bucket=bucket, Key="rows.parquet", Body=content.getvalue())
    write_deltalake(f"s3://{bucket}/table", ROWS, storage_options=storage_options())
    table = DeltaTable(f"s3://{bucket}/table", storage_options=storage_options())
    with duckdb_connection() as connection:
        ((found,),) = connection.sql(f"SELECT count(*) FROM 's3://{bucket}/rows.parquet'").fetchall()
    return found, table.to_pyarrow_table().num_rows


def test_should_read_and_write_by_every_library(authority, bucket, monkeypatch):
    monkeypatch.setenv("AWS_CA_BUNDLE", str(authority))
    assert written_and_read(bucket) == (2, 2)


def test_should_go_by_the_authority_of_a_profile(authority, bucket, monkeypatch, tmp_path):
    config = tmp_path / "config"
    config.write_text(f"[profile bank]\nca_bundle = {authority}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_PROFILE", "bank")
    assert written_and_read(bucket) == (2, 2)
