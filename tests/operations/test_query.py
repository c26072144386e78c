"""Questions to the lake, as the command line asks them."""

import datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from flowforge.domain.errors import NotFound, QueryRefused
from flowforge.gold.publish import publish
from flowforge.operations.json_values import json_value
from flowforge.operations.query import query
from flowforge.silver.refine import refine

UTC = datetime.UTC


@pytest.fixture
def filled(lake):
    at = datetime.datetime(2024, 5, 6, 7, 8, 9, 123456)
    data = pa.table(
        {
            "id": [1],
            "amount": pa.array([Decimal("12.3400")], pa.decimal128(38, 4)),
            "at": pa.array([at], pa.timestamp("us")),
            "seen": pa.array([at], pa.timestamp("us", "UTC")),
            "raw": [b"\x00\xff"],
        }
    )
    batch = lake.source(key=["id"], gold={"table": "out"}).batch(1, data)
    refine(batch, lake.bucket)
    publish(batch, lake.bucket)
    return lake


def test_should_answer_over_all_layers(filled):
    answer = query(
        "SELECT b.id, s._seq, g.amount, g.at, g.seen, g.raw FROM gold.out g JOIN silver.customers s USING (id) "
        "JOIN bronze.bronze_customers b USING (id)",
        filled.bucket,
    )
    at = datetime.datetime(2024, 5, 6, 7, 8, 9, 123456)
    assert answer.columns == ["id", "_seq", "amount", "at", "seen", "raw"]
    assert answer.rows == [(1, 1, Decimal("12.3400"), at, at.replace(tzinfo=UTC), b"\x00\xff")]
    assert answer.seconds > 0
    assert json_value(answer.rows) == [
        [1, 1, "12.3400", "2024-05-06T07:08:09.123456", "2024-05-06T07:08:09.123456+00:00", "AP8="]
    ]


def test_should_name_the_tables_that_exist_when_one_is_unknown(filled):
    with pytest.raises(NotFound) as missing:
        query("SELECT * FROM silver.nothing", filled.bucket)
    assert "no table silver.nothing" in str(missing.value)
    assert missing.value.remedy == "there are: bronze.bronze_customers, gold.out, silver.customers"
    with pytest.raises(NotFound) as missing:
        query("SELECT * FROM gold.custmers", filled.bucket)
    assert missing.value.remedy == "did you mean silver.customers?"


def test_should_refuse_writing_and_mistakes(filled):
    with pytest.raises(QueryRefused, match="DELETE is not allowed"):
        query("DELETE FROM silver.customers", filled.bucket)
    with pytest.raises(QueryRefused, match="amuont"):
        query("SELECT amuont FROM gold.out", filled.bucket)


def test_should_answer_without_any_table(lake):
    assert query("SELECT 1 AS one, 2 AS one", lake.bucket).rows == [(1, 2)]


def test_should_keep_json_values_exact():
    given = [float("nan"), Decimal("1E+3"), datetime.timedelta(days=1), {"a": (b"x", None)}, 2**63]
    assert json_value(given) == ["nan", "1000", "1 day, 0:00:00", {"a": ["eA==", None]}, 2**63]


def test_should_stop_a_query_whose_time_is_over(lake):
    endless = "WITH RECURSIVE t(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM t) SELECT max(n) FROM t"
    with pytest.raises(QueryRefused, match="was stopped"):
        query(endless, lake.bucket, most_seconds=0.1)


def test_should_answer_so_many_rows_and_tell_that_there_are_more(filled):
    assert query("SELECT 1 FROM range(3)", filled.bucket, most_rows=3).more is False
    found = query("SELECT 1 FROM range(3)", filled.bucket, most_rows=2)
    assert (len(found.rows), found.more) == (2, True)
