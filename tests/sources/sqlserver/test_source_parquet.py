"""Every type through both drivers into the product's own Parquet, which pyarrow, DuckDB and Polars read alike.

Read as a table, as a query that needs conversions, and as a query that goes to the server as written: there the types come
from the server's own description of the result. What a reader's type cannot hold is said in `READERS`.
"""

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from events.commands import IngestTable
from events.targets import BronzeTarget, GoldTarget, SilverTarget, SourceTable
from flowforge.bronze.audit_columns import AUDIT
from flowforge.bronze.parquet import Encoder, read_footer
from flowforge.domain.batch import Batch
from flowforge.domain.given import given
from flowforge.domain.interval import Interval
from flowforge.sources.sqlserver.arrow_types import arrow_schema, arrow_type
from flowforge.sources.sqlserver.catalog import describe_table
from flowforge.sources.sqlserver.connection import connect
from flowforge.sources.sqlserver.query_columns import describe_query
from flowforge.sources.sqlserver.reader import open_reader
from flowforge.sources.sqlserver.selection import Selection
from flowforge.sources.sqlserver.sql_types import select_expression
from tests.helpers.type_values import CONVERTED, VALUES

DRIVERS = ("pymssql", "mssql-python")
TYPES = VALUES | CONVERTED
NAMES = {sql_type: f"c{n}" for n, sql_type in enumerate(TYPES)}
AS_WRITTEN = [t for t in TYPES if select_expression("c", t) == "c"]
ROWS = max(map(len, TYPES.values())) + 1  # the last of them all NULL
ASKED = ("table", "query", "query as written")
EPOCH = dt.datetime(1970, 1, 1)


class Landed(NamedTuple):
    """A Parquet file, what it was read from, and its columns as each reader has them."""

    path: Path
    selection: Selection
    columns: dict[str, dict[str, list[Any]]]


def by_pyarrow(path):
    table = pq.read_table(path).sort_by("id")
    integers = {pa.time64("ns"): 1, pa.time64("us"): 1000}
    return {
        name: [v if v is None else v * integers[column.type] for v in column.cast(pa.int64()).to_pylist()]
        if column.type in integers
        else column.to_pylist()
        for name, column in zip(table.schema.names, table.columns, strict=True)
    }


def by_duckdb(path):
    relation = duckdb.read_parquet(str(path)).order("id")
    # Instants as numbers: Python's binding wants another library for zones.
    moments = {name for name, kind in zip(relation.columns, relation.types, strict=True) if "TIMESTAMP" in str(kind)}
    rows = relation.project(", ".join(f"epoch_us({c}) AS {c}" if c in moments else c for c in relation.columns))
    found = rows.fetchall()
    return {name: [row[n] for row in found] for n, name in enumerate(rows.columns)}


def by_polars(path):
    frame = pl.read_parquet(path).sort("id")
    return {c.name: (c.cast(pl.Int64) if c.dtype == pl.Time else c).to_list() for c in frame}


# Each with the nanoseconds that its times are cut to: DuckDB has microseconds, so time(7) loses its seventh digit there.
READERS = {"pyarrow": (by_pyarrow, 1), "duckdb": (by_duckdb, 1000), "polars": (by_polars, 1)}


def create(connection, table, rows):
    """A table with a column of every type; of `rows` rows, row n holds the n-th value of each type, NULL where there is none."""
    columns = ", ".join(f"{name} {sql_type} NULL" for sql_type, name in NAMES.items())
    connection.run(f"CREATE TABLE {table} (id int NOT NULL PRIMARY KEY, v rowversion, {columns})")
    for n in rows:
        literals = (values[n][0] if n < len(values) else "NULL" for values in TYPES.values())
        connection.run(f"INSERT INTO {table} (id, {', '.join(NAMES.values())}) VALUES ({n}, {', '.join(literals)})")


