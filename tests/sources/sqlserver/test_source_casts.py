"""A column that is read as another type: every value is itself in it, or its column and row are named. By both drivers."""

import datetime as dt
from decimal import Decimal

import pytest

from flowforge.domain.errors import UnsupportedSource
from flowforge.sources.sqlserver.cast_columns import as_cast
from flowforge.sources.sqlserver.casts import cast_rule, target_type
from flowforge.sources.sqlserver.catalog import describe_table
from flowforge.sources.sqlserver.proof import require_casts
from flowforge.sources.sqlserver.reader import open_reader
from flowforge.sources.sqlserver.selection import Selection

DRIVERS = ("pymssql", "mssql-python")
KEPT = [
    ("varchar(20)", "'12'", "int", 12),
    ("char(8)", "'-7'", "bigint", -7),
    ("nvarchar(20)", "N'1.50'", "decimal(9,1)", Decimal("1.5")),
    ("varchar(20)", "'2024-02-29'", "date", dt.date(2024, 2, 29)),
    ("varchar(40)", "'2024-02-29T10:11:12.5'", "datetime2(3)", dt.datetime(2024, 2, 29, 10, 11, 12, 500000)),
    ("varchar(9)", "'1'", "bit", True),
    ("bigint", "2147483647", "int", 2147483647),
    ("int", "5", "decimal(10,2)", Decimal("5.00")),
    ("int", "1", "bit", True),
    ("decimal(18,4)", "12.3400", "decimal(9,2)", Decimal("12.34")),
    ("decimal(18,4)", "12", "int", 12),
    ("money", "12.34", "varchar(21)", "12.3400"),
    ("float", "0.5", "decimal(9,3)", Decimal("0.500")),
    ("real", "0.1", "decimal(9,3)", Decimal("0.100")),
    ("int", "-2147483648", "varchar(11)", "-2147483648"),
    ("datetime", "'2024-02-29T00:00:00'", "date", dt.date(2024, 2, 29)),
    ("datetime", "'2024-02-29T10:11:12.997'", "datetime2(3)", dt.datetime(2024, 2, 29, 10, 11, 12, 997000)),
    ("datetime2(7)", "'2024-02-29T10:11:12.5'", "varchar(27)", "2024-02-29 10:11:12.5000000"),
    ("nvarchar(50)", "N'naïve'", "varchar(5)", "naïve"),
    ("varchar(5)", "'naïve'", "nvarchar(5)", "naïve"),
    ("varchar(50)", "'abc'", "varchar(3)", "abc"),
    ("varchar(50)", "NULL", "int", None),
]
LOST = [
    ("varchar(20)", "'12x'", "int"),
    ("varchar(20)", "''", "int"),  # CAST gives 0
    ("varchar(20)", "'-'", "int"),  # CAST gives 0
    ("varchar(20)", "'007'", "int"),
    ("varchar(20)", "'5-'", "money"),
    ("varchar(20)", "'3000000000'", "int"),
    ("varchar(20)", "'1.005'", "decimal(9,2)"),  # CAST rounds
    ("varchar(20)", "''", "date"),  # CAST gives 1900-01-01
    ("varchar(20)", "'02/03/2024'", "date"),  # depends on the session's language
    ("varchar(20)", "'2024-02-30'", "date"),
    ("varchar(40)", "'2024-02-29 10:11:12.1234'", "datetime2(3)"),
    ("varchar(40)", "'2024-02-29 10:11:12+02:00'", "datetime2(3)"),
    ("varchar(9)", "'yes'", "bit"),
    ("bigint", "2147483648", "int"),
    ("int", "2", "bit"),  # CAST gives 1
    ("decimal(18,4)", "12.3450", "decimal(9,2)"),
    ("decimal(18,4)", "12.9", "int"),  # CAST gives 12
    ("float", "1e300", "decimal(38,0)"),
    ("bigint", "9007199254740993", "float"),
    ("datetime", "'2024-02-29T10:00:00'", "date"),
    ("datetime2(7)", "'2024-02-29T10:00:00.1234567'", "datetime2(3)"),
    ("varchar(50)", "'abcd'", "varchar(3)"),  # CAST cuts
    ("nvarchar(50)", "N'日本'", "varchar(50)"),  # CAST gives ??
]


