"""Parquet arrives with its values as they are, or is refused by the name of the column; rows are those that the footer counts."""

import io
import itertools
import tracemalloc
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from events.files import FileColumn, FileContract, UnknownColumns
from flowforge.domain.errors import UnsupportedSource
from flowforge.sources.files.casting import cast_portion, casting_for
from flowforge.sources.files.container import look_into
from flowforge.sources.files.parquet_records import LARGE_GROUP, ParquetRecords
from flowforge.sources.files.records import open_records, splits_of
from flowforge.sources.files.rejected import Rejected


def written(table: pa.Table, **options: Any) -> bytes:
    body = io.BytesIO()
    pq.write_table(table, body, **options)
    return body.getvalue()


def opened(body: bytes, *columns: FileColumn, groups: list[int] | None = None) -> ParquetRecords:
    contract = FileContract(format="parquet", columns=list(columns))
    return ParquetRecords(look_into("a.parquet", len(body), lambda: io.BytesIO(body)), contract, groups)


def read(
    body: bytes, *columns: FileColumn, unknown: UnknownColumns = "refuse", groups: list[int] | None = None
) -> tuple[list[dict[str, Any]], list[Rejected]]:
    rows: list[dict[str, Any]] = []
    rejected: list[Rejected] = []
    with opened(body, *columns, groups=groups) as records:
        casting = casting_for(records.fields, records.columns, unknown, "a.parquet")
        for portion in records:
            found = cast_portion(portion, casting)
            rows += found.rows.to_pylist()
            rejected += found.rejected
        assert len(rows) + len(rejected) == records.counted()
    return rows, rejected


def column(name: str, type: str, **more: Any) -> FileColumn:
    return FileColumn(name=name, field=name, type=type, **more)


def test_should_read_every_type_as_the_file_has_it() -> None:
    values: dict[str, pa.Array] = {
        "i": pa.array([1, None], pa.int32()),
        "u": pa.array([2**64 - 1, None], pa.uint64()),
        "f": pa.array([0.5, None], pa.float32()),
        "n": pa.array([Decimal("1.10"), None], pa.decimal128(5, 2)),
        "d": pa.array([date(2024, 2, 29), None]),
        "t": pa.array([datetime(2024, 1, 1), None], pa.timestamp("ms")),
        "z": pa.array([datetime(2024, 1, 1, tzinfo=UTC), None], pa.timestamp("us", tz="Europe/Berlin")),
        "c": pa.array(["00123", None]).dictionary_encode(),
        "s": pa.array([{"a": [Decimal("1.10")], "b": "é", "c": float("nan")}, None]),
        "m": pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int64())),
    }

    rows, rejected = read(written(pa.table(values)))

    assert not rejected
    assert rows[0] == {
        "i": 1, "u": Decimal(2**64 - 1), "f": 0.5, "n": Decimal("1.10"), "d": date(2024, 2, 29), "t": datetime(2024, 1, 1),
        "z": datetime(2024, 1, 1, tzinfo=UTC), "c": "00123", "s": '{"a": ["1.10"], "b": "é", "c": "nan"}', "m": '{"k": 1}',
        "_row_number": 1,
    }  # fmt: skip
    assert {name for name, value in rows[1].items() if value is not None} == {"_row_number"}


@pytest.mark.parametrize(
    ("array", "kind", "value"),
    [
        (pa.array([7], pa.int32()), "bigint", 7),
        (pa.array([7], pa.int32()), "decimal(12,2)", Decimal("7.00")),
        (pa.array([7], pa.int32()), "double", 7.0),
        (pa.array([2**63 - 1], pa.int64()), "text", str(2**63 - 1)),
        (pa.array([Decimal("1.1")], pa.decimal128(3, 1)), "decimal(5,2)", Decimal("1.10")),
        (pa.array(["1.10"]), "decimal(5,2)", Decimal("1.10")),
        (pa.array([datetime(2024, 1, 1)], pa.timestamp("ns")), "timestamp", datetime(2024, 1, 1)),
    ],
)
def test_should_widen_what_loses_nothing(array: pa.Array, kind: str, value: object) -> None:
    assert read(written(pa.table({"a": array})), column("a", kind))[0] == [{"a": value, "_row_number": 1}]


@pytest.mark.parametrize(
    ("array", "kind"),
    [
        (pa.array([0.1]), "decimal(5,2)"),
        (pa.array([0.1]), "bigint"),
        (pa.array([1], pa.int64()), "double"),
        (pa.array([1], pa.int64()), "decimal(18,0)"),
        (pa.array([1], pa.uint64()), "bigint"),
        (pa.array([1], pa.int64()), "boolean"),
        (pa.array([1], pa.int64()), "json"),
        (pa.array([Decimal("1.10")], pa.decimal128(5, 2)), "decimal(5,1)"),
        (pa.array([Decimal("1.10")], pa.decimal128(5, 2)), "double"),
        (pa.array([datetime(2024, 1, 1)]), "date"),
        (pa.array([datetime(2024, 1, 1)]), "timestamp with zone"),
        (pa.array([datetime(2024, 1, 1, tzinfo=UTC)]), "timestamp"),
        (pa.array([b"\x00"]), "text"),
        (pa.array([[1]]), "bigint"),
    ],
)
def test_should_refuse_by_name_what_a_type_could_lose(array: pa.Array, kind: str) -> None:
    with pytest.raises(UnsupportedSource, match=r"column amount is .*, the contract says"):
        read(written(pa.table({"amount": array})), column("amount", kind))


