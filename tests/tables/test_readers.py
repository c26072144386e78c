"""What arrives in silver and gold, read back by pyarrow (deltalake), DuckDB and Polars: the same values, the same names."""

import datetime
import importlib.util
import os
import tempfile
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from flowforge.domain.given import given
from flowforge.domain.names import TableName
from flowforge.engines.duckdb.storage import duckdb_connection
from flowforge.gold.build import Built, build
from flowforge.gold.models import read_model
from flowforge.gold.publish import publish
from flowforge.operations.upkeep import maintain
from flowforge.silver.refine import refine
from flowforge.tables.lake import table_uri
from tests.helpers.lake import delta_table
from tests.helpers.readers import CANONICAL, ODD_NAMES, read_everywhere


@pytest.mark.parametrize("most_bytes", [1, 5 * 2**20])  # the latter are read and written where they are, by another way
def test_should_carry_every_canonical_type_through_to_every_reader(lake, most_bytes):
    columns = {name: pa.array([*values, None], kind) for name, (kind, values, _, _) in CANONICAL.items()}
    columns["weight"] = pa.array([os.urandom(most_bytes), b"", None], pa.binary())
    batch = lake.source("types", key=["id"]).batch(1, pa.table({"id": [1, 2, 3], **columns}))
    refine(batch, lake.bucket)
    publish(batch, lake.bucket)
    schema = delta_table(table_uri(lake.bucket, "silver", "types")).to_pyarrow_table().schema
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
        built = build(model, lake.bucket)
    assert isinstance(built, Built)
    assert built.how == "incremental"
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
    folder = Path(given(given(importlib.util.find_spec("duckdb_extension_httpfs")).submodule_search_locations)[0])
    assert (folder / "extensions" / f"v{duckdb.__version__}").is_dir()
    with duckdb_connection() as connection:
        home = connection.execute("SELECT current_setting('temp_directory'), current_setting('TimeZone')").fetchone()
    assert Path(given(home)[0]).is_relative_to(tempfile.gettempdir())
    assert given(home)[1] == "UTC"


def test_should_bound_duckdbs_memory_by_the_functions(lake_environment, monkeypatch):
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1000")
    with duckdb_connection() as connection:
        limit = given(connection.execute("SELECT current_setting('memory_limit')").fetchone())[0]
    assert limit == "400.0 MiB"
