"""Text arrives as it is by both drivers, or its row is named; a server is trusted with text once it has shown that it may be."""

from typing import Any

import pyarrow as pa
import pytest

from flowforge.domain.errors import UnsupportedSource
from flowforge.domain.source_columns import SourceColumn
from flowforge.sources.sqlserver.catalog import describe_table
from flowforge.sources.sqlserver.connection import connect
from flowforge.sources.sqlserver.proof import require_conversions
from flowforge.sources.sqlserver.reader import open_reader
from flowforge.sources.sqlserver.selection import Selection
from tests.helpers.source_server import start_server, stop_server
from tests.helpers.type_values import VALUES

DRIVERS = ("pymssql", "mssql-python")


@pytest.fixture(scope="module")
def babelfish(server):
    """A server whose CONCAT loses letters, whose money prints two decimals, and whose catalog is lower case."""
    started = start_server(server.tls_directory, "--bank", "--profile", "babelfish")
    yield started
    stop_server(started)


def rows_of(server, description, driver, notes=None):
    selection = Selection(description, description.source_columns)
    with open_reader(server.reference, server.credentials, selection, driver) as reader:
        table = pa.Table.from_batches(list(reader), reader.schema)
        if notes is not None:
            notes += reader.notes
    return table.sort_by("id")


STRANGE = {
    "a byte order mark at the start": ("NCHAR(65279) + N'x'", "\ufeffx"),
    "NUL within": ("N'a' + NCHAR(0) + N'b'", "a\x00b"),
    "no character at all": ("NCHAR(65535)", "\uffff"),
    "line ends": ("NCHAR(13) + NCHAR(10) + NCHAR(133) + NCHAR(8232)", "\r\n\x85\u2028"),
    "beyond the basic plane": ("N'😀'", "😀"),
    "a replacement character of its own": ("N'a' + NCHAR(65533)", "a\ufffd"),
    "nothing but question marks": ("N'???'", "???"),
}


@pytest.mark.parametrize("kind", ["nvarchar(20)", "nvarchar(max)"])
@pytest.mark.parametrize("driver", DRIVERS)
def test_should_read_strange_but_whole_text_as_it_is(bank, server, scratch, driver, kind):
    table = scratch(f"id int PRIMARY KEY, c {kind}")
    for n, (expression, _) in enumerate(STRANGE.values()):
        bank.run(f"INSERT INTO {table} VALUES ({n}, {expression})")
    found = rows_of(server, describe_table(bank, table), driver)
    assert found.column("c").to_pylist() == [text for _, text in STRANGE.values()]


@pytest.mark.parametrize("kind", ["nvarchar(20)", "nvarchar(max)", "sql_variant"])
@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("half", ["N'a' + NCHAR(55357) + N'b'", "NCHAR(56832)", "N'x' + NCHAR(55357)"])
def test_should_name_the_row_and_column_of_half_a_character(bank, server, scratch, driver, kind, half):
    table = scratch(f"id int PRIMARY KEY, b nvarchar(9), c {kind}")
    value = f"CAST({half} AS nvarchar(9))"
    bank.run(f"INSERT INTO {table} VALUES (1, N'é?', N'?'), (7, N'ü', {value}), (9, NULL, NULL)")
    with pytest.raises(UnsupportedSource, match=r"column 'c' .*row with key 7") as caught:
        rows_of(server, describe_table(bank, table), driver)
    assert "mend the text" in caught.value.remedy


def variant(text: str, collation: str) -> str:
    return f"CONVERT(sql_variant, CONVERT(varchar(8000), {text} COLLATE {collation}) COLLATE {collation})"


@pytest.mark.parametrize("driver", DRIVERS)
def test_should_read_long_text_of_any_code_page_in_a_variant_or_name_its_row(bank, server, scratch, driver):
    table = scratch("id int PRIMARY KEY, n int, [v]]'s] sql_variant")
    read = {
        variant("REPLICATE(N'Ж', 3998)", "Cyrillic_General_CI_AS"): "Ж" * 3_998,
        variant("REPLICATE(N'Ж', 3998)", "Latin1_General_100_CI_AS_SC_UTF8"): "Ж" * 3_998,  # of 7,996 bytes
        variant("REPLICATE('é', 8000)", "Latin1_General_BIN"): "é" * 8_000,  # of the database's code page
    }
    for n, value in enumerate(read):
        bank.run(f"INSERT INTO {table} VALUES ({n}, 0, {value})")
    found = rows_of(server, describe_table(bank, table), driver)
    assert found.column("v]'s").to_pylist() == list(read.values())
    long = variant("REPLICATE(CONVERT(nvarchar(max), N'ж'), 4001)", "Cyrillic_General_CI_AS")
    bank.run(f"INSERT INTO {table} VALUES (71, 0, {long})")
    with pytest.raises(UnsupportedSource, match=r"column \"v\]'s\" .*code page.*row with key 71") as caught:
        rows_of(server, describe_table(bank, table), driver)
    assert "columns.exclude" in caught.value.remedy


