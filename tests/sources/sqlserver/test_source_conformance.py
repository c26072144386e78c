"""One suite for both drivers: every type, typical, least, greatest and NULL, in the same canonical schema and values."""

import struct
from decimal import Decimal

import pyarrow as pa
import pytest

from flowforge.domain.interval import Interval
from flowforge.sources.sqlserver.arrow_types import arrow_schema
from flowforge.sources.sqlserver.catalog import describe_table
from flowforge.sources.sqlserver.reader import open_reader
from flowforge.sources.sqlserver.selection import Selection
from tests.helpers.type_values import VALUES

DRIVERS = ("pymssql", "mssql-python")


def read(server, description, driver, batch_rows=65_536):
    columns = description.source_columns
    selection = Selection(description, columns)
    with open_reader(server.reference, server.credentials, selection, driver, batch_rows) as reader:
        assert reader.schema == arrow_schema(columns)
        batches = list(reader)
    assert all(b.schema.equals(reader.schema, check_metadata=True) for b in batches)
    return pa.Table.from_batches(batches, reader.schema)


def plain(values):
    return [format(v, "f") if isinstance(v, Decimal) else v for v in values]


@pytest.mark.parametrize("sql_type", VALUES)
def test_should_read_every_value_of_a_type_exactly_and_alike(bank, server, scratch, sql_type):
    rows = VALUES[sql_type]
    table = scratch(f"id int NOT NULL PRIMARY KEY, c {sql_type} NULL")
    for n, (literal, _) in enumerate(rows):
        bank.run(f"INSERT INTO {table} VALUES ({n}, {literal})")
    bank.run(f"INSERT INTO {table} VALUES ({len(rows)}, NULL)")
    description = describe_table(bank, table)
    expected = [value for _, value in rows] + [None]
    for driver in DRIVERS:
        found = read(server, description, driver).sort_by("id").column("c")
        if found.type == pa.time64("ns"):
            found = found.cast(pa.int64())
        assert plain(found.to_pylist()) == expected, driver


@pytest.mark.parametrize("driver", DRIVERS)
def test_should_read_types_that_no_driver_carries_in_the_form_that_the_server_gives_them(bank, server, scratch, driver):
    table = scratch("id int NOT NULL PRIMARY KEY, v sql_variant, h hierarchyid, g geography")
    bank.run(f"INSERT INTO {table} VALUES (1, CAST(42 AS sql_variant), '/1/2/', geography::Point(19.07, 72.87, 4326))")
    bank.run(f"INSERT INTO {table} VALUES (2, CAST(N'hé' AS sql_variant), '/', geography::Point(-90, -180, 4326))")
    bank.run(f"INSERT INTO {table} VALUES (3, NULL, NULL, NULL)")
    description = describe_table(bank, table)
    assert [c.sql_type for c in description.columns] == ["int", "sql_variant", "hierarchyid", "geography"]
    found = read(server, description, driver).sort_by("id")
    assert [str(t) for t in found.schema.types] == ["int32", "string", "string", "binary"]
    assert found.column("v").to_pylist() == ["42", "hé", None]
    assert found.column("h").to_pylist() == ["/1/2/", "/", None]
    # WKB: little endian, type 1 (point), then longitude and latitude as float64
    points = [struct.pack("<BIdd", 1, 1, lon, lat) for lat, lon in ((19.07, 72.87), (-90, -180))]
    assert found.column("g").to_pylist() == [*points, None]


VARIANTS = {
    "CAST(42 AS int)": "42", "CAST(N'हि' AS nvarchar(10))": "हि", "CAST(1234.5678 AS money)": "1234.5678",
    "CAST(123456789.123456789 AS decimal(20,9))": "123456789.123456789",
    "CAST('2024-02-29 12:34:56.997' AS datetime)": "2024-02-29 12:34:56.997", "CAST('2024-02-29' AS date)": "2024-02-29",
    "CAST('12:34:56.1234567' AS time(7))": "12:34:56.1234567",
}  # fmt: skip


@pytest.mark.parametrize("driver", DRIVERS)
def test_should_read_variants_as_text_that_keeps_all_of_each_value(bank, server, scratch, driver):
    table = scratch("id int NOT NULL PRIMARY KEY, v sql_variant")
    for n, value in enumerate([*VARIANTS, "CAST(0.1 AS float)"]):
        bank.run(f"INSERT INTO {table} VALUES ({n}, CAST({value} AS sql_variant))")
    *found, tenth = read(server, describe_table(bank, table), driver).sort_by("id").column("v").to_pylist()
    assert found == list(VARIANTS.values())
    assert float(tenth) == 0.1


