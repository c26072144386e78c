"""dlt: sql_table into its filesystem destination as Parquet. The argument is the backend: pyarrow or connectorx."""

import os
import sys
import tempfile
from urllib.parse import quote

import dlt  # pyright: ignore[reportMissingImports] - in its own environment
from dlt.destinations import filesystem  # pyright: ignore[reportMissingImports] - in its own environment
from dlt.sources.sql_database import sql_table  # pyright: ignore[reportMissingImports] - in its own environment
from sqlalchemy.dialects.mssql.base import MSDialect  # pyright: ignore[reportMissingImports] - in its own environment


def without_key_reflection() -> None:
    """SQLAlchemy's questions for keys and indexes are ones that the stand-in cannot answer; what they cost does not count."""
    key = {"constrained_columns": [os.environ["BENCH_KEY"]], "name": None}
    MSDialect.get_pk_constraint = lambda self, connection, table, schema=None, **options: key
    for question in ("get_foreign_keys", "get_indexes", "get_unique_constraints", "get_check_constraints"):
        setattr(MSDialect, question, lambda self, connection, table, schema=None, **options: [])


def main() -> None:
    without_key_reflection()
    backend = sys.argv[1]
    password = quote(os.environ["BENCH_PASSWORD"], safe="")
    host, port = os.environ["BENCH_HOST"], os.environ["BENCH_PORT"]
    where = f"{os.environ['BENCH_USER']}:{password}@{host}:{port}/{os.environ['BENCH_DATABASE']}"
    options = {}
    if backend == "connectorx":
        tls = f"encrypt={'true' if os.environ.get('BENCH_TLS') else 'false'}&trust_server_certificate=true"
        options = {"backend_kwargs": {"conn": f"mssql://{where}?{tls}", "return_type": "arrow"}}
    table = sql_table(
        credentials=f"mssql+pymssql://{where}?encryption={'require' if os.environ.get('BENCH_TLS') else 'off'}",
        table=os.environ["BENCH_TABLE"],
        schema="dbo",
        backend=backend,
        chunk_size=100_000,
        reflection_level="full_with_precision",
        **options,
    )
    destination = filesystem(
        bucket_url=f"s3://{os.environ['BENCH_BUCKET']}/{os.environ['BENCH_PREFIX']}",
        credentials={
            "aws_access_key_id": os.environ["AWS_ACCESS_KEY_ID"],
            "aws_secret_access_key": os.environ["AWS_SECRET_ACCESS_KEY"],
            "endpoint_url": os.environ["AWS_ENDPOINT_URL"],
            "region_name": os.environ["AWS_REGION"],
        },
    )
    with tempfile.TemporaryDirectory() as folder:
        pipeline = dlt.pipeline("bench", pipelines_dir=folder, destination=destination, dataset_name="bench")
        pipeline.run(table, loader_file_format="parquet")


if __name__ == "__main__":
    main()
