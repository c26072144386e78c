"""Declarations of SQL Server types: parsed, used as cursors, floored, and brought to Arrow."""

import datetime as dt

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowforge.domain.errors import SourceChanged, UnsupportedSource
from flowforge.domain.source_columns import SourceColumn
from flowforge.sources.sqlserver.arrow_types import arrow_schema, arrow_type, canonical_batch, times_from_text
from flowforge.sources.sqlserver.batch_rows import (
    BATCH_BYTES,
    FIRST_LARGE_ROWS,
    LARGE_BATCH_BYTES,
    LEAST_BATCH_ROWS,
    BatchRows,
)
from flowforge.sources.sqlserver.sql_types import (
    cursor_kind,
    declared_bytes,
    floor_literal,
    lowest_literal,
    parse_sql_type,
)

CANONICAL = {
    "bit": pa.bool_(), "tinyint": pa.uint8(), "smallint": pa.int16(), "int": pa.int32(), "bigint": pa.int64(),
    "real": pa.float32(), "float": pa.float64(), "float(53)": pa.float64(), "float(24)": pa.float32(),
    "decimal(15,2)": pa.decimal128(15, 2), "numeric(38,0)": pa.decimal128(38, 0), "decimal": pa.decimal128(18, 0),
    "money": pa.decimal128(19, 4), "smallmoney": pa.decimal128(10, 4), "date": pa.date32(),
    "time": pa.time64("ns"), "time(7)": pa.time64("ns"), "time(6)": pa.time64("us"), "time(0)": pa.time64("us"),
    "smalldatetime": pa.timestamp("ms"), "datetime": pa.timestamp("ms"),
    "datetime2": pa.timestamp("us"), "datetime2(3)": pa.timestamp("us"),
    "datetimeoffset(7)": pa.timestamp("us", tz="UTC"), "uniqueidentifier": pa.string(),
    "char(10)": pa.string(), "varchar(max)": pa.string(), "nchar(4)": pa.string(), "nvarchar(50)": pa.string(),
    "text": pa.string(), "ntext": pa.string(), "xml": pa.string(), "sysname": pa.string(), "sql_variant": pa.string(),
    "binary(4)": pa.binary(), "varbinary(max)": pa.binary(), "image": pa.binary(), "geometry": pa.binary(),
    "geography": pa.binary(), "hierarchyid": pa.string(), "rowversion": pa.binary(8), "timestamp": pa.binary(8),
}  # fmt: skip


@pytest.mark.parametrize(("sql_type", "expected"), CANONICAL.items())
def test_should_map_every_declaration_to_its_canonical_arrow_type(sql_type, expected):
    assert arrow_type(sql_type) == expected


@pytest.mark.parametrize(
    "sql_type", ["cursor", "vector(3)", "", "int; DROP TABLE x", "decimal(15,2", "nvarchar(50) NULL"]
)
def test_should_refuse_a_type_it_does_not_know_and_name_it(sql_type):
    with pytest.raises(UnsupportedSource) as caught:
        parse_sql_type(sql_type)
    assert repr(sql_type) in str(caught.value) and caught.value.remedy


def test_should_keep_declaration_and_nullability_in_the_schema():
    schema = arrow_schema([SourceColumn(name="a b", sql_type="decimal(15,2)", nullable=False)])
    assert schema.field("a b").metadata == {b"sql_type": b"decimal(15,2)"}
    assert schema.field("a b").nullable is False


@pytest.mark.parametrize(
    ("sql_type", "kind"),
    [
        ("rowversion", "rowversion"), ("timestamp", "rowversion"), ("date", "timestamp"), ("datetime", "timestamp"),
        ("smalldatetime", "timestamp"), ("datetime2(7)", "timestamp"), ("datetimeoffset(3)", "timestamp"),
        ("tinyint", "integer"), ("bigint", "integer"), ("decimal(38,0)", "integer"), ("numeric(18)", "integer"),
        ("decimal(15,2)", None), ("float", None), ("nvarchar(50)", None), ("time(7)", None), ("bit", None),
        ("uniqueidentifier", None), ("money", None),
    ],
)  # fmt: skip
def test_should_tell_which_types_can_bound_an_incremental_load(sql_type, kind):
    assert cursor_kind(sql_type) == kind


