"""ConnectorX: the whole result as one Arrow table, then Parquet. The argument is the number of partitions."""

import os
import sys
from urllib.parse import quote

import connectorx  # pyright: ignore[reportMissingImports] - in its own environment
import s3


def main() -> None:
    partitions = int(sys.argv[1])
    values = {name: os.environ[f"BENCH_{name}"] for name in ("USER", "HOST", "PORT", "DATABASE", "KEY")}
    password = quote(os.environ["BENCH_PASSWORD"], safe="")
    tls = f"encrypt={'true' if os.environ.get('BENCH_TLS') else 'false'}&trust_server_certificate=true"
    address = f"mssql://{values['USER']}:{password}@{values['HOST']}:{values['PORT']}/{values['DATABASE']}?{tls}"
    parts = {"partition_on": values["KEY"], "partition_num": partitions} if partitions > 1 else {}
    query = f"SELECT * FROM dbo.{os.environ['BENCH_TABLE']}"
    table = connectorx.read_sql(address, query, return_type="arrow", **parts)
    with s3.writer(table.schema) as parquet:
        parquet.write_table(table)


if __name__ == "__main__":
    main()
