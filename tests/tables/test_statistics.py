"""What the log says of a file: bounds never inside the values, in the words of Delta, and read by deltalake itself."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from flowforge.silver.refine import refine
from flowforge.tables.delta.statistics import delta_statistics
from flowforge.tables.lake import table_uri
from tests.helpers.lake import delta_table


def told(kind: str, least: str, most: str, **figures: str) -> tuple | None:
    found = json.loads(delta_statistics(3, {'a"b': kind}, {'a"b': {"min": least, "max": most, **figures}}))
    assert found["numRecords"] == 3
    return (found["minValues"]['a"b'], found["maxValues"]['a"b']) if found["minValues"] else None


@pytest.mark.parametrize(
    ("kind", "least", "most", "expected"),
    [
        ("BIGINT", "-9223372036854775808", "9007199254740993", (-9223372036854775808, 9007199254740993)),
        ("DATE", "0001-01-01", "2024-02-29", ("0001-01-01", "2024-02-29")),
        ("DATE", "0044-03-15 (BC)", "2024-02-29", None),
        ("TIMESTAMP", "2024-01-01 00:00:00.123456", "2024-01-01 00:00:00.123456",
         ("2024-01-01T00:00:00.123", "2024-01-01T00:00:00.124")),
        ("TIMESTAMP", "2024-01-01 00:00:00", "9999-12-31 23:59:59.999999", None),
        ("TIMESTAMP WITH TIME ZONE", "2024-01-01 00:00:00.0001+00", "2024-01-01 02:00:00+02",
         ("2024-01-01T00:00:00.000Z", "2024-01-01T00:00:00.000Z")),
        ("DECIMAL(38,2)", "-0.10", "89999.97", (-0.1, 89999.97)),
        ("DECIMAL(38,2)", "0.10", "12345678901234567890.12", None),
        ("DOUBLE", "1.5", "inf", None),
        ("VARCHAR", "a", "é" * 64, ("a", "é" * 64)),
        ("VARCHAR", "a", "é" * 65, None),
        ("BLOB", "00", "FF", None),
    ],
)  # fmt: skip
def test_should_tell_bounds_that_hold_or_none(kind, least, most, expected):
    assert told(kind, least, most) == expected


def test_should_tell_no_bounds_where_a_value_is_no_number():
    assert told("DOUBLE", "1.0", "3.0", has_nan="true") is None


def test_should_be_understood_by_deltalake(lake):
    at = datetime(2024, 1, 1, 0, 0, 0, 123456)
    table = pa.table(
        {
            "id": pa.array([7, 3], pa.int16()),
            "day": [date(2024, 1, 2), None],
            "local": pa.array([at, at], pa.timestamp("us")),
            "instant": pa.array([at.replace(tzinfo=UTC)] * 2, pa.timestamp("us", "UTC")),
            "price": pa.array([Decimal("1.50"), Decimal("-2.25")], pa.decimal128(10, 2)),
            "name": ["b", 'a"'],
        }
    )
    refine(lake.source(key=["id"]).batch(1, table), lake.bucket)
    actions = delta_table(table_uri(lake.bucket, "silver", "customers")).get_add_actions(flatten=True)
    (found,) = pa.table(actions).to_pylist()
    bounds = {name: (found[f"min.{name}"], found[f"max.{name}"]) for name in ("id", "day", "price", "name")}
    assert bounds == {
        "id": (3, 7),
        "day": (date(2024, 1, 2), date(2024, 1, 2)),
        "price": (Decimal("-2.25"), Decimal("1.50")),
        "name": ('a"', "b"),
    }
    assert (found["num_records"], found["null_count.day"], found["null_count.id"]) == (2, 1, 0)
    for name, zone in (("local", None), ("instant", UTC)):
        low, high = found[f"min.{name}"], found[f"max.{name}"]
        assert low <= at.replace(tzinfo=zone) <= high
        assert (high - low).total_seconds() == 0.001
