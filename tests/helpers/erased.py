"""A table in which a person comes, changes, is kept out and comes again, and all that is stored, as text."""

from io import BytesIO
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from flowforge.aws import items
from flowforge.aws.clients import client
from flowforge.aws.compact import unpack
from flowforge.domain.batch import Batch
from flowforge.gold.publish import publish
from flowforge.operations.erasure.erase import erase
from flowforge.operations.erasure.report import Erasure
from flowforge.runtime.settings import settings
from flowforge.tables.lake import open_table, table_uri
from tests.helpers.lake import with_footers

KEY = "srv:1/db/dbo.customers>bronze_customers"
SECRET, NAME, EARLIER = "xq7-person", "Unmistakable Name", "Name Of Before"
CI = {"sql_type": "nvarchar(20)", "nullable": False, "collation": "SQL_Latin1_General_CP1_CI_AS"}
KEPT_OUT = [{"rule": "range", "column": "v", "max": 100, "severity": "quarantine", "name": "small"}]


def people(*rows: tuple[str, int, str]) -> pa.Table:
    names = ("code", "branch", "name", "v", "file_index", "file_row_number", "_order")  # any name may be a column's
    return pa.table({name: [(one[0], 1, one[2], one[1], 9, 9, 9)[n] for one in rows] for n, name in enumerate(names)})


def filled(lake: Any, recorded: Any, **changes: Any) -> list[Batch]:
    """Five batches: the person comes, changes in another spelling, is kept out, comes again (which settles that), is kept out."""
    wanted = {"key": ["code", "branch"], "source_key": KEY, "rules": KEPT_OUT, "columns": {"code": CI}, **changes}
    source = lake.source(**wanted)
    rows = [
        people((SECRET, 10, EARLIER), ("b", 20, "Bo"), ("c", 30, "Cy")),
        people((SECRET.upper(), 11, NAME), ("b", 21, "Bo")),
        people((SECRET, 500, NAME), ("c", 501, "Cy")),
        people((SECRET, 12, NAME), ("b", 22, "Bo"), ("c", 31, "Cy"), ("d", 40, "Di")),
        people((SECRET, 600, NAME), ("e", 50, "Ed")),
    ]
    made = [recorded(with_footers(lake, source.batch(n, one))) for n, one in enumerate(rows, start=1)]
    publish(made[-1], lake.bucket)
    return made


def erased(lake: Any, apply: bool = True, table: str = "customers", **key: str) -> Erasure:
    return erase(lake.bucket, table, key or {"code": SECRET, "branch": "1"}, apply)


def stored(lake: Any) -> str:
    """Every version of every object, and every item, as text; of Parquet every cell, every statistic and the footer."""
    found, s3 = list[str](), client("s3")
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=lake.bucket):
        for one in page.get("Versions", []):
            where = {"Bucket": lake.bucket, "Key": one["Key"], "VersionId": one["VersionId"]}
            body = s3.get_object(**where)["Body"].read()
            found.append(body.decode("latin-1"))
            if one["Key"].endswith(".parquet"):
                file = pq.ParquetFile(BytesIO(body))
                found += [repr(file.read().to_pylist()), repr(file.metadata.metadata)]
    for item in items.scan(settings().watermarks_table):
        found += [repr(unpack(v)) if str(v).startswith("zlib85:") else repr(v) for v in item.values()]
    return "\n".join(found).lower()


def others(lake: Any, layer: str = "silver") -> list[dict[str, Any]]:
    rows = lake.read(layer, "customers").to_pylist()
    return sorted((row for row in rows if row["code"].lower() != SECRET), key=repr)


def settled(lake: Any) -> int:
    """Verdicts of entries that have left quarantine."""
    there = open_table(table_uri(lake.bucket, "quarantine", "_settled/customers"))
    return there.count() if there else 0
