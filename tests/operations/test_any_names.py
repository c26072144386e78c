"""Columns may have any name, also one that our SQL uses: a table is treated alike whatever its columns are called."""

import re
from typing import Any

import pyarrow as pa
import pytest

from flowforge.operations.rebuild_silver import rebuild_silver

# Names of relations, of DuckDB's own columns, and what statements have called what they add.
NAMES = re.findall(
    r"\w+",
    "rowid file_row_number file_index filename content rules content_hash reason part rows key row k p n m h g a b r s t "
    "f v one other kept q0 q1 silver source staged target held changed happened versions moves judged batch count "
    "arriving offered _action _content _file _row _ref _at _kind _order _last _met _rank ",
)


def flow(lake: Any, recorded: Any, strategy: str, names: tuple[str, str, str], others: list[str]) -> dict[str, Any]:
    """What silver and quarantine hold in the end of a table with these names of key, number and cursor, and `others`."""
    table = f"of_{names[0]}"
    key, value, at = names
    rule = {"rule": "range", "column": value, "max": 100, "severity": "quarantine", "name": "small"}
    types = {at: {"sql_type": "datetime2(0)"}}
    source = lake.source(table, key=[key], cursor=at, strategy=strategy, deletes="soft", rules=[rule], columns=types)

    def data(*rows: tuple[int, int, int]) -> pa.Table:
        ids, values, times = zip(*rows, strict=True)
        own = {
            key: pa.array(ids, pa.int32()),
            value: pa.array(values, pa.int32()),
            at: pa.array(times, pa.timestamp("s")),
        }
        return pa.table(own | {name: pa.array([f"{one}-{name}" for one in ids]) for name in others})

    recorded(source.batch(1, data((1, 10, 1), (2, 20, 1), (3, 30, 1)), load="full_refresh"))
    recorded(source.batch(3, data((1, 10, 1), (2, 22, 5), (3, 31, 3), (4, 500, 5), (5, 50, 5))))
    recorded(source.batch(2, data((1, 10, 1), (2, 21, 3), (3, 31, 3))))
    recorded(source.batch(4, data((1, 11, 7), (5, 51, 7), (6, 600, 7)), load="full_refresh"))
    made = rebuild_silver(lake.bucket, table, True, 2).difference
    assert made.equal, made.document()
    found = {}
    for layer in ("silver", "quarantine"):
        rows = lake.read(layer, table).to_pylist()
        assert [{name: row[name] for name in others} for row in rows] == [
            {name: f"{row[key]}-{name}" for name in others} for row in rows
        ]
        kept = (key, value, at, "_is_deleted", "_valid_from", "_valid_to", "_is_current", "_reason")
        found[layer] = sorted((tuple(row[name] for name in kept if name in row) for row in rows), key=repr)
    return found


@pytest.mark.parametrize("strategy", ["merge", "scd2", "append"])
def test_should_treat_a_table_alike_whatever_its_columns_are_called(lake, recorded, strategy):
    want = flow(lake, recorded, strategy, ("id", "amount", "changed_at"), [])
    assert len(want["quarantine"]) >= 1
    own = ("part", "content", "rowid")
    assert flow(lake, recorded, strategy, own, [name for name in NAMES if name not in own]) == want
