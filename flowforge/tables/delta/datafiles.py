# ruff: noqa: S608 - SQL text of quoted names and counted values
"""The data files of one version of a Delta table: which may hold a value, and their rows with the places where they are.

Guarantees: pure but for opening footers; a file without statistics may hold anything.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import duckdb
from deltalake import DeltaTable

from flowforge.engines.duckdb.sql import identifier, read_parquet
from flowforge.tables.delta.statistics import WHOLE

ORDERED = (*WHOLE, "DATE")  # types whose bounds in the log are exact, whoever has written them


@dataclass(frozen=True)
class DataFile:
    """A file; `ranges` are the least and greatest values of columns, where they are known."""

    path: str
    size: int
    rows: int
    ranges: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)

    def may_hold(self, column: str, least: Any, most: Any) -> bool:
        """Whether a value from `least` to `most` may be among the file's; None for both: there is none to look for."""
        low, high = self.ranges.get(column, (None, None))
        if least is None or low is None or high is None:
            return least is not None
        return bool(low <= most and high >= least)


def data_files(table: DeltaTable, types: Mapping[str, str]) -> list[DataFile]:
    """The files of the handle's version; `types` are the columns whose ranges are wanted (name -> DuckDB type)."""
    actions = table.get_add_actions(flatten=True)
    known = [
        n for n, kind in types.items() if kind in ORDERED and {f"min.{n}", f"max.{n}"} <= set(actions.schema.names)
    ]
    bounds = [zip(*(actions[f"{end}.{name}"].to_pylist() for end in ("min", "max")), strict=True) for name in known]
    facts = (actions[name].to_pylist() for name in ("path", "size_bytes", "num_records"))
    ranges = zip(*bounds, strict=True) if known else ((),) * actions.num_rows
    return [
        DataFile(path, size, rows, dict(zip(known, of, strict=True)))
        for (path, size, rows), of in zip(zip(*facts, strict=True), ranges, strict=True)
    ]


def placed_rows(
    connection: duckdb.DuckDBPyConnection, uri: str, files: Iterable[DataFile], types: Mapping[str, str]
) -> str:
    """A table expression of the files' rows in the columns `types`, and their places: `_file` (in this list) and `_row`."""
    paths = [f"{uri}/{file.path}" for file in files]
    if not paths:
        empty = ", ".join(f"CAST(NULL AS {kind}) AS {identifier(name)}" for name, kind in types.items())
        return f"(SELECT {empty}, 0::INTEGER AS _file, 0::BIGINT AS _row WHERE false)"
    found = read_parquet(paths)
    there = set(connection.sql(f"SELECT * FROM {found}").columns)
    items = [
        f"CAST({identifier(name) if name in there else 'NULL'} AS {kind}) AS {identifier(name)}"
        for name, kind in types.items()
    ]
    return f"(SELECT {', '.join(items)}, file_index::INTEGER AS _file, file_row_number AS _row FROM {found})"
