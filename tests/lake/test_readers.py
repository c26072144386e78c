"""What arrives in silver and gold, read back by pyarrow (deltalake), DuckDB and Polars: the same values, the same names."""

import datetime
import importlib.util
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pytest

from flowforge.gold.build import build
from flowforge.gold.models import read_model
from flowforge.gold.publish import publish
from flowforge.lake.names import TableName
from flowforge.lake.storage import duckdb_connection, storage_options
from flowforge.lake.tables import open_table, relation, table_uri
from flowforge.lake.upkeep import maintain
from flowforge.silver.refine import refine

UTC = datetime.UTC
NAIVE = datetime.datetime(9999, 12, 31, 23, 59, 59, 999999)
FIRST = datetime.datetime(1, 1, 1)
# name -> (bronze type, two values, silver type, the values in silver)
CANONICAL: dict[str, tuple[pa.DataType, list[Any], pa.DataType, list[Any] | None]] = {
    "bit": (pa.bool_(), [True, False], pa.bool_(), None),
    "tinyint": (pa.uint8(), [255, 0], pa.int16(), None),
    "smallint": (pa.int16(), [-32768, 32767], pa.int16(), None),
    "int": (pa.int32(), [-(2**31), 2**31 - 1], pa.int32(), None),
    "bigint": (pa.int64(), [-(2**63), 2**63 - 1], pa.int64(), None),
    "real": (pa.float32(), [1.5, -0.25], pa.float32(), None),
    "float": (pa.float64(), [0.1, 1.7976931348623157e308], pa.float64(), None),
    "decimal": (pa.decimal128(15, 2), [Decimal("9999999999999.99"), Decimal("-0.01")], pa.decimal128(15, 2), None),
    "decimal38": (pa.decimal128(38, 10), [Decimal("1234567890123456789012345678.0123456789"), Decimal(0)],
                  pa.decimal128(38, 10), None),
    "money": (pa.decimal128(19, 4), [Decimal("922337203685477.5807"), Decimal("-0.0001")], pa.decimal128(19, 4), None),
    "nvarchar": (pa.string(), ["Grüße 名前 🙂 'q' \"d\"", ""], pa.string(), None),
    "nchar": (pa.string(), ["a  ", "\x00\t\n"], pa.string(), None),
    "varbinary": (pa.binary(), [b"\x00\xff'\\", b""], pa.binary(), None),
    "rowversion": (pa.binary(8), [b"\x00" * 7 + b"\x01", b"\xff" * 8], pa.binary(), None),
    "date": (pa.date32(), [datetime.date(1, 1, 1), datetime.date(9999, 12, 31)], pa.date32(), None),
    "time": (pa.time64("us"), [datetime.time(1, 2, 3), datetime.time(23, 59, 59, 999999)], pa.string(),
             ["01:02:03", "23:59:59.999999"]),
    "time7": (pa.time64("ns"), [datetime.time(1, 2, 3, 500000), datetime.time(0, 0)], pa.string(),
              ["01:02:03.5", "00:00:00"]),
    "datetime": (pa.timestamp("ms"), [datetime.datetime(1753, 1, 1), datetime.datetime(2024, 2, 29, 1, 2, 3, 997000)],
                 pa.timestamp("us"), None),
    "datetime2": (pa.timestamp("us"), [FIRST, NAIVE], pa.timestamp("us"), None),
    "datetimeoffset": (pa.timestamp("us", "UTC"), [FIRST.replace(tzinfo=UTC), NAIVE.replace(tzinfo=UTC)],
                       pa.timestamp("us", "UTC"), None),
}  # fmt: skip
ODD_NAMES = [
    "with space", "a]b[c", 'quo"te', "apo's", "back`tick", "dot.ted", "comma,semi;colon", "(paren)={x}", "tab\tnew\nline",
    "100%", "back\\slash", "$dollar", "select", "1st", "Größe", "名前", "Имя", "🙂", " leading", "trailing ", "x" * 128,
]  # fmt: skip


def read_everywhere(uri: str) -> list[list[dict[str, Any]]]:
    """The rows, ordered by id, as pyarrow, DuckDB and Polars (Python values) read them."""
    table = open_table(uri)
    with duckdb_connection() as connection:
        by_duckdb = relation(connection, table).arrow().read_all()
    by_polars = pl.read_delta(uri, storage_options=storage_options()).to_arrow()
    readings = [table.to_pyarrow_table(), by_duckdb, by_polars]
    return [sorted(reading.to_pylist(), key=lambda row: row["id"]) for reading in readings]


def test_should_carry_every_canonical_type_through_to_every_reader(lake):
    columns = {name: pa.array([*values, None], kind) for name, (kind, values, _, _) in CANONICAL.items()}
    batch = lake.source("types", key=["id"]).batch(1, pa.table({"id": [1, 2, 3], **columns}))
    refine(batch, lake.bucket)
    publish(batch, lake.bucket)
    schema = open_table(table_uri(lake.bucket, "silver", "types")).to_pyarrow_table().schema
    for name, (_, _, stored, _) in CANONICAL.items():
        assert schema.field(name).type == stored, name
    for layer in ("silver", "gold"):
        for rows in read_everywhere(table_uri(lake.bucket, layer, "types")):
            for name, (_, values, _, stored_values) in CANONICAL.items():
                assert [row[name] for row in rows] == [*(stored_values or values), None], name