def selected(connection, table, asked):
    if asked == "table":
        description = describe_table(connection, table)
        return Selection(description, description.source_columns)
    names = ["id", "v", *(NAMES[t] for t in AS_WRITTEN)]
    query = f"SELECT {'*' if asked == 'query' else ', '.join(names)} FROM {table}"
    return Selection(query, describe_query(connection, query))


def land(server, selection, driver, path):
    batch = Batch(
        source_key="bank.types", generation=1, seq=1, state="claimed", token="t", lease_until=0.0, label="types",
        interval=Interval(),
        command=IngestTable(
            run_id="r", workflow_id="w", job_id="j", batch_id="b", connection=server.reference,
            source=SourceTable(table_name="types"), bronze=BronzeTarget(table="types"), silver=SilverTarget(table="types"),
            gold=GoldTarget(table="types"),
        ),
    )  # fmt: skip
    with path.open("wb") as sink, open_reader(server.reference, server.credentials, selection, driver, 3) as reader:
        encoder = Encoder(sink, reader.schema, batch, list(selection.columns), "types")
        for rows in reader:
            encoder.write(rows)
        encoder.close()
    return Landed(path, selection, {name: read(path) for name, (read, _) in READERS.items()})


@pytest.fixture(scope="module")
def landed(server, tmp_path_factory):
    """{(table, as what it was asked for, driver): Landed}"""
    folder, found = tmp_path_factory.mktemp("parquet"), {}
    tables = {"dbo.all_values": range(ROWS), "dbo.all_null": range(ROWS - 1, ROWS + 1), "dbo.all_empty": ()}
    with connect(server.reference, server.credentials) as connection:
        for table, rows in tables.items():
            create(connection, table, rows)
            for asked in ASKED:
                selection = selected(connection, table, asked)
                for driver in DRIVERS:
                    found[table, asked, driver] = land(server, selection, driver, folder / f"{len(found)}.parquet")
        yield found
        for table in tables:
            connection.run(f"DROP TABLE {table}")


def of(landed, table):
    return {key: found for key, found in landed.items() if key[0] == table}


def plain(value):
    if isinstance(value, dt.datetime):
        return (value.replace(tzinfo=None) - EPOCH) // dt.timedelta(microseconds=1)
    if isinstance(value, dt.time):
        since = dt.timedelta(
            hours=value.hour, minutes=value.minute, seconds=value.second, microseconds=value.microsecond
        )
        return since // dt.timedelta(microseconds=1) * 1000
    return format(value, "f") if isinstance(value, Decimal) else value


