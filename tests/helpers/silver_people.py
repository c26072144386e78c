"""Batches of people, and the rows that silver makes of them."""

from typing import Any

import pyarrow as pa

INTERNAL = ["_generation", "_seq", "_row_hash", "_occurrence"]


def people(*rows: tuple[Any, ...], names: tuple[str, ...] = ("id", "name", "changed")) -> pa.Table:
    types = {"id": pa.int32(), "name": pa.string(), "changed": pa.timestamp("ms")}
    columns = zip(*rows, strict=True) if rows else [[] for _ in names]
    return pa.table({n: pa.array(list(c), types.get(n)) for n, c in zip(names, columns, strict=True)})


def rows_of(lake, table: str = "customers", layer: str = "silver") -> list[tuple[Any, ...]]:
    found = lake.read(layer, table)
    kept = [name for name in found.column_names if name not in INTERNAL]
    return sorted((tuple(row.values()) for row in found.select(kept).to_pylist()), key=repr)