@pytest.mark.parametrize("driver", DRIVERS)
def test_should_name_the_column_of_half_a_character_where_there_is_no_key(bank, server, scratch, driver):
    table = scratch("id int, c nvarchar(9)")
    bank.run(f"INSERT INTO {table} VALUES (1, N'ok'), (2, NCHAR(55357))")
    with pytest.raises(UnsupportedSource, match=r"column 'c' .*one of the rows 1 to"):
        rows_of(server, describe_table(bank, table), driver)


@pytest.mark.parametrize("driver", DRIVERS)
def test_should_let_the_server_make_text_of_a_code_page_unicode(bank, server, scratch, driver):
    """It knows the code page of each column; what a code page leaves open, drivers decode each in its own way."""
    table = scratch("id int PRIMARY KEY, a varchar(9), b varchar(max), c char(3), d varchar(8000), e text")
    letters = "CHAR(129) + 'é' + CHAR(141)"
    bank.run(
        f"INSERT INTO {table} VALUES (1, {letters}, {letters}, CHAR(144), {letters}, 'é'), (2, 'Ж', 'Ж', 'Ж', 'Ж', 'Ж')"
    )
    found = rows_of(server, describe_table(bank, table), driver)
    strange = "\x81é\x8d"
    assert found.to_pylist()[0] == {"id": 1, "a": strange, "b": strange, "c": "\x90  ", "d": strange, "e": "é"}


def test_should_read_cell_by_cell_and_say_so_where_the_servers_lines_do_not_hold(babelfish):
    with connect(babelfish.reference, babelfish.credentials) as source:
        kinds = {f"c{n}": kind for n, kind in enumerate(VALUES)}
        source.run(
            f"CREATE TABLE dbo.cells (id int PRIMARY KEY, {', '.join(f'{name} {kind} NULL' for name, kind in kinds.items())})"
        )
        most = max(map(len, VALUES.values()))
        for n in range(most):
            cells = [VALUES[kind][n][0] if n < len(VALUES[kind]) else "NULL" for kind in kinds.values()]
            source.run(f"INSERT INTO dbo.cells VALUES ({n}, {', '.join(cells)})")
        description = describe_table(source, "cells")
    notes = []
    one, other = rows_of(babelfish, description, "pymssql", notes), rows_of(babelfish, description, "mssql-python")
    assert notes == [
        "this server joins columns to text otherwise than SQL Server, so rows are read cell by cell, more slowly"
    ]
    for name, kind in kinds.items():
        assert one.column(name).equals(other.column(name)), kind


def test_should_read_in_lines_where_they_hold(bank, server):
    notes = []
    selection = Selection(describe_table(bank, "accounts"), describe_table(bank, "accounts").source_columns)
    with open_reader(server.reference, server.credentials, selection, "pymssql") as reader:
        assert sum(batch.num_rows for batch in reader) == 750
        notes += reader.notes
    assert notes == []


LACKING = {
    "hierarchyid": "'/1/2/'",
    "geometry": "0x01B90B0000000000000000F03F000000000000004000000000000008400000000000001040",
    "geography": "0x01010000000000000000000040000000000000F03F",
}


@pytest.mark.parametrize("kind", LACKING)
@pytest.mark.parametrize("driver", DRIVERS)
def test_should_refuse_a_type_that_the_server_does_not_print_as_documented(babelfish, driver, kind):
    columns = [SourceColumn(name="h", sql_type=kind)]
    with pytest.raises(UnsupportedSource, match=rf"does not print {kind} .*{LACKING[kind]}") as caught:
        open_reader(babelfish.reference, babelfish.credentials, Selection("SELECT 1 AS h", columns), driver)
    assert f"leave columns of type {kind} out (columns.exclude)" in caught.value.remedy


def test_should_refuse_sql_variant_where_the_server_prints_numbers_with_six_digits(bank, server):
    """As SQL Server 2014 does, which takes style 3 for 0 and says nothing."""
    older = server.reference.model_copy(update={"database": "of_2014"})

    def ask(statement: str) -> Any:
        return "1.23457e+006" if "CONVERT(float, 1234567.89" in statement else bank.scalar(statement)

    require_conversions(server.reference, ["sql_variant"], bank.scalar)
    with pytest.raises(UnsupportedSource, match=r"does not print sql_variant .*1234567\.89012345"):
        require_conversions(older, ["sql_variant"], ask)
