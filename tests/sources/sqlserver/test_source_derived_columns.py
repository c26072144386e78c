"""Derived columns: offsets, base types and SRIDs beside the columns that cannot hold them, through both drivers."""

import pytest

from flowforge.domain.errors import UnsupportedSource
from flowforge.domain.source_columns import SourceColumn
from flowforge.sources.sqlserver.arrow_types import arrow_schema
from flowforge.sources.sqlserver.catalog import describe_table
from flowforge.sources.sqlserver.derived_columns import with_derived_columns
from flowforge.sources.sqlserver.query_columns import describe_query
from flowforge.sources.sqlserver.reader import open_reader
from flowforge.sources.sqlserver.selection import Selection
from flowforge.sources.sqlserver.statement import Statement

DRIVERS = ("pymssql", "mssql-python")
ALL = ("offset", "baseType", "srid")
COLUMNS = "id int NOT NULL PRIMARY KEY, [at ]]] datetimeoffset(7), v sql_variant, g geography, p geometry"
ROWS = [
    "1, '2024-02-29 12:00:00.1234567 +05:30', CAST(42 AS sql_variant), geography::Point(19, 72, 4326), geometry::Point(1, 2, 0)",
    "2, '2024-02-29 12:00:00 -11:00', CAST(N'42' AS sql_variant), geography::Point(0, 0, 4269), geometry::Point(1, 2, 3857)",
    "3, '2024-02-29 12:00:00 +00:00', CAST(CAST(1.5 AS money) AS sql_variant), NULL, NULL",
    "4, NULL, NULL, NULL, NULL",
]
EXPECTED = {
    "at ]_offset_minutes": ("int16", [330, -660, 0, None]),
    "v_base_type": ("string", ["int", "nvarchar", "money", None]),
    "g_srid": ("int32", [4326, 4269, None, None]),
    "p_srid": ("int32", [0, 3857, None, None]),
}


@pytest.fixture
def table(bank, scratch):
    name = scratch(COLUMNS)
    for row in ROWS:
        bank.run(f"INSERT INTO {name} VALUES ({row})")
    return name


def read(server, selection, driver):
    with open_reader(server.reference, server.credentials, selection, driver) as reader:
        assert reader.schema == arrow_schema(selection.columns)
        return sorted((row for batch in reader for row in batch.to_pylist()), key=lambda row: row["id"])


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("as_query", [False, True])
def test_should_read_what_a_type_cannot_hold_beside_it(bank, server, table, driver, as_query):
    query = f"SELECT * FROM {table} -- all"
    described = describe_table(bank, table)
    source = query if as_query else described
    columns = describe_query(bank, query) if as_query else described.source_columns
    asked = with_derived_columns(columns, ALL, table)
    names = [c.name for c in asked]
    assert names == ["id", "at ]", "at ]_offset_minutes", "v", "v_base_type", "g", "g_srid", "p", "p_srid"]
    schema = arrow_schema(asked)
    rows = read(server, Selection(source, asked), driver)
    for name, (kind, values) in EXPECTED.items():
        assert str(schema.field(name).type) == kind
        assert [row[name] for row in rows] == values, name
    assert schema.field("g_srid").metadata[b"companion_of"] == b"g"
    plain = read(server, Selection(source, columns), driver)
    assert [{c.name: row[c.name] for c in columns} for row in rows] == plain


@pytest.mark.parametrize("driver", DRIVERS)
def test_should_read_derived_columns_in_a_slice(bank, server, table, driver):
    description = describe_table(bank, table)
    columns = with_derived_columns(description.source_columns, ["offset"], table)
    rows = read(server, Selection(description, columns, within=Statement(("[id] >= ", ""), (2,))), driver)
    assert [(row["id"], row["at ]_offset_minutes"]) for row in rows] == [(2, -660), (3, 0), (4, None)]


def test_should_add_nothing_that_was_not_asked_for():
    columns = [SourceColumn(name="a", sql_type="datetimeoffset(7)"), SourceColumn(name="b", sql_type="int")]
    assert with_derived_columns(columns, [], "t") == columns
    assert with_derived_columns(columns, ["srid", "baseType"], "t") == columns


@pytest.mark.parametrize("taken", ["a_SRID", "x" * 124])
def test_should_refuse_a_derived_column_whose_name_cannot_be_and_say_what_to_do(taken):
    columns = [SourceColumn(name="a", sql_type="geometry"), SourceColumn(name=taken, sql_type="geometry")]
    with pytest.raises(UnsupportedSource, match="derivedColumns asks for srid of") as caught:
        with_derived_columns(columns, ["srid"], "dbo.t")
    assert "dbo.t" in str(caught.value) and "query" in caught.value.remedy
