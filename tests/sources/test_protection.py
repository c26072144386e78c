"""What becomes of personal data: one form of a value for hmac, whatever its type, and nothing of it left by the others."""

import datetime as dt
import hashlib
import hmac
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.targets import SourceTable
from flowforge.domain.errors import UnknownColumn, UnsupportedSource
from flowforge.domain.source_columns import Protection, SourceColumn
from flowforge.sources.protected_reader import ProtectedReader
from flowforge.sources.protection import protected_columns
from flowforge.sources.reports import ReadReport
from tests.helpers.examples import examples

KEY = bytes(range(32))


class Rows:
    """A reader of one batch of one column."""

    def __init__(self, values: pa.Array):
        self.schema = pa.schema([pa.field("v", values.type, False, metadata={"sql_type": "x"})])
        self._batch = pa.RecordBatch.from_arrays([values], schema=self.schema)

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        yield self._batch.slice(0, 1)
        yield self._batch.slice(1)

    def __enter__(self) -> "Rows":
        return self

    def __exit__(self, *exception: object) -> None: ...

    def report(self) -> ReadReport:
        return ReadReport("snapshot")

    def close(self) -> None: ...


def protected(how: str, values: list[Any], kind: pa.DataType) -> list[Any]:
    column = SourceColumn(name="v", type="text", protection=Protection(how=how, secret="s", key_id="k"))
    reader = ProtectedReader(Rows(pa.array(values, kind)), [column], {"s": KEY})
    assert reader.report().consistency == "snapshot"
    batches = list(reader)
    assert all(batch.schema == reader.schema for batch in batches)
    return [value for batch in batches for value in batch.column(0).to_pylist()]


def hashed(text: str | bytes) -> str:
    return hmac.new(KEY, text.encode() if isinstance(text, str) else text, hashlib.sha256).hexdigest()


MOMENT = dt.datetime(2024, 1, 31, 10, 0, 0, 500_000)


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        (pa.string(), "Müller ", "Müller"),
        (pa.int64(), -42, "-42"),
        (pa.uint8(), 7, "7"),
        (pa.decimal128(12, 2), Decimal("10.50"), "10.5"),
        (pa.decimal128(12, 2), Decimal("1000.00"), "1000"),
        (pa.decimal128(12, 2), Decimal("0.00"), "0"),
        (pa.bool_(), True, "1"),
        (pa.date32(), dt.date(2024, 1, 31), "2024-01-31"),
        (pa.timestamp("us"), MOMENT, "2024-01-31 10:00:00.5"),
        (pa.timestamp("ms"), MOMENT.replace(microsecond=0), "2024-01-31 10:00:00"),
        (pa.timestamp("us", tz="UTC"), MOMENT.replace(tzinfo=dt.UTC), "2024-01-31 10:00:00.5"),
        (pa.binary(), b"\x00\xff", b"\x00\xff"),
    ],
    ids=str,
)
def test_should_hash_a_value_in_one_form_whatever_its_type(kind, value, text):
    assert protected("hmac", [value, None, value], kind) == [hashed(text), None, hashed(text)]


@given(st.integers(-(10**17), 10**17))
@settings(max_examples=examples(50))
def test_should_join_a_number_to_its_text_and_to_its_decimal(number):
    ways = [(pa.int64(), number), (pa.string(), str(number)), (pa.decimal128(20, 2), Decimal(number))]
    assert len({tuple(protected("hmac", [value, value], kind)) for kind, value in ways}) == 1


@given(st.text(max_size=12), st.integers(1, 12))
@settings(max_examples=examples(100))
def test_should_show_the_last_characters_of_longer_texts_alone(text, shown):
    (found, _) = protected(f"partial({shown})", [text, None], pa.string())
    assert len(found) == len(text)
    assert found == ("*" * (len(text) - shown) + text[-shown:] if len(text) > shown else "*" * len(text))


def test_should_put_values_into_buckets_of_their_own_type():
    assert protected("bucket(100)", [250, -250, 99, None], pa.int32()) == [200, -200, 0, None]
    assert protected("bucket(1000)", [-(2**63), 2**63 - 1], pa.int64()) == [
        -(2**63) // 1000 * 1000 + 1000,
        2**63 // 1000 * 1000,
    ]
    assert protected("bucket(10)", [Decimal("-99.99"), Decimal("19.99")], pa.decimal128(4, 2)) == [-90, 10]
    assert protected("bucket", [dt.date(1987, 6, 5), None], pa.date32()) == [dt.date(1987, 1, 1), None]
    assert protected("bucket", [MOMENT, MOMENT], pa.timestamp("us")) == [dt.datetime(2024, 1, 1)] * 2
    assert protected("null", [1, 2], pa.int32()) == [None, None]
    assert protected("partial(2)", [123456, 12], pa.int32()) == ["****56", "**"]


@pytest.mark.parametrize(
    ("how", "kind", "told"),
    [
        ("hmac", "double", "hmac of 'v'"),
        ("hmac", "time(7)", "hmac of 'v'"),
        ("partial(4)", "decimal(9,2)", "null and drop are for all"),
        ("bucket", "integer", "null and drop are for all"),
        ("bucket(10)", "date", "null and drop are for all"),
    ],
)
def test_should_refuse_what_a_type_does_not_allow(how, kind, told):
    column = SourceColumn(name="v", type=kind, sql_type="")
    with pytest.raises(UnsupportedSource) as caught:
        protected_columns([column], SourceTable(table_name="t", protect={"V": how}), [], "dbo.t")
    assert told in caught.value.with_remedy and "dbo.t: databaseConfig.protect" in str(caught.value)


def test_should_protect_no_key_no_cursor_and_nothing_that_is_not_read():
    column = SourceColumn(name="v", type="text", sql_type="nvarchar(9)")
    wanted = SourceTable(table_name="t", protect={"V": "null"})
    with pytest.raises(UnsupportedSource, match="'v', which is a key or a cursor"):
        protected_columns([column], wanted, ["v"], "dbo.t")
    with pytest.raises(UnknownColumn, match="names v, which is not read"):
        protected_columns([], wanted, [], "dbo.t")
    derived = SourceColumn(name="v_offset", type="smallint", derivation="offset", of="v")
    (found,) = protected_columns([column, derived], wanted, [], "dbo.t")
    assert found.nullable and found.protection == Protection(how="null")
