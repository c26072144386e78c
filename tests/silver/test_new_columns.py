"""A column that the source has got: old rows have in silver what they have at the source, or the run says that they have not."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from flowforge.domain.batch import Batch
from flowforge.domain.errors import TransformRejected
from flowforge.domain.given import given
from flowforge.domain.interval import Interval
from flowforge.domain.source_columns import SourceColumn
from flowforge.silver.altered_columns import keeps_values
from flowforge.silver.defaults import constant
from flowforge.silver.refine import refine


def part_of(source: Any, seq: int, data: pa.Table, columns: dict[str, Any] | None = None, object_id: int = 7) -> Batch:
    """A batch of an incremental load, with what the catalog says of its columns."""
    ids = {name: {"column_id": n} for n, name in enumerate(data.column_names, start=1)}
    batch = source.batch(
        seq, data, columns={name: known | (columns or {}).get(name, {}) for name, known in ids.items()}
    )
    changes = {"interval": Interval(column="at", low="2024-01-01"), "identity": {"object_id": object_id}}
    return batch.model_copy(update=changes)


def rows(*ids: int, **more: tuple[list[Any], pa.DataType]) -> pa.Table:
    known = {"id": pa.array(ids, pa.int32()), "at": pa.array(ids, pa.timestamp("s"))}
    return pa.table(known | {name: pa.array(values, kind) for name, (values, kind) in more.items()})


def values_of(lake: Any, name: str) -> list[tuple[Any, ...]]:
    return sorted((row["id"], row[name]) for row in lake.read("silver", "customers").to_pylist())


NOT_NULL = {"nullable": False, "sql_type": "int", "default": "((5))"}


@pytest.mark.parametrize("strategy", ["merge", "scd2"])
def test_should_fill_rows_of_before_with_a_constant_default(lake, strategy):
    source = lake.source(key=["id"], cursor="at", strategy=strategy)
    refine(part_of(source, 1, rows(1, 2)), lake.bucket)
    result = refine(part_of(source, 3, rows(3, c=([9], pa.int32())), {"c": NOT_NULL}), lake.bucket)
    (change,) = result.schema_changes
    assert change.startswith(
        "column c is new (INTEGER); rows of before got its default ((5)), which the server fills in"
    )
    # A migration may have added it as NULL, filled it by an UPDATE that left the delta column alone, and made it NOT NULL.
    assert "if an UPDATE has filled it instead, or it had another default then, read them again (" in change
    assert "flowforge watermark reset bronze_customers --yes" in change
    assert values_of(lake, "c") == [(1, 5), (2, 5), (3, 9)]
    refine(part_of(source, 2, rows(4)), lake.bucket)  # read before the column came
    late = None if strategy == "scd2" else 5
    assert values_of(lake, "c") == [(1, 5), (2, 5), (3, 9), (4, late)]


def test_should_not_fill_a_column_that_was_left_out_until_now(lake):
    """Its default says nothing of the rows of before: they have values at the source."""
    source = lake.source(key=["id"], cursor="at")
    refine(part_of(source, 1, rows(1, 2)), lake.bucket)
    batch = part_of(source, 2, rows(3, c=([9], pa.int32())), {"c": NOT_NULL})
    batch = batch.model_copy(update={"identity": batch.identity | {"late_columns": ["c"]}})
    (change,) = refine(batch, lake.bucket).schema_changes
    assert "was left out until now" in change and "flowforge watermark reset bronze_customers --yes" in change
    assert values_of(lake, "c") == [(1, None), (2, None), (3, 9)]


@pytest.mark.parametrize(
    ("known", "told"),
    [
        ({"nullable": False, "default": "(getdate())"}, "rows of before have a value at the source and NULL here"),
        ({"nullable": False, "default": None}, "rows of before have a value at the source and NULL here"),
        ({"nullable": True, "computed": True}, "is computed: rows of before have a value at the source and NULL here"),
        ({"nullable": True, "default": "((5))"}, "and at the source too unless it was added WITH VALUES"),
    ],
)
def test_should_tell_what_reads_the_rows_of_before_where_it_cannot_be_known(lake, known, told):
    source = lake.source(key=["id"], cursor="at")
    refine(part_of(source, 1, rows(1)), lake.bucket)
    added = {"c": {"sql_type": "int", **known}}
    (change,) = refine(part_of(source, 2, rows(2, c=([9], pa.int32())), added), lake.bucket).schema_changes
    assert told in change
    assert "flowforge watermark reset bronze_customers --yes" in change
    assert values_of(lake, "c") == [(1, None), (2, 9)]


def test_should_say_nothing_more_of_a_column_that_is_null_at_the_source_too(lake):
    source = lake.source(key=["id"], cursor="at")
    refine(part_of(source, 1, rows(1)), lake.bucket)
    change = refine(part_of(source, 2, rows(2, c=([9], pa.int32())), {"c": {"nullable": True}}), lake.bucket)
    assert change.schema_changes == ["column c is new (INTEGER)"]


def test_should_call_a_renamed_column_renamed(lake):
    source = lake.source(key=["id"], cursor="at")
    refine(part_of(source, 1, rows(1, city=(["Rome"], pa.string()))), lake.bucket)
    renamed = part_of(source, 2, rows(2, town=(["Oslo"], pa.string())), {"town": {"nullable": False}})
    (change,) = refine(renamed, lake.bucket).schema_changes
    assert change.startswith("column city is called town at the source now; silver keeps city as it was")
    assert "flowforge watermark reset" in change
    assert values_of(lake, "town") == [(1, None), (2, "Oslo")]
    assert refine(part_of(source, 3, rows(3, town=(["Bern"], pa.string()))), lake.bucket).schema_changes == []


@pytest.mark.parametrize("changed", ["another object", "another type", "another id"])
def test_should_not_call_another_column_renamed(lake, changed):
    source = lake.source(key=["id"], cursor="at")
    refine(part_of(source, 1, rows(1, city=(["Rome"], pa.string()))), lake.bucket)
    kind = pa.int32() if changed == "another type" else pa.string()
    town = ([1] if changed == "another type" else ["Oslo"], kind)
    known = {"town": {"column_id": 9}} if changed == "another id" else {}
    told = refine(part_of(source, 2, rows(2, town=town), known, 8 if changed == "another object" else 7), lake.bucket)
    assert "column city is gone from the source" in told.schema_changes


def test_should_tell_of_another_column_under_a_name_that_silver_has(lake):
    """Dropped and added again with the same type, between two loads or over one: the rows of before have other values."""
    source = lake.source(key=["id"], cursor="at")
    city = {"city": (["Rome"], pa.string())}
    refine(part_of(source, 1, rows(1, **city)), lake.bucket)
    (change,) = refine(part_of(source, 2, rows(2, **city), {"city": {"column_id": 9}}), lake.bucket).schema_changes
    assert change.startswith("column city is another column of the same name at the source")
    assert "--backfill-column city" in change
    assert refine(part_of(source, 3, rows(3, **city), {"city": {"column_id": 9}}), lake.bucket).schema_changes == []
    refine(part_of(source, 4, rows(4)), lake.bucket)
    told = refine(part_of(source, 5, rows(5, **city), {"city": {"column_id": 10}}), lake.bucket).schema_changes
    assert [change.split(" (")[0] for change in told] == [
        "column city is another column of the same name at the source", "column city is back",
    ]  # fmt: skip


def test_should_hold_a_contract_against_names_that_were_exchanged(lake):
    source = lake.source(key=["id"], cursor="at", schema_mode="contract")
    refine(part_of(source, 1, rows(1, a=(["x"], pa.string()), b=(["y"], pa.string()))), lake.bucket)
    exchanged = {"a": {"column_id": 4}, "b": {"column_id": 3}}
    batch = part_of(source, 2, rows(2, a=(["y"], pa.string()), b=(["x"], pa.string())), exchanged)
    with pytest.raises(TransformRejected, match="column a is another column of the same name"):
        refine(batch, lake.bucket)


@pytest.mark.parametrize(
    ("definition", "sql_type", "value"),
    [
        ("((5))", "int", 5),
        ("((-1))", "smallint", -1),
        ("('7')", "bigint", 7),
        ("((1))", "bit", True),
        ("((1.50))", "decimal(5,2)", Decimal("1.50")),
        ("((0))", "money", Decimal("0.0000")),
        ("((1e3))", "float", 1000.0),
        ("('it''s (new)')", "varchar(20)", "it's (new)"),
        ("(N'Ж')", "nvarchar(5)", "Ж"),
        ("(N'Ж')", "varchar(5)", None),  # the code page may lack it
        ("('Ж')", "nvarchar(5)", None),  # the database's code page may
        ("(N'😀')", "nchar(3)", "😀 "),
        ("(N'😀😀')", "nvarchar(3)", None),
        ("('a')", "char(3)", "a  "),
        ("('20240105')", "datetime", datetime(2024, 1, 5)),
        ("('2024-01-05')", "date", date(2024, 1, 5)),
        ("('2024-01-05T10:20:30')", "smalldatetime", None),
        ("('2024-01-05')", "datetime", None),  # the fifth month, where the language says so
        ("('05/01/2024')", "date", None),
        ("(0x0AFF)", "varbinary(4)", b"\x0a\xff"),
        ("('6F9619FF-8B86-D011-B42D-00C04FC964FF')", "uniqueidentifier", "6f9619ff-8b86-d011-b42d-00c04fc964ff"),
        ("((1.555))", "decimal(5,2)", None),
        ("((300))", "tinyint", None),
        ("((5.5))", "int", None),
        ("('too long')", "varchar(3)", None),
        ("(getdate())", "datetime", None),
        ("(newid())", "uniqueidentifier", None),
        ("((1)+(2))", "int", None),
        ("(CONVERT([bit],(0)))", "bit", None),
        ("(NULL)", "int", None),
        ("(user_name())", "nvarchar(128)", None),
    ],
)
def test_should_take_for_a_constant_only_what_the_server_cannot_read_otherwise(definition, sql_type, value):
    expression = constant(SourceColumn(name="c", sql_type=sql_type, default=definition))
    with duckdb.connect() as engine:
        found = None if expression is None else given(engine.execute(f"SELECT {expression}").fetchone())[0]
    assert found == value


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("char(5)", "char(10)", True),
        ("nvarchar(20)", "varchar(20)", True),
        ("varchar(50)", "varchar(20)", True),
        ("varchar(20)", "varchar(50)", False),
        ("varchar(20)", "nvarchar(max)", False),
    ],
)
def test_should_tell_of_a_column_whose_values_the_source_has_converted(lake, before, after, told):
    """ALTER COLUMN pads, rounds or loses letters in all rows, and no delta column shows it."""
    source = lake.source(key=["id"], cursor="at")
    code = {"code": (["x"], pa.string())}
    refine(part_of(source, 1, rows(1, **code), {"code": {"sql_type": before}}), lake.bucket)
    assert refine(part_of(source, 2, rows(2, **code), {"code": {"sql_type": before}}), lake.bucket).schema_changes == []
    changes = refine(part_of(source, 4, rows(3, **code), {"code": {"sql_type": after}}), lake.bucket).schema_changes
    assert len(changes) == told
    if told:
        assert (
            f"column code was {before} and is {after} at the source now, which has converted its values" in changes[0]
        )
        assert "--backfill-column code" in changes[0]
    late = part_of(source, 3, rows(4, **code), {"code": {"sql_type": before}})
    assert refine(late, lake.bucket).schema_changes == []
    again = part_of(source, 5, rows(5, **code), {"code": {"sql_type": after}})
    assert refine(again, lake.bucket).schema_changes == []


@pytest.mark.parametrize(
    ("before", "after", "kept"),
    [
        ("datetime2(7)", "datetime2(0)", False),
        ("datetime2(0)", "datetime2(7)", True),
        ("datetime2", "datetime2(7)", True),
        ("datetime2(3)", "datetime", False),
        ("time(3)", "time(2)", False),
        ("ntext", "nvarchar(max)", True),
        ("varbinary(8)", "binary(8)", False),
    ],
)
def test_should_know_which_changes_of_a_type_keep_every_value(before, after, kept):
    assert keeps_values(before, after) is kept
