"""Columns of a source that has neutral types and no words of its own, and columns in records of a version before."""

import json
from datetime import datetime
from io import BytesIO
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from flowforge.bronze.announcements import landed_fact
from flowforge.bronze.parquet import Encoder, read_footer
from flowforge.domain.interval import Interval
from flowforge.domain.source_columns import SourceColumn
from flowforge.silver.refine import refine
from flowforge.sources.sqlserver.sql_types import INTEGERS, PLAIN, SIZED, TIMES

TEXT = {"type": "text", "sql_type": ""}


def keys_of(lake: Any) -> list[str]:
    return sorted(row["code"] for row in lake.read("silver", "customers").to_pylist())


def test_should_tell_keys_of_texts_apart_by_each_sign(lake):
    source = lake.source(key=["code"], columns={"code": TEXT})
    refine(source.batch(1, pa.table({"code": ["a", "A", "a "]})), lake.bucket)
    refine(source.batch(2, pa.table({"code": ["a", "b"]})), lake.bucket)
    assert keys_of(lake) == ["A", "a", "a ", "b"]


def test_should_announce_columns_without_a_word_of_the_source(lake):
    columns = {"code": TEXT, "at": {"type": "time(7)", "sql_type": ""}}
    source_key = "srv:1433/db/dbo.customers>bronze_customers"
    batch = lake.source(columns=columns, source_key=source_key).batch(1, pa.table({"code": ["a"], "at": ["12:00:00"]}))
    assert landed_fact(batch).notes == [
        "at is time(7): silver and gold have the first six digits of its seconds, bronze has all seven"
    ]


@pytest.mark.parametrize(
    ("kind", "told"), [("timestamp", "2024-05-06 07:08:09.123456"), ("timestamp(0)", "2024-05-06 07:08:09")]
)
def test_should_keep_the_neutral_types_and_the_newest_value_in_the_footer(lake, kind, told):
    data = pa.table({"at": pa.array([datetime(2024, 5, 6, 7, 8, 9, 123456)], pa.timestamp("us"))})
    columns = [SourceColumn(name="at", type=kind)]
    batch = lake.source().batch(1, data).model_copy(update={"interval": Interval(column="at")})
    sink = BytesIO()
    encoder = Encoder(sink, data.schema, batch, columns, "data.csv")
    encoder.write(data.to_batches()[0])
    encoder.close()
    footer = read_footer(BytesIO(sink.getvalue()))
    assert footer is not None
    assert footer["max_cursor_value"] == told
    assert [SourceColumn(**column) for column in footer["columns"]] == columns
    assert columns[0].declared == kind
    assert pq.read_table(BytesIO(sink.getvalue())).num_rows == 1


@pytest.mark.parametrize(
    ("declared", "neutral"),
    [
        ("nvarchar(50)", {"type": "text", "padded": True, "code_page": False}),
        ("varchar(max)", {"type": "text", "padded": True, "code_page": True}),
        ("uniqueidentifier", {"type": "text", "padded": False}),
        ("varbinary(8)", {"type": "bytes", "padded": True}),
        ("rowversion", {"type": "bytes", "padded": False}),
        ("numeric(12,2)", {"type": "decimal(12,2)"}),
        ("money", {"type": "decimal(19,4)"}),
        ("tinyint", {"type": "smallint"}),
        ("float(24)", {"type": "real"}),
        ("datetime", {"type": "timestamp(3)"}),
        ("datetimeoffset", {"type": "timestamp(7) with zone"}),
    ],
)
def test_should_read_a_record_of_a_version_before(declared, neutral):
    column = SourceColumn(**json.loads(json.dumps({"name": "c", "sql_type": declared, "nullable": True})))
    assert column.model_dump(include=set(neutral)) == neutral
    assert column.declared == declared


def test_should_have_a_neutral_type_for_each_of_the_servers_types():
    words = {*INTEGERS, *PLAIN, *SIZED, *TIMES, "decimal"}
    assert [word for word in words if SourceColumn(name="c", sql_type=word).type == "other"] == []


@pytest.mark.parametrize("written", ["", "nvarchar(50)", "decimal", "text(3)", "integer with zone", "timestamp(1,2)"])
def test_should_refuse_a_column_without_a_neutral_type(written):
    with pytest.raises(ValidationError, match="is no type of a column"):
        SourceColumn(name="c", type=written)
