"""Reads that go wrong, are given up, or are bounded: never a short result that looks whole."""

import os
import subprocess
import sys
import threading

import pytest

from flowforge.domain.errors import (
    QueryRefused,
    SourceChanged,
    SourceUnavailable,
    TruncatedRead,
    UnknownTable,
    UnsupportedSource,
)
from flowforge.domain.given import given
from flowforge.domain.source_columns import SourceColumn
from flowforge.sources.sqlserver.bounds import plan_interval
from flowforge.sources.sqlserver.catalog import describe_table
from flowforge.sources.sqlserver.completeness import COUNT_COLUMN, check_complete, counted_rows
from flowforge.sources.sqlserver.connection import connect
from flowforge.sources.sqlserver.query_columns import describe_query
from flowforge.sources.sqlserver.reader import open_reader
from flowforge.sources.sqlserver.selection import Selection
from flowforge.sources.sqlserver.sql_text import count_statement

from events.targets import SourceTable  # isort: skip
from tests.helpers.source_server import start_server, stop_server  # isort: skip
from tests.helpers.waiting import LIMIT_SECONDS

DRIVERS = ("pymssql", "mssql-python")
ID = [SourceColumn(name="id", sql_type="int")]


def rows_of(reader):
    return [row for batch in reader for row in batch.to_pylist()]


@pytest.mark.parametrize("driver", DRIVERS)
def test_should_read_the_interval_that_was_planned_and_no_other_row(bank, server, driver):
    description = describe_table(bank, "customers")
    source = SourceTable(
        table_name="customers", is_incremental=True, delta_column="modified_date", last_watermark="2024-06-01"
    )
    interval = plan_interval(bank, description, source, None, None).interval
    selection = Selection(description, description.source_columns, interval)
    with open_reader(server.reference, server.credentials, selection, driver) as reader:
        stamps = [str(row["modified_date"]) for row in rows_of(reader)]
    assert len(stamps) == bank.scalar(count_statement(description, interval))
    assert 0 < len(stamps) < 500 and min(stamps) >= "2024-06-01"


@pytest.mark.parametrize("driver", DRIVERS)
def test_should_read_a_query_with_its_own_order_and_common_table_expression(bank, server, driver):
    query = "WITH few AS (SELECT customer_id AS id FROM dbo.customers WHERE customer_id <= 3) SELECT id FROM few ORDER BY id DESC"
    columns = describe_query(bank, query)
    with open_reader(server.reference, server.credentials, Selection(query, columns), driver) as reader:
        assert rows_of(reader) == [{"id": 3}, {"id": 2}, {"id": 1}]


@pytest.mark.parametrize("driver", DRIVERS)
def test_should_raise_the_servers_error_that_comes_before_the_first_row(server, driver):
    with pytest.raises(UnknownTable, match="nope"):
        open_and_read(server, "SELECT id FROM dbo.nope", driver)
    with pytest.raises(QueryRefused):
        open_and_read(server, "SELEC id", driver)


@pytest.mark.parametrize("driver", DRIVERS)
def test_should_raise_the_servers_error_that_comes_amid_the_rows(server, driver):
    """The thousandth row divides by zero: what came before must not pass for the whole."""
    with pytest.raises(QueryRefused, match=r"[Dd]ivide by zero"):
        open_and_read(server, "SELECT 1 / (transaction_id - 14000) AS id FROM dbo.transactions", driver, 100)


@pytest.mark.parametrize("driver", DRIVERS)
def test_should_raise_when_the_session_is_killed_amid_the_rows(tmp_path, server, driver):
    """A server of its own dies while a large result streams."""
    mine = start_server(tmp_path, "--bank", "--rows", "transactions=150000")
    try:
        trusting = mine.reference.model_copy(update={"trust_server_certificate": True})
        columns = _transactions(trusting, mine.credentials)
        selection = Selection("SELECT * FROM dbo.transactions", columns)
        with open_reader(trusting, mine.credentials, selection, driver, 1000) as reader:
            batches = iter(reader)
            arrived = next(batches).num_rows
            process = given(mine.process)
            process.kill()
            process.wait(LIMIT_SECONDS)
            with pytest.raises((SourceUnavailable, TruncatedRead)):
                arrived += sum(batch.num_rows for batch in batches)
        assert arrived < 150_000
    finally:
        stop_server(mine)


@pytest.mark.parametrize("driver", DRIVERS)
def test_should_free_the_server_when_a_read_is_given_up(bank, server, driver):
    with open_reader(
        server.reference,
        server.credentials,
        Selection("SELECT transaction_id AS id FROM dbo.transactions", ID),
        driver,
        10,
    ) as reader:
        assert next(iter(reader)).num_rows == 10
    reader.close()
    assert bank.scalar("SELECT COUNT(*) AS n FROM dbo.transactions") == 5000


