"""pyiceberg: base, merge (upsert) and files (where its rows are), with a SQLite catalog."""

import json
import os
import shutil
import sys
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs
from pyiceberg.catalog.sql import SqlCatalog  # pyright: ignore[reportMissingImports] - in its own environment
from pyiceberg.io.pyarrow import _pyarrow_to_schema_without_ids  # pyright: ignore[reportMissingImports] - in its own environment
from pyiceberg.schema import Schema, assign_fresh_schema_ids  # pyright: ignore[reportMissingImports] - in its own environment
from pyiceberg.types import NestedField  # pyright: ignore[reportMissingImports] - in its own environment

KEY = "transaction_id"
FOLDER, BUCKET = os.environ["BENCH_FOLDER"], os.environ["BENCH_BUCKET"]


def catalog(name: str) -> SqlCatalog:
    properties = {
        "uri": f"sqlite:///{FOLDER}/{name}.sqlite",
        "warehouse": f"s3://{BUCKET}/iceberg",
        "s3.endpoint": os.environ["AWS_ENDPOINT_URL"],
        "s3.region": os.environ["AWS_REGION"],
        "s3.access-key-id": os.environ["AWS_ACCESS_KEY_ID"],
        "s3.secret-access-key": os.environ["AWS_SECRET_ACCESS_KEY"],
    }
    return SqlCatalog("bench", **properties)


def objects() -> list[str]:
    return [f"{BUCKET}/{item['key']}" for item in json.loads(os.environ["BENCH_OBJECTS"])]


def filesystem() -> fs.S3FileSystem:
    return fs.S3FileSystem(endpoint_override=os.environ["AWS_ENDPOINT_URL"], region=os.environ["AWS_REGION"])


def schema_of(arrow: pa.Schema) -> Schema:
    """The columns, with the key declared as the identifier that upsert joins by."""
    plain = assign_fresh_schema_ids(_pyarrow_to_schema_without_ids(arrow, downcast_ns_timestamp_to_us=True))
    fields = [
        NestedField(field.field_id, field.name, field.field_type, required=field.name == KEY) for field in plain.fields
    ]
    return Schema(*fields, identifier_field_ids=[plain.find_field(KEY).field_id])


def required(rows: pa.Table) -> pa.Table:
    """The rows with a key that is declared NOT NULL, as the table's is."""
    return rows.cast(pa.schema([field.with_nullable(field.name != KEY) for field in rows.schema]))


def base(table: str) -> None:
    found: Any = None
    for path in objects():
        rows = required(pq.read_table(path, filesystem=filesystem()))
        if found is None:
            where = catalog("base")
            where.create_namespace("bench")
            found = where.create_table("bench.bookings", schema_of(rows.schema))
        found.append(rows)


def merge(table: str) -> None:
    """Works on a copy of the catalog: the table's first files are the same for every case."""
    shutil.copy(f"{FOLDER}/base.sqlite", f"{FOLDER}/{table}.sqlite")
    rows = required(pq.read_table(objects(), filesystem=filesystem()))
    catalog(table).load_table("bench.bookings").upsert(rows)


def files(table: str) -> None:
    print(json.dumps([task.file.file_path for task in catalog(table).load_table("bench.bookings").scan().plan_files()]))


def main() -> None:
    kind, table = sys.argv[1:]
    {"base": base, "merge": merge, "files": files}[kind](table)


if __name__ == "__main__":
    main()
