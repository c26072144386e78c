"""Texts become the contract's types exactly or are rejects: no value is rounded, cut or guessed, and no record is lost."""

import json
import math
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.files import FileColumn, UnknownColumns
from flowforge.domain.errors import UnsupportedSource
from flowforge.sources.files.casting import Cast, cast_portion, casting_for
from flowforge.sources.files.rejected import LONGEST_RAW, Portion, Rejected
from tests.helpers.examples import examples

WITHOUT_SURROGATES = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
STAMPS = st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29))


def portion_of(rejected: Sequence[Rejected] = (), **fields: Sequence[str | None]) -> Portion:
    texts = pa.RecordBatch.from_pydict({name: pa.array(values, pa.string()) for name, values in fields.items()})
    return Portion(texts, pa.array(range(1, texts.num_rows + 1), pa.int64()), list(rejected))


def cast(portion: Portion, *columns: FileColumn, unknown: UnknownColumns = "refuse") -> Cast:
    return cast_portion(portion, casting_for(portion.texts.schema.names, columns, unknown, "a.csv"))


def column(type: str, name: str = "a", **more: Any) -> FileColumn:
    return FileColumn(name=name, field=name, type=type, **more)


def one(text: str, type: str, **more: Any) -> Any:
    """The value that a text becomes, or the reason of its reject."""
    found = cast(portion_of(a=[text]), column(type, **more))
    assert found.rows.num_rows + len(found.rejected) == 1
    return found.rejected[0].reason if found.rejected else found.rows.column(0)[0].as_py()


CAST = [
    ("text", {}, "00123", "00123"),
    ("text", {}, "+4930", "+4930"),
    ("text", {}, "1E5", "1E5"),
    ("text", {}, "", ""),
    ("boolean", {}, "TRUE", True),
    ("boolean", {}, "false", False),
    ("boolean", {}, "0", False),
    ("bigint", {}, "-9223372036854775808", -(2**63)),
    ("bigint", {}, "9007199254740993", 9007199254740993),
    ("double", {}, "1E5", 1e5),
    ("double", {"decimal_comma": True}, "0,1", 0.1),
    ("double", {}, "-Infinity", -math.inf),
    ("decimal(5,2)", {}, "1.10", Decimal("1.10")),
    ("decimal(5,2)", {"decimal_comma": True}, "-999,99", Decimal("-999.99")),
    ("decimal(2,2)", {}, "0.05", Decimal("0.05")),
    ("decimal(9,2)", {"decimal_comma": True, "thousands": "."}, "-1.234.567,89", Decimal("-1234567.89")),
    ("decimal(9,2)", {"decimal_comma": True, "thousands": "."}, "1234,5", Decimal("1234.50")),
    ("decimal(9,2)", {"thousands": "'"}, "12'345.6", Decimal("12345.60")),
    ("double", {"thousands": ","}, "1,000", 1000.0),
    ("bigint", {"thousands": " "}, "9 007 199 254 740 993", 9007199254740993),
    ("date", {}, "2024-02-29", date(2024, 2, 29)),
    ("date", {"pattern": "dd.MM.yyyy"}, "29.02.2000", date(2000, 2, 29)),
    ("date", {"pattern": "d/M/yyyy"}, "1/12/2024", date(2024, 12, 1)),
    ("timestamp", {}, "2024-01-01 10:00", datetime(2024, 1, 1, 10)),
    ("timestamp", {}, "2024-01-01T10:00:00.123456000", datetime(2024, 1, 1, 10, 0, 0, 123456)),
    ("timestamp", {"pattern": "dd.MM.yyyy"}, "01.02.1969 23:59:59.5", datetime(1969, 2, 1, 23, 59, 59, 500000)),
    ("timestamp", {"pattern": "yyyyMMdd'T'HHmmss.SSS"}, "20240102T030405.678", datetime(2024, 1, 2, 3, 4, 5, 678000)),
    ("timestamp with zone", {}, "2024-01-01T00:30:00+02:00", datetime(2023, 12, 31, 22, 30, tzinfo=UTC)),
    ("timestamp with zone", {}, "2024-01-01T00:30:00 Z", datetime(2024, 1, 1, 0, 30, tzinfo=UTC)),
    ("json", {}, '{"a": 1.10, "a":  2}', '{"a": 1.10, "a":  2}'),
]
REJECTED = [
    ("decimal(9,2)", {"decimal_comma": True, "thousands": "."}, "12.34,5", "each three digits"),
    ("decimal(9,2)", {"decimal_comma": True, "thousands": "."}, "1234.567,5", "each three digits"),
    ("decimal(9,2)", {"thousands": ","}, "1,234.567", "3 digits behind"),
    ("bigint", {"thousands": "."}, "0.123", "leading zeros"),
    ("bigint", {"thousands": "."}, ".", "each three digits"),
    ("boolean", {}, "yes", "none of true, false, 1, 0"),
    ("bigint", {}, "00123", "leading zeros"),
    ("bigint", {}, "+49", "begins with +"),
    ("bigint", {}, "1E5", "exponent"),
    ("bigint", {}, "1.0", "no whole number"),
    ("bigint", {}, "9223372036854775808", "beyond 64 bits"),
    ("bigint", {}, "-9223372036854775809", "beyond 64 bits"),
    ("bigint", {}, "1\n", "blanks"),
    ("bigint", {}, "", "it is empty"),
    ("bigint", {}, "٣", "no whole number"),
    ("double", {}, "1e400", "too great"),
    ("double", {}, "1e-400", "too small"),
    ("double", {}, "1,5", "with a point"),
    ("decimal(5,2)", {}, "1.101", "3 digits behind the point, decimal(5,2) has 2"),
    ("decimal(5,2)", {}, "1234.5", "more digits than decimal(5,2) holds"),
    ("decimal(5,2)", {}, "1E2", "exponent"),
    ("decimal(5,2)", {"decimal_comma": True}, "1.10", "with a comma"),
    ("date", {"pattern": "dd.MM.yyyy"}, "29.02.2023", "no such day"),
    ("date", {}, "1900-02-29", "no such day"),
    ("date", {}, "0000-01-01", "no such day"),
    ("date", {}, "2024-01-01 00:00", "form"),
    ("timestamp", {}, "2024-01-01T10:00:00.1234567", "finer than microseconds"),
    ("timestamp", {}, "2024-01-01T24:00:00", "form"),
    ("timestamp", {}, "2024-01-01T10:00:00Z", "form"),
    ("timestamp with zone", {}, "2024-01-01T10:00:00", "form"),
    ("timestamp with zone", {}, "0001-01-01T00:00:00+01:00", "years 1 to 9999"),
    ("timestamp with zone", {}, "2024-01-01T00:00:00+24:00", "zone"),
    ("json", {}, "{'a': 1}", "no JSON"),
    ("json", {}, '{"a": NaN}', "no JSON"),
    ("json", {}, "[" * 100_000, "no JSON"),
]


