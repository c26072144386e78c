"""Plain deltalake, as a straightforward script: base, merge, scd2, gold, copy or compact on one table.

As `wide` it keeps what FlowForge's silver keeps of each row besides: a surrogate key and the batch that it came with.
"""

import hashlib
import json
import os
import sys

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable, QueryBuilder, write_deltalake
from pyarrow import fs

KEY, CURSOR = "transaction_id", "modified_at"
BUCKET = os.environ["BENCH_BUCKET"]
OPTIONS = {"AWS_ALLOW_HTTP": "true"}


LAYOUT = sys.argv[1]


def uri(table: str) -> str:
    return f"s3://{BUCKET}/{LAYOUT}/{table}"


def kept(rows: pa.Table, seq: int) -> pa.Table:
    """The rows as they are stored."""
    if LAYOUT != "wide":
        return rows
    surrogates = [
        hashlib.md5(b"benchmark|%d" % key, usedforsecurity=False).hexdigest() for key in rows[KEY].to_pylist()
    ]
    rows = rows.append_column("_generation", pa.repeat(pa.scalar(1, pa.int32()), rows.num_rows))
    rows = rows.append_column("_seq", pa.repeat(pa.scalar(seq, pa.int64()), rows.num_rows))
    return rows.append_column("_sk_id", pa.array(surrogates))


def objects() -> list[str]:
    return [f"{BUCKET}/{item['key']}" for item in json.loads(os.environ["BENCH_OBJECTS"])]


def filesystem() -> fs.S3FileSystem:
    return fs.S3FileSystem(endpoint_override=os.environ["AWS_ENDPOINT_URL"], region=os.environ["AWS_REGION"])


def base(table: str) -> None:
    """The table with its first rows; with the columns of a history where its name says so."""
    files, name = filesystem(), uri(table)
    for path in objects():
        rows = kept(pq.read_table(path, filesystem=files), 1)
        if table == "base_scd2":
            rows = rows.append_column("_valid_from", rows[CURSOR])
            rows = rows.append_column("_valid_to", pa.nulls(rows.num_rows, pa.timestamp("us")))
            rows = rows.append_column("_is_current", pa.array([True] * rows.num_rows))
        write_deltalake(name, rows, mode="append", storage_options=OPTIONS)


def batch() -> pa.Table:
    return kept(pq.read_table(objects(), filesystem=filesystem()), 2)


def merge(table: str) -> None:
    """The current row per key."""
    target = DeltaTable(uri(table), storage_options=OPTIONS)
    merger = target.merge(batch(), f"t.{KEY} = s.{KEY}", source_alias="s", target_alias="t")
    merger.when_matched_update_all().when_not_matched_insert_all().execute()


def scd2(table: str) -> None:
    """The usual single merge: every state once with its key, to close the current version, and once without, to be inserted."""
    rows = batch()
    closing = rows.append_column("_key", rows[KEY])
    opening = rows.append_column("_key", pa.nulls(rows.num_rows, rows[KEY].type))
    values = {name: f"s.{name}" for name in rows.schema.names}
    opened = {"_valid_from": f"s.{CURSOR}", "_valid_to": "NULL", "_is_current": "true"}
    target = DeltaTable(uri(table), storage_options=OPTIONS)
    existing = QueryBuilder().register("t", target).execute(f"SELECT {KEY} FROM t WHERE _is_current").read_all()
    known = pa.table({KEY: pa.chunked_array(existing.column(KEY))})
    first = closing.join(known, keys=KEY, join_type="left semi")  # only these have a version to close
    states = pa.concat_tables([first.select(closing.schema.names), opening])
    merger = target.merge(states, f"t.{KEY} = s._key AND t._is_current", source_alias="s", target_alias="t")
    merger = merger.when_matched_update({"_valid_to": f"s.{CURSOR}", "_is_current": "false"})
    merger.when_not_matched_insert(values | opened).execute()


def gold(table: str) -> None:
    """The model as one query of deltalake's own engine, written over the table."""
    source = DeltaTable(uri("base_merge"), storage_options=OPTIONS)
    query = os.environ["BENCH_GOLD"].format(table="bookings")
    rows = QueryBuilder().register("bookings", source).execute(query).read_all()
    write_deltalake(uri(table), rows, mode="overwrite", storage_options=OPTIONS)


def copy(table: str) -> None:
    """All rows, read and written piece by piece."""
    rows = DeltaTable(uri("base_merge"), storage_options=OPTIONS).to_pyarrow_dataset()
    reader = pa.RecordBatchReader.from_batches(rows.schema, rows.to_batches())
    write_deltalake(uri(table), reader, mode="overwrite", storage_options=OPTIONS)


def compact(table: str) -> None:
    DeltaTable(uri(table), storage_options=OPTIONS).optimize.compact()


def main() -> None:
    kind, table = sys.argv[2:]
    {"base": base, "merge": merge, "scd2": scd2, "gold": gold, "copy": copy, "compact": compact}[kind](table)


if __name__ == "__main__":
    main()