def test_should_keep_types_and_values_through_a_merge(lake):
    columns = {name: pa.array(values, kind) for name, (kind, values, _, _) in CANONICAL.items()}
    source = lake.source("types", key=["id"])
    refine(source.batch(1, pa.table({"id": [1, 9], **{n: c.take([1, 1]) for n, c in columns.items()}})), lake.bucket)
    result = refine(source.batch(2, pa.table({"id": [1, 2], **columns})), lake.bucket)
    assert (result.inserted, result.updated) == (1, 1)
    for rows in read_everywhere(table_uri(lake.bucket, "silver", "types")):
        for name, (_, values, _, stored_values) in CANONICAL.items():
            assert [row[name] for row in rows[:2]] == (stored_values or values), name


def test_should_read_models_and_tables_after_their_upkeep_everywhere(lake):
    """An incremental gold model of every type, built in two steps, and both tables after compaction."""
    source = lake.source("types", key=["id"])
    model = read_model("copied", "SELECT id, * EXCLUDE (id) FROM silver.types", "incremental", ["id"])
    for seq, ids in ((1, [1, 9]), (2, [1, 2])):
        columns = {name: pa.array(values, kind) for name, (kind, values, _, _) in CANONICAL.items()}
        refine(source.batch(seq, pa.table({"id": ids, **columns})), lake.bucket)
        how = build(model, lake.bucket).how
    assert how == "incremental"
    for layer, table in (("silver", "types"), ("gold", "copied")):
        assert maintain(TableName(layer, table), lake.bucket, 168).after.files == 1
        for rows in read_everywhere(table_uri(lake.bucket, layer, table)):
            assert [row["id"] for row in rows] == [1, 2, 9]
            for name, (_, values, _, stored_values) in CANONICAL.items():
                first, second = stored_values or values
                assert [row[name] for row in rows] == [first, second, second], name


def test_should_merge_by_a_key_of_every_type_at_once(lake):
    source = lake.source("keys", key=list(CANONICAL))
    key = {name: pa.array(values, kind) for name, (kind, values, _, _) in CANONICAL.items()}
    for seq in (1, 2):
        result = refine(source.batch(seq, pa.table({**key, "seq": [seq, seq]})), lake.bucket)
    assert (result.inserted, result.updated, result.silver_rows) == (0, 2, 2)


def test_should_keep_odd_column_names_as_they_are(lake):
    def table(value: str) -> pa.Table:
        return pa.table({"id": [1], **{name: [f"{value} {name}"] for name in ODD_NAMES}})

    source = lake.source("odd", key=["id", *ODD_NAMES[:6]])
    keyed = source.batch(1, table("a"))
    refine(keyed, lake.bucket)
    again = source.batch(2, table("a").append_column('added `later` "x"', [["new"]]))
    assert refine(again, lake.bucket).updated == 1
    assert publish(again, lake.bucket).gold_tables == {"odd": 1}
    for layer in ("silver", "gold"):
        for (row,) in read_everywhere(table_uri(lake.bucket, layer, "odd")):
            assert {name: row[name] for name in ODD_NAMES} == {name: f"a {name}" for name in ODD_NAMES}
            assert row['added `later` "x"'] == "new"


def test_should_number_names_that_differ_only_by_case(lake):
    data = pa.table({"id": [1, 2], "Name": ["a", "b"], "NAME": ["c", "d"]})
    source = lake.source("cases", key=["id"])
    refine(source.batch(1, data), lake.bucket)
    assert refine(source.batch(2, data), lake.bucket).updated == 2
    for rows in read_everywhere(table_uri(lake.bucket, "silver", "cases")):
        assert [(row["Name"], row["NAME_1"]) for row in rows] == [("a", "c"), ("b", "d")]


@pytest.mark.parametrize("key", [["id"], []])
def test_should_take_300_columns_and_a_megabyte_in_a_cell(lake, key):
    wide = {f"column {n}": pa.array([n, None, n], pa.int64()) for n in range(298)}
    long = "é" * 500_000 + "x"
    data = pa.table({"id": [1, 2, 3], **wide, "text": [long, "short", None]})
    source = lake.source("wide", key=key)
    refine(source.batch(1, data), lake.bucket)
    batch = source.batch(2, data)
    result = refine(batch, lake.bucket)
    assert (result.inserted, result.updated, result.silver_rows) == (0, 3, 3)
    publish(batch, lake.bucket)
    for rows in read_everywhere(table_uri(lake.bucket, "gold", "wide")):
        assert rows[0]["text"] == long
        assert len(rows[0]) == 301  # _sk_id besides
    log = lake.s3.list_objects_v2(Bucket=lake.bucket, Prefix="silver/wide/_delta_log/")["Contents"]
    assert max(item["Size"] for item in log) < 300_000


def test_should_add_a_naive_timestamp_to_a_table_that_had_none(lake):
    source = lake.source("late", key=["id"])
    refine(source.batch(1, pa.table({"id": [1]})), lake.bucket)
    at = datetime.datetime(2024, 1, 2)
    refine(source.batch(2, pa.table({"id": [2], "at": pa.array([at], pa.timestamp("ms"))})), lake.bucket)
    for rows in read_everywhere(table_uri(lake.bucket, "silver", "late")):
        assert [row["at"] for row in rows] == [None, at]


def test_should_use_the_extension_of_duckdbs_own_version(lake_environment):
    folder = Path(importlib.util.find_spec("duckdb_extension_httpfs").submodule_search_locations[0])
    assert (folder / "extensions" / f"v{duckdb.__version__}").is_dir()
    with duckdb_connection() as connection:
        home = connection.execute("SELECT current_setting('temp_directory'), current_setting('TimeZone')").fetchone()
    assert Path(home[0]).is_relative_to(tempfile.gettempdir())
    assert home[1] == "UTC"


def test_should_bound_duckdbs_memory_by_the_functions(lake_environment, monkeypatch):
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1000")
    with duckdb_connection() as connection:
        limit = connection.execute("SELECT current_setting('memory_limit')").fetchone()[0]
    assert limit == "400.0 MiB"