@pytest.mark.parametrize(("kind", "more", "text", "value"), CAST)
def test_should_cast_exactly_what_a_text_is(kind: str, more: dict[str, Any], text: str, value: object) -> None:
    assert one(text, kind, **more) == value


@pytest.mark.parametrize(("kind", "more", "text", "reason"), REJECTED)
def test_should_reject_a_text_that_its_type_does_not_hold(
    kind: str, more: dict[str, Any], text: str, reason: str
) -> None:
    found = one(text, kind, **more)

    assert reason in found
    assert len(text.strip()) < 4 or text not in found, "a reason goes to logs: it shows no value"


def test_should_tell_the_first_column_of_a_bad_record_once_and_keep_the_others() -> None:
    before = Rejected(3, 4, 30, "x;y;z", "it has 3 fields", "")
    portion = portion_of(
        [before], a=["1", "x", None, "4"], b=["2024-01-01", "x", "2024-01-01", "29.02.2023"], c=["é"] * 4
    )
    portion = Portion(
        portion.texts, pa.array([1, 2, 4, 5]), portion.rejected, pa.array([2, 3, 5, 6]), pa.array([8, 16, 40, 60])
    )

    found = cast(portion, column("date", "b"), column("bigint", "a", nullable=False), column("text", "c"))

    assert found.rows.to_pylist() == [{"b": date(2024, 1, 1), "a": 1, "c": "é", "_row_number": 1}]
    assert [(bad.row_number, bad.line, bad.byte_offset, bad.column) for bad in found.rejected] == [
        (2, 3, 16, "b"),
        (3, 4, 30, ""),
        (4, 5, 40, "a"),
        (5, 6, 60, "b"),
    ]
    assert json.loads(found.rejected[0].raw) == {"a": "x", "b": "x", "c": "é"}
    assert "NULL" in found.rejected[2].reason


def test_should_cut_the_raw_text_of_a_reject_and_say_so() -> None:
    raw = cast(portion_of(a=["x" * 100_000]), column("bigint")).rejected[0].raw

    assert len(raw) < LONGEST_RAW + 50
    assert raw.endswith("(cut: 100,009 characters)")


def test_should_keep_nulls_of_every_type() -> None:
    kinds = [
        "text",
        "boolean",
        "bigint",
        "double",
        "decimal(38,38)",
        "date",
        "timestamp",
        "timestamp with zone",
        "json",
    ]
    names = [f"c{place}" for place in range(len(kinds))]
    nothing: dict[str, Sequence[str | None]] = {name: [None, None] for name in names}

    found = cast(portion_of((), **nothing), *map(column, kinds, names))

    assert found.rows.num_rows == 2
    assert not found.rejected
    assert all(found.rows[name].null_count == 2 for name in names)


def test_should_refuse_add_or_rescue_what_the_contract_does_not_know() -> None:
    portion = portion_of(a=["1", "2"], b=["x", None], c=[None, None])

    with pytest.raises(UnsupportedSource, match=r"does not know: 'b', 'c'"):
        cast(portion, column("bigint"))
    assert cast(portion, column("bigint"), unknown="add").rows.schema.names == ["a", "b", "c", "_row_number"]
    rescued = cast(portion, column("bigint"), unknown="rescue").rows
    assert rescued.schema.names == ["a", "_row_number", "_rescued"]
    assert rescued["_rescued"].to_pylist() == ['{"b": "x"}', None]