def test_should_reject_a_record_with_nanoseconds_and_tell_the_type() -> None:
    body = written(pa.table({"a": pa.array([1_000, 1_001, None], pa.timestamp("ns"))}))

    rows, rejected = read(body, column("a", "timestamp"))

    assert [row["_row_number"] for row in rows] == [1, 3]
    assert [(bad.row_number, bad.column, bad.reason) for bad in rejected] == [
        (2, "a", "it is finer than microseconds; text keeps it")
    ]
    with opened(body) as records:
        assert records.notes == ["a has nanoseconds: records with digits below a microsecond are rejected"]


def test_should_read_int96_of_any_year_and_tell_it() -> None:
    table = pa.table({"a": pa.array([datetime(2024, 1, 1, 0, 0, 0, 7)])})
    body = written(table, use_deprecated_int96_timestamps=True)

    assert read(body, column("a", "timestamp"))[0][0]["a"] == datetime(2024, 1, 1, 0, 0, 0, 7)
    with opened(body) as records:
        assert "INT96" in records.notes[0]


def test_should_read_row_groups_alone_with_their_row_numbers_and_bytes() -> None:
    body = written(pa.table({"a": list(range(10)), "b": ["x"] * 10}), row_group_size=4)

    with opened(body) as records:
        assert [(group.first_row, group.rows) for group in records.row_groups] == [(1, 4), (5, 4), (9, 2)]
        ends = [group.start + group.size for group in records.row_groups]
        assert [group.start for group in records.row_groups[1:]] == ends[:-1]
    rows = read(body, groups=[2])[0]
    assert [(row["a"], row["_row_number"]) for row in rows] == [(8, 9), (9, 10)]


def test_should_be_the_whole_file_in_splits_of_whole_row_groups() -> None:
    table = pa.table({"a": list(range(1000)), "b": [f"x{n}" for n in range(1000)]})
    body = written(table, row_group_size=90, compression="none", use_dictionary=False)
    content = look_into("a.parquet", len(body), lambda: io.BytesIO(body))
    contract = FileContract(format="parquet", columns=[column("a", "bigint"), column("b", "text")])
    splits = splits_of(content, contract, 4_000)
    assert len(splits) > 3
    assert [one.end for one in splits] == [*(one.start for one in splits[1:]), None]
    assert all(behind.start - one.start >= 4_000 for one, behind in itertools.pairwise(splits))
    found: list[tuple[int, int]] = []
    for split in splits:
        with open_records(content, contract, split) as records:
            rows = [row for portion in records for row in zip(portion.row_numbers, portion.texts["a"], strict=True)]
            assert records.counted() == len(rows) == split.records
        found += [(number.as_py(), value.as_py()) for number, value in rows]
    assert found == [(value + 1, value) for value in range(1000)]


@pytest.mark.parametrize("rows", [0, 5], ids=["no rows", "one row group"])
def test_should_have_one_split_where_there_is_nothing_to_split(rows: int) -> None:
    body = written(pa.table({"a": pa.array(range(rows), pa.int64())}))
    content = look_into("a.parquet", len(body), lambda: io.BytesIO(body))
    (split,) = splits_of(content, FileContract(format="parquet"), 1)
    assert (split.records, split.end, split.is_first) == (rows, None, True)


def test_should_reject_null_in_a_column_that_never_is() -> None:
    rows, rejected = read(written(pa.table({"a": [1, None]})), column("a", "bigint", nullable=False))

    assert len(rows) == 1
    assert "NULL" in rejected[0].reason


def test_should_map_by_name_and_rescue_what_has_no_column() -> None:
    body = written(pa.table({"b": [Decimal("1.10")], "x": [[1, 2]], "a": [1]}))

    rows, _ = read(body, column("a", "bigint"), column("b", "text"), unknown="rescue")

    assert rows == [{"a": 1, "b": "1.10", "_row_number": 1, "_rescued": '{"x": "[1, 2]"}'}]
    with pytest.raises(UnsupportedSource, match="'x'"):
        read(body, column("a", "bigint"), column("b", "text"))


def test_should_read_a_file_of_no_rows() -> None:
    assert read(written(pa.table({"a": pa.array([], pa.int64())}))) == ([], [])


def test_should_refuse_a_file_that_is_damaged_or_cut_off_anywhere() -> None:
    body = written(
        pa.table({"a": list(range(1000))}), write_page_checksum=True, compression="none", use_dictionary=False
    )
    spoiled = body[:200] + bytes([body[200] ^ 1]) + body[201:]

    for wrong in (body[:-1], body[:-20], body[: len(body) // 2], b"PAR1", spoiled):
        with pytest.raises(UnsupportedSource, match=r"a\.parquet is damaged"):
            read(wrong)


def test_should_refuse_an_encrypted_file_by_name() -> None:
    with pytest.raises(UnsupportedSource, match=r"a\.parquet is encrypted Parquet"):
        opened(b"PARE" + bytes(100) + b"PARE")


def test_should_hold_little_of_a_row_group_however_large_it_is() -> None:
    rows = LARGE_GROUP // 1000 + 1
    texts = [text * 20 for text in (f"{number:050}" for number in range(rows))]
    body = written(pa.table({"a": texts}), row_group_size=rows, use_dictionary=False, compression="none")
    del texts

    tracemalloc.start()
    try:
        with opened(body) as records:
            (group,) = records.row_groups
            assert group.size > LARGE_GROUP
            assert sum(portion.texts.num_rows for portion in records) == records.counted() == rows
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < LARGE_GROUP / 4