@pytest.mark.parametrize("driver", DRIVERS)
def test_should_read_in_another_thread_than_the_one_that_opened(server, driver):
    found = []
    selection = Selection("SELECT customer_id AS id FROM dbo.customers", ID)
    with open_reader(server.reference, server.credentials, selection, driver) as reader:
        thread = threading.Thread(target=lambda: found.extend(rows_of(reader)))
        thread.start()
        thread.join(LIMIT_SECONDS)
    assert len(found) == 500


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("sql", ["SELECT 1 AS id, 2 AS more", "SELECT 1 AS other"])
def test_should_refuse_a_result_that_is_not_as_described(server, driver, sql):
    with pytest.raises(SourceChanged, match="1 were described"):
        open_and_read(server, sql, driver)


@pytest.mark.parametrize("driver", DRIVERS)
def test_should_refuse_a_query_of_two_selects(server, driver):
    with pytest.raises(QueryRefused, match="more than one statement"):
        open_and_read(server, "SELECT 1 AS id; SELECT 'x' AS id", driver)


@pytest.mark.parametrize("provider", ["", "mssql-odbc", "msodbcsql18"])
def test_should_read_with_whatever_driver_loads_when_none_is_named(server, provider):
    """The classic provider needs libraries of the system; where they are missing, pymssql reads."""
    reference, password = server.reference, server.credentials.password.get_secret_value()
    code = f"""
from events.targets import ConnectionReference
from flowforge.sources.target import Credentials
from flowforge.sources.sqlserver.reader import open_reader
from flowforge.sources.sqlserver.selection import Selection
from flowforge.domain.source_columns import SourceColumn
reference = ConnectionReference(**{reference.model_dump()!r})
credentials = Credentials(username="sa", password={password!r})
with open_reader(reference, credentials, Selection("SELECT 1 AS id", [SourceColumn(name="id", sql_type="int")])) as r:
    print([b.to_pylist() for b in r])
"""
    environment = {**os.environ, "MSSQL_PYTHON_NATIVE_PROVIDER": provider}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        env=environment,
        check=False,
    )
    assert done.stdout.strip() == "[[{'id': 1}]]", done.stderr


def test_should_name_what_a_chosen_driver_lacks(server):
    """Its native module is hidden, as on a system where it does not load; nobody's choice falls back to the other."""
    reference, password = server.reference, server.credentials.password.get_secret_value()
    code = f"""
import sys
sys.modules["mssql_python.ddbc_bindings"] = None
from events.targets import ConnectionReference
from flowforge.domain.errors import UnsupportedSource
from flowforge.sources.target import Credentials
from flowforge.sources.sqlserver.reader import open_reader
from flowforge.sources.sqlserver.selection import Selection
from flowforge.domain.source_columns import SourceColumn
def attempt(driver):
    reference = ConnectionReference(**{reference.model_dump()!r})
    credentials = Credentials(username="sa", password={password!r})
    columns = [SourceColumn(name="id", sql_type="int")]
    with open_reader(reference, credentials, Selection("SELECT 1 AS id", columns), driver) as r:
        return [b.to_pylist() for b in r]
try:
    attempt("mssql-python")
except UnsupportedSource as error:
    print("refused:", error, error.remedy)
print(attempt("auto"))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False
    )
    refused, read = done.stdout.splitlines()
    assert refused.startswith("refused: the driver mssql-python") and "pymssql" in refused
    assert read == "[[{'id': 1}]]"


def test_should_refuse_a_driver_that_is_not_there_by_name(server):
    with pytest.raises(UnsupportedSource, match="'odbc'"):
        open_reader(server.reference, server.credentials, Selection("SELECT 1 AS id", ID), "odbc")


def test_should_choose_the_fast_driver_where_it_loads(server):
    with open_reader(server.reference, server.credentials, Selection("SELECT 1 AS id", ID)) as reader:
        assert type(reader).__name__ == "MssqlPythonReader"
        assert rows_of(reader) == [{"id": 1}]


def test_should_refuse_a_result_set_that_follows_the_rows_in_place_of_their_count():
    with pytest.raises(QueryRefused, match="bank: the query returns more than one result set"):
        counted_rows("id", ("x",), "bank")
    assert (counted_rows(COUNT_COLUMN, (7,), "bank"), counted_rows(None, None, "bank")) == (7, None)


@pytest.mark.parametrize(("arrived", "counted"), [(10, 11), (10, 9), (10, None), (0, None)])
def test_should_never_take_a_read_for_complete_that_the_server_counts_otherwise(arrived, counted):
    with pytest.raises(TruncatedRead):
        check_complete(arrived, counted, "bank")


def open_and_read(server, sql, driver, batch_rows=1000):
    with open_reader(server.reference, server.credentials, Selection(sql, ID), driver, batch_rows) as reader:
        return rows_of(reader)


def _transactions(reference, credentials):
    with connect(reference, credentials) as connection:
        return describe_table(connection, "transactions").source_columns