def rows_of(server, table, casts, driver):
    columns = as_cast(table.source_columns, casts, table.qualified_name)
    with open_reader(server.reference, server.credentials, Selection(table, columns), driver) as reader:
        return [row for batch in reader for row in batch.to_pylist()]


@pytest.mark.parametrize("driver", DRIVERS)
def test_should_read_each_value_as_itself_in_its_new_type(bank, server, scratch, driver):
    columns = [f"c{n} {declared}" for n, (declared, *_) in enumerate(KEPT)]
    name = scratch(f"id int PRIMARY KEY, {', '.join(columns)}")
    bank.run(f"INSERT INTO {name} VALUES (1, {', '.join(value for _, value, *_ in KEPT)})")
    casts = {f"c{n}": wanted for n, (*_, wanted, _) in enumerate(KEPT)}
    (row,) = rows_of(server, describe_table(bank, name), casts, driver)
    assert row == {"id": 1} | {f"c{n}": expected for n, (*_, expected) in enumerate(KEPT)}


def test_should_name_column_and_row_of_each_value_that_would_not_be_itself(bank, server, scratch):
    columns = [f"c{n} {declared}" for n, (declared, *_) in enumerate(LOST)]
    name = scratch(f"id int PRIMARY KEY, {', '.join(columns)}")
    bank.run(f"INSERT INTO {name} (id) VALUES (1)")
    bank.run(f"INSERT INTO {name} VALUES (2, {', '.join(v for _, v, _ in LOST)})")
    table = describe_table(bank, name)
    for n, (declared, value, wanted) in enumerate(LOST):
        with pytest.raises(UnsupportedSource) as caught:
            rows_of(server, table, {f"c{n}": wanted}, "pymssql")
        told = str(caught.value)
        assert f"column 'c{n}' holds a value" in told and "in the row with key 2" in told, (declared, value, wanted)
        assert "load a view" in caught.value.remedy


def test_should_name_column_and_row_by_the_other_driver_too(bank, server, scratch):
    name = scratch("id int PRIMARY KEY, secret varchar(20)")
    bank.run(f"INSERT INTO {name} VALUES (1, '5'), (2, 'confidential')")
    with pytest.raises(UnsupportedSource, match=r"column 'secret' holds a value .* key 2") as caught:
        rows_of(server, describe_table(bank, name), {"secret": "int"}, "mssql-python")
    assert "confidential" not in repr(caught.value) + repr(caught.value.__cause__)


@pytest.mark.parametrize(
    ("declared", "wanted", "told"),
    [
        ("int", "date", "int is not cast to date"),
        ("date", "int", "date is not cast to int"),
        ("int", "varchar(10)", "int is not cast to varchar\\(10\\)"),  # CAST gives *
        ("float", "varchar(50)", "not cast"),  # CAST gives six digits
        ("varchar(20)", "float", "not cast"),
        ("varbinary(8)", "int", "not cast"),
        ("uniqueidentifier", "varchar(36)", "not cast"),
        ("datetimeoffset(3)", "datetime2(3)", "not cast"),
        ("xml", "varchar(max)", "not cast"),
    ],
)
def test_should_refuse_pairs_of_types_that_lose_values_or_that_the_server_refuses(declared, wanted, told):
    with pytest.raises(UnsupportedSource, match=told):
        cast_rule(declared, wanted)


@pytest.mark.parametrize("wanted", ["varchar", "char(3)", "datetime", "decimal(39,2)", "decimal(5,6)", "varchar(8001)",
                                    "nvarchar(4001)", "datetime2(8)", "sql_variant", "text", "int); DROP TABLE x"])  # fmt: skip
def test_should_take_no_type_that_pads_rounds_or_is_none(wanted):
    with pytest.raises(ValueError, match=r"write|a length is|digits|needs a length"):
        target_type(wanted)


def test_should_find_that_the_server_tells_values_that_fit_from_others(bank, server):
    require_casts(server.reference, bank.scalar)
