"""The faults that the stand-in has on demand, as real drivers meet them."""

import threading

import mssql_python
import pymssql
import pytest

from tests.helpers.standin import StandIn, start, stop
from tests.helpers.waiting import LIMIT_SECONDS

ROWS = 5_000
QUESTION = "SELECT number, REPLICATE('x', 40) AS filling FROM {table}"


@pytest.fixture
def numbers(table, sql) -> str:
    """A table with the numbers from 1 to 5,000."""
    name = table("number int PRIMARY KEY")
    sql(f"INSERT INTO {name} SELECT transaction_id - 10000 FROM transactions")
    return name


@pytest.fixture
def fault(sql):
    """Sets faults; clears them when the test ends."""
    yield lambda *arguments: sql(f"EXEC flowforge_fault {', '.join(map(repr, arguments))}")
    sql("EXEC flowforge_fault 'none'")


def read(connection, table: str) -> list[int]:
    """The rows that arrive before the end or the failure, which is appended."""
    cursor, found = connection.cursor(), []
    try:
        cursor.execute(QUESTION.format(table=table))
        while row := cursor.fetchone():
            found.append(row[0])
    except (pymssql.Error, mssql_python.Error) as error:
        found.append(error)
    return found


def opened(standin: StandIn, driver: str):
    return standin.connect(encryption="off") if driver == "pymssql" else standin.odbc()


@pytest.mark.parametrize("driver", ["pymssql", "mssql-python"])
@pytest.mark.parametrize("kind", ["reset", "deadlock"])
@pytest.mark.parametrize("after", [0, 1, 3_000])
def test_should_fail_in_the_middle_of_the_rows_as_often_as_asked(standin, fault, numbers, kind, driver, after):
    fault(kind, after, 2, numbers)
    for _ in range(2):
        *rows, failure = read(opened(standin, driver), numbers)
        assert isinstance(failure, pymssql.Error | mssql_python.Error)
        assert rows == list(range(1, len(rows) + 1))
        assert len(rows) <= after
        if kind == "deadlock" and driver == "pymssql":
            assert (len(rows), failure.args[0]) == (after, 1205)
    assert read(opened(standin, driver), numbers) == list(range(1, ROWS + 1))


def test_should_strike_only_requests_that_match_and_results_that_are_long_enough(standin, fault, numbers):
    fault("reset", ROWS, 1, numbers)
    fault("reset", 10, 1, "no such text")
    assert len(read(opened(standin, "pymssql"), numbers)) == ROWS


def test_should_roll_the_victim_back_and_keep_its_connection(standin, fault, numbers):
    with standin.connect(autocommit=False) as connection:
        cursor = connection.cursor()
        cursor.execute(f"DELETE FROM {numbers} WHERE number <= 10")
        fault("deadlock", 5, 1, numbers)
        assert isinstance(read(connection, numbers)[-1], pymssql.Error)
        assert len(read(connection, numbers)) == ROWS


def test_should_stall_until_the_faults_are_cleared_and_then_go_on(standin, fault, sql, numbers):
    fault("stall", 2_000, 1, numbers)
    rows: list = []
    with standin.connect() as connection:
        reader = threading.Thread(target=lambda: rows.extend(read(connection, numbers)))
        reader.start()
        reader.join(0.3)
        assert reader.is_alive()
        fault("none")
        reader.join(LIMIT_SECONDS)
    assert rows == list(range(1, ROWS + 1))


def test_should_let_a_stalled_client_go(standin, fault, sql, numbers):
    fault("stall", 100, 1, numbers)
    with standin.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT @@SPID")
        ((session,),) = cursor.fetchall()
        cursor.execute(QUESTION.format(table=numbers))
    while sql(f"SELECT 1 FROM sys.dm_exec_sessions WHERE session_id = {session}"):  # the test's timeout is the limit
        sql("WAITFOR DELAY '00:00:00.02'")
    assert len(read(opened(standin, "pymssql"), numbers)) == ROWS


def test_should_refuse_connections_until_the_faults_are_cleared(standin, fault):
    fault("refuse", 0, 100)  # a driver tries more than once
    with pytest.raises(pymssql.Error):
        standin.connect()
    fault("none")
    standin.connect().close()


def test_should_die_in_the_middle_of_the_rows(tmp_path):
    own = start(tmp_path, "--bank")
    control, reader = own.connect(), own.connect()
    control.cursor().execute("EXEC flowforge_fault 'die', 4000, 1, 'transactions'")
    cursor = reader.cursor()
    with pytest.raises(pymssql.Error):
        cursor.execute("SELECT transaction_id, merchant FROM transactions")
        cursor.fetchall()
    assert stop(own) == -9


@pytest.mark.parametrize("arguments", ["'flood'", "'reset', 'many'", "'reset', 1, 1, 'x', 2"])
def test_should_refuse_what_is_no_fault(sql, arguments):
    with pytest.raises(pymssql.Error, match="flowforge_fault"):
        sql(f"EXEC flowforge_fault {arguments}")
