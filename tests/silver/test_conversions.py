"""A column's type is decided in the source's words; values are converted only if each one comes back equal."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowforge.domain.errors import Fatal, TransformRejected
from flowforge.domain.given import given as present
from flowforge.silver.casting import survives
from flowforge.silver.decisions import decide, schema_of
from flowforge.silver.refine import refine
from flowforge.silver.type_names import lake_type
from flowforge.tables.lake import open_table, table_uri

MONEY = pa.decimal128(12, 2)
AMOUNTS = [Decimal("13.44"), Decimal("0.10"), None, Decimal("9999999999.99")]
TYPES = ["BOOLEAN", "SMALLINT", "INTEGER", "BIGINT", "FLOAT", "DOUBLE", "VARCHAR", "BLOB", "DATE", "TIMESTAMP"]
TYPES += ["TIMESTAMP WITH TIME ZONE", "DECIMAL(12,2)", "DECIMAL(38,10)"]


def table_of(values: list[Any], kind: pa.DataType, first: int = 1) -> pa.Table:
    ids = pa.array(range(first, first + len(values)), pa.int32())
    return pa.table({"id": ids, "v": pa.array(values, kind)})


def values_of(lake: Any) -> list[Any]:
    rows = lake.read("silver", "customers").to_pylist()
    return [row["v"] for row in sorted(rows, key=lambda row: row["id"])]


def version(lake: Any) -> int:
    return present(open_table(table_uri(lake.bucket, "silver", "customers"))).version()


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("float", "DOUBLE"),
        ("FLOAT(53)", "DOUBLE"),
        ("float(24)", "FLOAT"),
        ("real", "FLOAT"),
        ("Double Precision", "DOUBLE"),
        ("bit", "BOOLEAN"),
        ("tinyint", "SMALLINT"),
        ("int", "INTEGER"),
        ("nvarchar(50)", "VARCHAR"),
        ("varchar(max)", "VARCHAR"),
        ("uniqueidentifier", "VARCHAR"),
        ("datetime", "TIMESTAMP"),
        ("datetime2(3)", "TIMESTAMP"),
        ("datetimeoffset", "TIMESTAMP WITH TIME ZONE"),
        ("money", "DECIMAL(19,4)"),
        ("numeric(10)", "DECIMAL(10,0)"),
        ("decimal( 12 , 2 )", "DECIMAL(12,2)"),
        ("rowversion", "BLOB"),
        ("varbinary(8)", "BLOB"),
    ],
)
def test_should_take_a_type_for_what_sql_server_means_by_it(written, meant):
    assert lake_type(written, "v") == meant


@pytest.mark.parametrize(
    ("written", "remedy"),
    [
        ("timestamp", "DATETIME2"),
        ("number", "DECIMAL"),
        ("decimal(39,2)", "38 digits"),
        ("decimal(4,5)", "38 digits"),
        ("geometry", "NVARCHAR"),
        ("varchar); DROP", "NVARCHAR"),
    ],
)
def test_should_refuse_a_type_that_means_nothing_or_several_things(written, remedy):
    with pytest.raises(Fatal) as refusal:
        lake_type(written, "v")
    assert remedy in refusal.value.remedy


def test_should_keep_every_cent_when_a_decimal_becomes_float_at_the_source(lake):
    source = lake.source(key=["id"])
    refine(source.batch(1, table_of(AMOUNTS, MONEY)), lake.bucket)
    floats = source.batch(2, table_of([13.44, 2.5], pa.float64(), first=2))
    with pytest.raises(TransformRejected, match=r"column v was DECIMAL\(12,2\) and is DOUBLE now"):
        refine(floats, lake.bucket)
    told = decide(lake.bucket, "customers", {"v": "FLOAT"}, None, False)
    assert told["decided_now"][0]["type"] == "DOUBLE"
    assert "64 bits" in told["decided_now"][0]["meaning"]
    refine(floats, lake.bucket)
    assert values_of(lake) == [13.44, 13.44, 2.5, 9999999999.99]


def test_should_touch_neither_table_nor_batch_when_one_value_would_change(lake):
    source = lake.source(key=["id"])
    refine(source.batch(1, table_of(AMOUNTS, MONEY)), lake.bucket)
    before = version(lake)
    decide(lake.bucket, "customers", {"v": "REAL"}, None, False)
    batch = source.batch(2, table_of([13.44, 0.5], pa.float64(), first=8))
    with pytest.raises(TransformRejected) as refusal:
        refine(batch, lake.bucket)
    told = str(refusal.value)
    assert "holds 3 values of v that would not come back equal from REAL (id 1, 2, 4, for example)" in told
    assert "the batch brings 1 value of v that would not come back equal from REAL (id 8, for example)" in told
    assert version(lake) == before + 1  # the decision itself
    assert values_of(lake) == AMOUNTS
    decide(lake.bucket, "customers", {"v": "DECIMAL(12,2)"}, None, False)
    refine(batch, lake.bucket)
    assert values_of(lake) == [*AMOUNTS, Decimal("13.44"), Decimal("0.50")]


def test_should_not_convert_a_table_for_a_batch_that_does_not_fit(lake):
    source = lake.source(key=["id"])
    refine(source.batch(1, table_of(["1", "20"], pa.string())), lake.bucket)
    decide(lake.bucket, "customers", {"v": "int"}, None, False)
    with pytest.raises(TransformRejected, match="the batch brings 1 value of v"):
        refine(source.batch(2, table_of(["007"], pa.string(), first=3)), lake.bucket)
    assert schema_of(lake.bucket, "customers")["columns"][1]["type"] == "VARCHAR"
    refine(source.batch(3, table_of(["7"], pa.string(), first=3)), lake.bucket)
    assert values_of(lake) == [1, 20, 7]


@pytest.mark.parametrize(
    ("values", "kind", "written", "after"),
    [
        (["2024-01-05", None], pa.string(), "date", [date(2024, 1, 5), None]),
        (["2024-01-05T10:00:00.500"], pa.string(), "datetime2", [datetime(2024, 1, 5, 10, 0, 0, 500_000)]),
        ([2**31 - 1, -5], pa.int64(), "int", [2**31 - 1, -5]),
        ([Decimal("13.44")], MONEY, "nvarchar(20)", ["13.44"]),
        ([1.5, 0.25], pa.float64(), "real", [1.5, 0.25]),
        ([13.44], pa.float64(), "decimal(12,2)", [Decimal("13.44")]),
    ],
)
def test_should_convert_what_comes_back_equal(lake, values, kind, written, after):
    source = lake.source(key=["id"])
    refine(source.batch(1, table_of(values, kind)), lake.bucket)
    decide(lake.bucket, "customers", {"v": written}, None, False)
    refine(source.batch(2, table_of(values, kind)), lake.bucket)
    assert values_of(lake) == after


@pytest.mark.parametrize(
    ("value", "kind", "written"),
    [
        ("2024-1-5", pa.string(), "date"),
        ("2024-01-05", pa.string(), "datetime"),
        ("2024-01-05T10:00:00+02:00", pa.string(), "datetimeoffset"),
        ("007", pa.string(), "int"),
        ("1e3", pa.string(), "float"),
        ("1", pa.string(), "bit"),
        (2**31, pa.int64(), "int"),
        (2**53 + 1, pa.int64(), "float"),
        (2, pa.int64(), "bit"),
        (13.445, pa.float64(), "decimal(12,2)"),
        (float("nan"), pa.float64(), "decimal(12,2)"),
        (datetime(2024, 1, 5, 10), pa.timestamp("us"), "date"),
        (5, pa.int32(), "date"),
    ],
)
def test_should_refuse_what_would_become_another_value(lake, value, kind, written):
    source = lake.source(key=["id"])
    refine(source.batch(1, table_of([value], kind)), lake.bucket)
    decide(lake.bucket, "customers", {"v": written}, None, False)
    with pytest.raises(TransformRejected, match="holds 1 value of v that would not come back equal"):
        refine(source.batch(2, table_of([None], kind, first=2)), lake.bucket)


def test_should_leave_the_values_alone_that_tell_rows_apart(lake):
    source = lake.source(key=["v"])
    refine(source.batch(1, table_of([Decimal("1.50")], MONEY)), lake.bucket)
    decide(lake.bucket, "customers", {"v": "float"}, None, False)
    with pytest.raises(TransformRejected, match="tells its rows apart by what the values of v look like"):
        refine(source.batch(2, table_of([2.5], pa.float64())), lake.bucket)


def test_should_not_decide_about_columns_of_its_own(lake):
    refine(lake.source(key=["id"]).batch(1, table_of([1], pa.int32())), lake.bucket)
    with pytest.raises(Fatal, match="is silver's own"):
        decide(lake.bucket, "customers", {"_seq": "int"}, None, False)


VALUES = {
    "BOOLEAN": st.booleans(),
    "SMALLINT": st.integers(-(2**15), 2**15 - 1),
    "INTEGER": st.integers(-(2**31), 2**31 - 1),
    "BIGINT": st.integers(-(2**63), 2**63 - 1),
    "FLOAT": st.floats(width=32),
    "DOUBLE": st.floats(),
    "VARCHAR": st.one_of(st.text(max_size=12), st.decimals(-999, 999, places=3).map(str), st.dates().map(str)),
    "BLOB": st.binary(max_size=8),
    "DATE": st.dates(),
    "TIMESTAMP": st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)),
    "TIMESTAMP WITH TIME ZONE": st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1)).map(
        lambda at: at.replace(tzinfo=UTC)
    ),
    "DECIMAL(12,2)": st.decimals(-(10**10) + 1, 10**10 - 1, places=2),
    "DECIMAL(38,10)": st.decimals(-(10**12), 10**12, places=10),
}


@pytest.fixture(scope="module")
def engine():
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection


@settings(deadline=None)
@given(st.sampled_from(TYPES), st.sampled_from(TYPES), st.data())
def test_should_answer_for_any_value_and_any_two_types(engine, before, after, data):
    value = data.draw(VALUES[before])
    row = f"(SELECT CAST(CAST($1 AS {'DOUBLE' if before == 'FLOAT' else before}) AS {before}) AS v)"
    kept = engine.execute(f"SELECT {survives('v', before, after)} FROM {row}", [value]).fetchone()[0]
    if before == after and kept is False:
        raise AssertionError(value)
    if kept:
        back = f"CAST(CAST(v AS {after}) AS {before}) IS NOT DISTINCT FROM v"
        alike = f"TRY_CAST(CAST(CAST(v AS {after}) AS VARCHAR) AS DOUBLE) IS NOT DISTINCT FROM TRY_CAST(v AS DOUBLE)"
        fair = f"CASE WHEN {before == 'VARCHAR'} THEN {back} OR {alike} ELSE {back} END"
        assert engine.execute(f"SELECT {fair} FROM {row}", [value]).fetchone() == (True,)