@pytest.mark.parametrize("sql_type", TYPES)
def test_should_give_every_reader_of_the_file_the_values_of_a_type(landed, sql_type):
    values = [plain(value) for _, value in TYPES[sql_type]]
    expected = values + [None] * (ROWS - len(values))
    compared = 0
    for key, found in of(landed, "dbo.all_values").items():
        if key[1] == "query as written" and sql_type not in AS_WRITTEN:
            continue
        for reader, (_, cut) in READERS.items():
            cells = [plain(cell) for cell in found.columns[reader][NAMES[sql_type]]]
            is_time = pa.types.is_time64(arrow_type(sql_type))
            wanted = [v // cut * cut if v is not None and is_time else v for v in expected]
            assert cells == wanted, (*key, reader)
            compared += 1
    assert compared == len(DRIVERS) * len(READERS) * (3 if sql_type in AS_WRITTEN else 2)


def test_should_write_the_canonical_types_whatever_the_rows_and_however_they_were_asked_for(landed):
    declared = {"id": "int", "v": "rowversion"} | {name: sql_type for sql_type, name in NAMES.items()}
    for (table, asked, driver), found in landed.items():
        schema = pq.read_schema(found.path)
        names = [n for n in schema.names if n in declared]
        assert len(names) == 2 + len(AS_WRITTEN if asked == "query as written" else TYPES)
        wanted = arrow_schema(found.selection.columns)
        assert schema.equals(pa.schema([*wanted, *AUDIT]), check_metadata=False), (table, asked, driver)
        assert [schema.field(n).metadata[b"sql_type"] for n in names] == [
            wanted.field(n).metadata[b"sql_type"] for n in names
        ]
        assert {n: schema.field(n).type for n in names} == {n: arrow_type(declared[n]) for n in names}


def test_should_keep_the_declarations_in_the_footer(landed):
    for key, found in landed.items():
        footer = given(read_footer(found.path))
        assert footer["rows"] == {"dbo.all_values": ROWS, "dbo.all_null": 2, "dbo.all_empty": 0}[key[0]]
        assert footer["columns"] == json.loads(json.dumps([c.model_dump() for c in found.selection.columns])), key


def test_should_give_null_to_every_reader_where_a_whole_column_is_null(landed):
    for key, found in of(landed, "dbo.all_null").items():
        for reader, columns in found.columns.items():
            cells = {name: values for name, values in columns.items() if name in NAMES.values()}
            assert cells and all(values == [None, None] for values in cells.values()), (*key, reader)


def test_should_give_every_reader_the_columns_of_an_empty_table(landed):
    for key, found in of(landed, "dbo.all_empty").items():
        names = [*(c.name for c in found.selection.columns), *(field.name for field in AUDIT)]
        for reader, columns in found.columns.items():
            assert columns == {name: [] for name in names}, (*key, reader)


def test_should_give_row_versions_to_every_reader_as_the_server_prints_them(landed, bank):
    printed = bank.rows("SELECT CONVERT(varchar(18), v, 1) AS v FROM dbo.all_values ORDER BY id")
    for key, found in of(landed, "dbo.all_values").items():
        for reader, columns in found.columns.items():
            assert ["0x" + v.hex().upper() for v in columns["v"]] == [row["v"] for row in printed], (*key, reader)


# canonical type: (DuckDB's, Polars')
THEIRS = {
    "bool": ("BOOLEAN", "Boolean"), "uint8": ("UTINYINT", "UInt8"), "int16": ("SMALLINT", "Int16"), "int32": ("INTEGER", "Int32"),
    "int64": ("BIGINT", "Int64"), "float": ("FLOAT", "Float32"), "double": ("DOUBLE", "Float64"),
    "decimal128(19, 4)": ("DECIMAL(19,4)", "Decimal(precision=19, scale=4)"),
    "decimal128(10, 4)": ("DECIMAL(10,4)", "Decimal(precision=10, scale=4)"),
    "decimal128(38, 0)": ("DECIMAL(38,0)", "Decimal(precision=38, scale=0)"),
    "decimal128(38, 20)": ("DECIMAL(38,20)", "Decimal(precision=38, scale=20)"),
    "decimal128(9, 2)": ("DECIMAL(9,2)", "Decimal(precision=9, scale=2)"),
    "decimal128(15, 2)": ("DECIMAL(15,2)", "Decimal(precision=15, scale=2)"),
    "date32[day]": ("DATE", "Date"), "time64[us]": ("TIME", "Time"), "time64[ns]": ("TIME", "Time"),
    "timestamp[ms]": ("TIMESTAMP", "Datetime(time_unit='ms', time_zone=None)"),
    "timestamp[us]": ("TIMESTAMP", "Datetime(time_unit='us', time_zone=None)"),
    "timestamp[us, tz=UTC]": ("TIMESTAMP WITH TIME ZONE", "Datetime(time_unit='us', time_zone='UTC')"),
    "string": ("VARCHAR", "String"), "binary": ("BLOB", "Binary"), "fixed_size_binary[8]": ("BLOB", "Binary"),
}  # fmt: skip


@pytest.mark.parametrize("driver", DRIVERS)
def test_should_give_readers_types_of_their_own_that_hold_the_canonical_ones(landed, driver):
    path = landed["dbo.all_values", "table", driver].path
    canonical = [str(field.type) for field in pq.read_schema(path)]
    relation = duckdb.read_parquet(str(path))
    theirs = zip(map(str, relation.types), map(str, pl.read_parquet_schema(path).values()), strict=True)
    assert dict(zip(canonical, theirs, strict=True)) == THEIRS