def test_should_refuse_a_field_that_only_later_records_have() -> None:
    casting = casting_for(["a"], [column("text")], "refuse", "a.json")

    with pytest.raises(UnsupportedSource, match=r"from 1 on have fields that have no column: 'b'"):
        cast_portion(portion_of(a=["1"], b=["2"]), casting)


def test_should_give_null_for_an_absent_column_unless_it_never_is_null() -> None:
    portion = portion_of(a=["1"])

    with pytest.raises(UnsupportedSource, match="lacks columns of the job: 'b'"):
        cast(portion, column("text"), column("bigint", "b"))
    with pytest.raises(UnsupportedSource, match="lacks columns of the job: 'b'"):
        cast(portion, column("text"), column("bigint", "b", nullable=False), unknown="rescue")
    assert cast(portion, column("text"), column("bigint", "b"), unknown="add").rows["b"].to_pylist() == [None]


@pytest.mark.parametrize(
    ("columns", "error"),
    [
        ([column("int")], "'int', which files do not have"),
        ([column("decimal(39,0)")], "1 to 38 digits"),
        ([column("decimal(2,3)")], "1 to 38 digits"),
        ([column("date", pattern="dd.MM.yy")], "has 'yy', which is not read"),
        ([column("date", pattern="MM.yyyy")], "has no day"),
        ([column("date", pattern="yyyy-MM-dd HH")], "a date would lose"),
        ([column("timestamp", pattern="yyyy-MM-dd HH:mmX")], "the type is timestamp with zone"),
        ([FileColumn(name="A", field="a"), FileColumn(name="a", field="a")], "have one name: 'A' and 'a'"),
        ([FileColumn(name="_row_number", field="a")], "this lake's own"),
    ],
)
def test_should_refuse_a_contract_that_cannot_be_kept(columns: list[FileColumn], error: str) -> None:
    with pytest.raises(UnsupportedSource) as found:
        casting_for(["a"], columns, "refuse", "a.csv")

    assert error in found.value.with_remedy


def test_should_refuse_two_fields_of_one_name() -> None:
    with pytest.raises(UnsupportedSource, match="'Id' and 'ID'"):
        casting_for(["Id", "x", "ID"], [], "refuse", "a.csv")


@settings(max_examples=examples(60), deadline=None)
@given(
    whole=st.integers(-(2**63), 2**63 - 1),
    real=st.floats(allow_nan=False, allow_infinity=False),
    number=st.decimals(Decimal(-(10**20)), Decimal(10**20), places=9),
    day=st.dates(),
    stamp=STAMPS,
    hours=st.integers(-23, 23),
)
def test_should_read_back_every_value_that_was_printed(
    whole: int, real: float, number: Decimal, day: date, stamp: datetime, hours: int
) -> None:
    zoned = stamp.replace(tzinfo=timezone(timedelta(hours=hours)))

    assert one(str(whole), "bigint") == whole
    assert one(repr(real), "double") == real
    assert one(f"{number:f}", "decimal(38,9)") == number
    assert one(f"{number:f}".replace(".", ","), "decimal(38,9)", decimal_comma=True) == number
    assert one(day.isoformat(), "date") == day
    assert one(f"{day.day:02}.{day.month:02}.{day.year:04}", "date", pattern="dd.MM.yyyy") == day
    assert one(f"{day.month}/{day.day}/{day.year:04}", "date", pattern="M/d/yyyy") == day
    assert one(stamp.isoformat(), "timestamp") == stamp
    assert one(zoned.isoformat(" "), "timestamp with zone") == zoned


ODD = st.one_of(
    WITHOUT_SURROGATES,
    st.from_regex(r"\A[-+ ]?[0-9]{1,40}([.,][0-9]{0,40})?([eE][-+]?[0-9]{1,4})?\Z"),
    st.from_regex(
        r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?( ?[-+][0-9]{4})?)?\Z"
    ),
)


@settings(max_examples=examples(60), deadline=None)
@given(texts=st.lists(st.one_of(st.none(), ODD), min_size=1, max_size=8))
def test_should_cast_exactly_or_reject_any_text_and_never_stop(texts: list[str | None]) -> None:
    kinds = [
        "bigint",
        "double",
        "decimal(38,10)",
        "decimal(3,3)",
        "boolean",
        "date",
        "timestamp",
        "timestamp with zone",
    ]
    for kind in [*kinds, "json", "text"]:
        found = cast(portion_of(a=texts), column(kind))
        numbers = found.rows["_row_number"].to_pylist() + [bad.row_number for bad in found.rejected]
        assert sorted(numbers) == list(range(1, len(texts) + 1))
        for number, value in zip(found.rows["_row_number"].to_pylist(), found.rows["a"].to_pylist(), strict=True):
            text = texts[number - 1]
            if text is None or kind in ("text", "json"):
                assert value == text
            elif kind == "bigint" or kind.startswith("decimal"):
                assert Decimal(value) == Decimal(text)
            elif kind == "double":
                assert value == float(text)
            elif kind == "date":
                assert value.isoformat() == text