LONG_VARIANTS = {
    **{f"CONVERT(varbinary(8000), REPLICATE('x', {n}))": "0x" + "78" * n for n in (1_999, 2_000, 8_000)},
    "CONVERT(binary(8000), 0x01)": "0x01" + "00" * 7_999,
    **{f"REPLICATE('v', {n})": "v" * n for n in (4_000, 4_001, 8_000)},
    "CONVERT(char(8000), 'c')": "c" + " " * 7_999,
    "REPLICATE(N'न', 4000)": "न" * 4_000,
}


@pytest.mark.parametrize("driver", DRIVERS)
def test_should_read_the_longest_values_of_a_variant_whole(bank, server, scratch, driver):
    table = scratch("id int NOT NULL PRIMARY KEY, v sql_variant, n int")
    for n, value in enumerate(LONG_VARIANTS):
        bank.run(f"INSERT INTO {table} VALUES ({n}, CAST({value} AS sql_variant), {n})")
    found = read(server, describe_table(bank, table), driver).sort_by("id")
    assert found.column("v").to_pylist() == list(LONG_VARIANTS.values())
    assert found.column("n").to_pylist() == list(range(len(LONG_VARIANTS)))


@pytest.mark.parametrize("driver", DRIVERS)
def test_should_read_row_versions_as_eight_bytes_that_grow(bank, server, scratch, driver):
    table = scratch("id int NOT NULL PRIMARY KEY, v rowversion")
    bank.run(f"INSERT INTO {table} (id) VALUES (1), (2)")
    found = read(server, describe_table(bank, table), driver).sort_by("id").column("v")
    assert found.type == pa.binary(8)
    first, second = found.to_pylist()
    assert int.from_bytes(first) < int.from_bytes(second)
    assert bank.scalar(f"SELECT CONVERT(varchar(18), MAX(v), 1) AS literal FROM {table}") == "0x" + second.hex().upper()


def test_should_read_the_whole_bank_alike_through_both_drivers(bank, server):
    for name, rows in (("customers", 500), ("accounts", 750), ("transactions", 5000)):
        description = describe_table(bank, name)
        key = description.primary_key[0]
        one, two = (read(server, description, driver).sort_by(key) for driver in DRIVERS)
        assert one.num_rows == rows
        assert one.equals(two)
        total = bank.scalar(f"SELECT SUM(CONVERT(bigint, {key})) AS n FROM dbo.{name}")
        assert sum(one.column(key).to_pylist()) == total


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("batch_rows", [1, 7, 250, 500, 501])
def test_should_end_at_the_last_row_whatever_the_batch_size(bank, server, driver, batch_rows):
    found = read(server, describe_table(bank, "customers"), driver, batch_rows)
    assert sorted(found.column("customer_id").to_pylist()) == list(range(1, 501))


@pytest.mark.parametrize("driver", DRIVERS)
def test_should_give_the_schema_of_an_empty_table(bank, server, scratch, driver):
    table = scratch("id int, amount decimal(15,2), name nvarchar(max)")
    found = read(server, describe_table(bank, table), driver)
    assert found.num_rows == 0
    assert [str(t) for t in found.schema.types] == ["int32", "decimal128(15, 2)", "string"]


@pytest.mark.parametrize("driver", DRIVERS)
def test_should_read_three_hundred_columns(bank, server, scratch, driver):
    table = scratch(", ".join(f"c{n} int NULL" for n in range(300)))
    bank.run(f"INSERT INTO {table} VALUES ({', '.join(str(n) if n % 3 else 'NULL' for n in range(300))})")
    found = read(server, describe_table(bank, table), driver)
    assert found.to_pylist() == [{f"c{n}": n if n % 3 else None for n in range(300)}]


@pytest.mark.parametrize("driver", DRIVERS)
def test_should_read_a_cell_of_a_megabyte(bank, server, scratch, driver):
    table = scratch("id int NOT NULL PRIMARY KEY, note nvarchar(max)")
    bank.run(f"INSERT INTO {table} VALUES (1, REPLICATE(CONVERT(nvarchar(max), N'₹'), 1048576)), (2, N'after')")
    found = read(server, describe_table(bank, table), driver).sort_by("id").column("note").to_pylist()
    assert found == ["₹" * 2**20, "after"]


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize(
    "name", ["with space", "closing ] bracket", "quote ' and \"", "हिन्दी", "per%cent %s ?", "-- x"]
)
def test_should_read_tables_and_columns_of_any_name_with_bounds(bank, server, scratch, driver, name):
    from flowforge.sources.sqlserver.statement import quote_identifier

    table = scratch(f"{quote_identifier(name)} int NOT NULL PRIMARY KEY", name)
    bank.run(f"INSERT INTO {table} VALUES (1), (2), (3)")
    description = describe_table(bank, table)
    interval = Interval(column=name, sql_type="int", low="2", high="3", nulls=False)
    selection = Selection(description, description.source_columns, interval)
    with open_reader(server.reference, server.credentials, selection, driver) as reader:
        assert [row for batch in reader for row in batch.to_pylist()] == [{name: 2}]