@pytest.mark.parametrize(
    ("sql_type", "expected"),
    [
        ("date", "2026-11-23"), ("smalldatetime", "2026-11-23 23:59:00"), ("datetime", "2026-11-23 23:59:59.997"),
        ("datetime2(0)", "2026-11-23 23:59:59"), ("datetime2(3)", "2026-11-23 23:59:59.999"),
        ("datetime2(7)", "2026-11-23 23:59:59.9999999"), ("datetimeoffset(0)", "2026-11-23 23:59:59 +00:00"),
        ("datetimeoffset(7)", "2026-11-23 23:59:59.9999999 +00:00"),
    ],
)  # fmt: skip
def test_should_floor_a_server_time_to_the_cursors_unit_and_never_round_up(sql_type, expected):
    assert floor_literal("2026-11-23 23:59:59.9999999", sql_type) == expected


@given(st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(9999, 12, 31)))
def test_should_only_give_datetime_bounds_that_the_type_holds_exactly_and_that_are_not_later(moment):
    text = moment.strftime("%Y-%m-%d %H:%M:%S.%f").rjust(26, "0") + "0"
    floored = floor_literal(text, "datetime")
    assert floored[-1] in "037"
    assert floored <= text
    assert moment - dt.datetime.fromisoformat(floored) < dt.timedelta(milliseconds=4)


def test_should_know_a_bound_below_every_number_of_a_type():
    assert [lowest_literal(t) for t in ("tinyint", "int", "decimal(4,0)")] == ["0", "-2147483648", "-9999"]


def test_should_read_a_time_with_seven_digits_exactly_at_any_hour():
    texts = pa.array(["00:00:00.0000000", "23:59:59.9999999", None, "12:34:56.1234567"])
    nanoseconds = times_from_text(texts).cast(pa.int64()).to_pylist()
    assert nanoseconds == [0, 86_399_999_999_900, None, 45_296_123_456_700]


def test_should_refuse_values_that_the_described_type_cannot_hold_without_showing_them():
    schema = arrow_schema([SourceColumn(name="small", sql_type="tinyint")])
    batch = pa.RecordBatch.from_arrays([pa.array([1234567], pa.int64())], ["small"])
    with pytest.raises(SourceChanged) as caught:
        canonical_batch(batch, schema)
    assert "'small'" in str(caught.value) and "1234567" not in str(caught.value)


def test_should_refuse_a_result_with_other_columns_than_described():
    schema = arrow_schema([SourceColumn(name="a", sql_type="int"), SourceColumn(name="b", sql_type="int")])
    with pytest.raises(SourceChanged, match="returned 1 columns, 2 were described"):
        canonical_batch(pa.RecordBatch.from_arrays([pa.array([1], pa.int32())], ["a"]), schema)


@given(st.lists(st.sampled_from([t for t in CANONICAL if t != "sysname"]), min_size=1, max_size=300))
def test_should_bound_a_batch_in_bytes_whatever_the_columns(sql_types):
    rows = BatchRows([SourceColumn(name=f"c{n}", sql_type=t) for n, t in enumerate(sql_types)]).rows
    width = sum(declared_bytes(t) for t in sql_types)
    assert 1 <= rows <= 65_536
    assert rows * width <= BATCH_BYTES or rows <= LEAST_BATCH_ROWS


def test_should_fetch_fewer_rows_when_large_cells_arrive_and_more_when_they_do_not():
    size = BatchRows([SourceColumn(name="note", sql_type="nvarchar(max)")])
    assert size.rows == FIRST_LARGE_ROWS
    size.learn(pa.RecordBatch.from_pydict({"note": ["x" * 2**21] * size.rows}))
    assert size.rows * 2**21 <= LARGE_BATCH_BYTES
    fewer = size.rows
    size.learn(pa.RecordBatch.from_pydict({"note": ["x"] * size.rows}))
    assert size.rows == 2 * fewer
    size.learn(pa.RecordBatch.from_pydict({"note": ["x" * 2 * LARGE_BATCH_BYTES]}))
    assert size.rows == 1


def test_should_not_change_the_batch_of_a_table_whose_widths_are_declared():
    size = BatchRows([SourceColumn(name="name", sql_type="nvarchar(50)")], most=1000)
    size.learn(pa.RecordBatch.from_pydict({"name": ["x" * 10_000]}))
    assert size.rows == 1000
