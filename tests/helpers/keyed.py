"""A table whose key is a text, and silver as it then is."""

from typing import Any

import pyarrow as pa

from flowforge.operations.query import query
from tests.helpers.lake import Lake, Source

CI = {"sql_type": "nvarchar(20)", "nullable": False, "collation": "SQL_Latin1_General_CP1_CI_AS"}


def codes(*rows: tuple[Any, ...]) -> pa.Table:
    types = {"code": pa.string(), "part": pa.int32(), "v": pa.int32(), "changed": pa.timestamp("ms")}
    columns = zip(*rows, strict=True) if rows else [[] for _ in types]
    names = list(types)[: len(rows[0])] if rows else list(types)
    return pa.table({n: pa.array(list(c), types[n]) for n, c in zip(names, columns, strict=True)})


def source_of(lake: Lake, key: tuple[str, ...] = ("code",), column: dict = CI, **settings: Any) -> Source:
    return lake.source(key=list(key), columns={"code": column}, **settings)


def silver(lake: Lake, columns: str = "code, v", table: str = "customers") -> list[tuple]:
    return query(f"SELECT {columns} FROM silver.{table} ORDER BY ALL", lake.bucket).rows
