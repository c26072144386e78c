"""What most people write: pymssql, fetchmany into lists, `pa.array` per column, one row group per fetch."""

import os
from typing import Any

import pyarrow as pa
import pymssql
import s3

ROWS = 50_000
TYPES = {
    "bigint": pa.int64(),
    "int": pa.int32(),
    "smallint": pa.int16(),
    "bit": pa.bool_(),
    "float": pa.float64(),
    "date": pa.date32(),
    "datetime": pa.timestamp("ms"),
    "datetime2": pa.timestamp("us"),
    "money": pa.decimal128(19, 4),
}


def schema(cursor: pymssql.Cursor, table: str) -> pa.Schema:
    cursor.execute(
        "SELECT COLUMN_NAME, DATA_TYPE, NUMERIC_PRECISION, NUMERIC_SCALE FROM INFORMATION_SCHEMA.COLUMNS "
        f"WHERE TABLE_NAME = '{table}' ORDER BY ORDINAL_POSITION"
    )
    return pa.schema(
        [
            (name, pa.decimal128(precision, scale) if kind == "decimal" else TYPES.get(str(kind), pa.string()))
            for name, kind, precision, scale in cursor.fetchall()
        ]
    )


def main() -> None:
    where: dict[str, Any] = {
        name: os.environ[f"BENCH_{name.upper()}"] for name in ("user", "password", "database", "port")
    }
    encryption = "require" if os.environ.get("BENCH_TLS") else "off"
    table = os.environ["BENCH_TABLE"]
    with pymssql.connect(server=os.environ["BENCH_HOST"], encryption=encryption, use_datetime2=True, **where) as source:
        cursor = source.cursor()
        wanted = schema(cursor, table)
        cursor.execute(f"SELECT * FROM dbo.{table}")
        with s3.writer(wanted) as parquet:
            while rows := cursor.fetchmany(ROWS):
                columns = [list(values) for values in zip(*rows, strict=True)]
                arrays = [pa.array(values, field.type) for values, field in zip(columns, wanted, strict=True)]
                parquet.write_table(pa.Table.from_arrays(arrays, schema=wanted))


if __name__ == "__main__":
    main()
