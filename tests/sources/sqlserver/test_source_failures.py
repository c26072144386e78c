"""Drivers' errors become ours: the class tells what to do, the server's words stay, the password does not."""

import mssql_python
import pymssql
import pytest

from flowforge.domain.errors import LoginRefused, QueryRefused, SourceUnavailable, UnknownColumn, UnknownTable
from flowforge.domain.source_columns import SourceColumn
from flowforge.sources.sqlserver.catalog import describe_table
from flowforge.sources.sqlserver.failures import described, translate, translate_login
from flowforge.sources.sqlserver.reader import open_reader
from flowforge.sources.sqlserver.selection import Selection

REMARK = "DB-Lib error message 20018, severity 14:\nGeneral SQL Server error: Check messages from the SQL Server\n"


@pytest.mark.parametrize(
    ("number", "text", "expected"),
    [
        (208, "Invalid object name 'dbo.nope'.", UnknownTable),
        (207, "Invalid column name 'nope'.", UnknownColumn),
        (102, "Incorrect syntax near 'x'.", QueryRefused),
        (156, "Incorrect syntax near the keyword 'WITH'.", QueryRefused),
        (8134, "Divide by zero error encountered.", QueryRefused),
        (50000, "a message of the user's own", QueryRefused),
        (
            245,
            "Conversion failed when converting the varchar value 'No space left on device' to data type int.",
            QueryRefused,
        ),
        (50000, "File too large", QueryRefused),
        (229, "The SELECT permission was denied on the object 'x', database 'b', schema 'dbo'.", UnknownTable),
        (300, "VIEW SERVER STATE permission was denied on object 'server', database 'master'.", UnknownTable),
        (1205, "Transaction (Process ID 51) was deadlocked on lock resources.", SourceUnavailable),
        (1222, "Lock request time out period exceeded.", SourceUnavailable),
        (20004, "Read from the server failed", SourceUnavailable),
        (40613, "Database is not currently available.", SourceUnavailable),
        (911, "Database 'nope' does not exist.", LoginRefused),
    ],
)
def test_should_class_a_servers_error_by_its_number_and_keep_its_words(number, text, expected):
    error = pymssql.OperationalError(number, (text + REMARK).encode())
    ours = translate(error, "bank on db:1433")
    assert type(ours) is expected
    assert str(ours) == f"bank on db:1433: {text}"
    assert ours.remedy


@pytest.mark.parametrize(
    ("number", "text", "remedy"),
    [
        (
            229,
            "The SELECT permission was denied on the object 'x', database 'b', schema 'dbo'.",
            "GRANT SELECT ON [dbo].[x]",
        ),
        (300, "VIEW SERVER STATE permission was denied on object 'server'.", "GRANT VIEW SERVER STATE"),
        (300, "VIEW SERVER PERFORMANCE STATE permission was denied.", "GRANT VIEW SERVER PERFORMANCE STATE"),
        (
            230,
            "The SELECT permission was denied on the column 'ssn' of the object 'people', database 'hr', schema 'dbo'.",
            "GRANT SELECT ON [dbo].[people] ([ssn]) TO this login's user in database [hr], or leave the column out",
        ),
        (
            229,
            "The EXECUTE permission was denied on the object 'rate', database 'other', schema 'fx'.",
            "GRANT EXECUTE ON [fx].[rate] TO this login's user in database [other]",
        ),
        (
            229,
            "The VIEW DEFINITION permission was denied on the object 'v', schema 's'.",
            "GRANT VIEW DEFINITION ON [s].[v]",
        ),
        (
            262,
            "SHOWPLAN permission denied in database 'bank'.",
            "GRANT SHOWPLAN TO this login's user in database [bank]",
        ),
        (262, "VIEW DATABASE STATE permission denied in database 'bank'.", "GRANT VIEW DATABASE STATE"),
        (297, "The user does not have permission to perform this action.", "the server does not say"),
        (33557097, "permission denied for table customers", "GRANT SELECT"),
    ],
)
def test_should_name_the_grant_that_is_missing(number, text, remedy):
    assert remedy in translate(pymssql.OperationalError(number, text.encode()), "b").remedy


def test_should_never_repeat_the_password_even_when_the_driver_does():
    error = pymssql.OperationalError(20002, b"login with hunter2 failed")
    assert "hunter2" not in str(translate(error, "b", secret="hunter2"))


@pytest.mark.parametrize(
    ("kind", "state", "detail", "expected"),
    [
        (mssql_python.ProgrammingError, "Base table or view not found", "Invalid object name 'x'.", UnknownTable),
        (mssql_python.ProgrammingError, "Column not found", "Invalid column name 'x'.", UnknownColumn),
        (mssql_python.ProgrammingError, "Syntax error or access violation", "Incorrect syntax near 'x'.", QueryRefused),
        (
            mssql_python.ProgrammingError,
            "Syntax error or access violation",
            "The SELECT permission was denied on the object 'x', database 'b', schema 'dbo'.",
            UnknownTable,
        ),
        (mssql_python.OperationalError, "Serialization failure", "deadlock victim", SourceUnavailable),
        (mssql_python.OperationalError, "Communication link failure", "connection reset", SourceUnavailable),
        (
            mssql_python.OperationalError,
            "Client unable to establish connection",
            "Login failed for user 'sa'.",
            LoginRefused,
        ),
        (mssql_python.OperationalError, "Client unable to establish connection", "refused", SourceUnavailable),
        (mssql_python.DataError, "Division by zero", "Divide by zero error encountered.", QueryRefused),
    ],
)
def test_should_class_the_other_drivers_errors_alike(kind, state, detail, expected):
    ours = translate(kind(state, f"[Microsoft][SQL Server]{detail}"), "bank on db:1433")
    assert type(ours) is expected
    assert str(ours) == f"bank on db:1433: {detail}"


def test_should_not_believe_the_stale_number_of_an_earlier_failed_login():
    """pymssql 2.4.6 reports a refused connection with the number of the process' first failed login."""
    unreachable = (
        b"DB-Lib error message 20009, severity 9:\nUnable to connect\nNet-Lib error during Connection refused (111)\n"
    )
    ours = translate_login(pymssql.OperationalError((18456, unreachable)), "bank on db:1", "sa", "x")
    assert type(ours) is SourceUnavailable
    assert "Connection refused (111)" in str(ours)


def test_should_call_a_login_refused_when_the_driver_has_dropped_the_servers_words():
    lost = (REMARK + "DB-Lib error message 20002, severity 9:\nTDS server connection failed\n").encode()
    ours = translate_login(pymssql.OperationalError((18456, lost)), "bank on db:1433", "sa", "")
    assert type(ours) is LoginRefused
    assert "'sa'" in str(ours)


@pytest.mark.parametrize(
    ("kept", "expected"), [(18456, LoginRefused), (40613, SourceUnavailable), (40501, SourceUnavailable)]
)
def test_should_try_a_login_again_whose_words_are_lost_where_a_passing_failure_came_before(kept, expected):
    """pymssql 2.4.6 keeps the number of the severest failure so far; a later one of that severity has no words."""
    lost = (REMARK + "DB-Lib error message 20002, severity 9:\nTDS server connection failed\n").encode()
    assert type(translate_login(pymssql.OperationalError((kept, lost)), "bank on db:1433", "sa", "")) is expected


LOGINS = [
    (916, 'The server principal "loader" is not able to access the database "Other" under the current security context.',
     "in [Other]: run there CREATE USER [loader] FOR LOGIN [loader]"),
    (18470, "Login failed for user 'loader'. Reason: The account is disabled.", "ENABLE"),
    (18486, "Login failed for user 'loader' because the account is currently locked out.", "UNLOCK"),
    (18488, "Login failed for user 'loader'. Reason: The password of the account must be changed.", "new password"),
    (18452, "Login failed. The login is from an untrusted domain and cannot be used with Windows authentication.", "SQL login"),
    (18456, "Login failed for user 'loader'.", "user name, password"),
    (40532, 'Cannot open server "bank" requested by the login. The login failed.', "NAME.database.windows.net"),
    (911, "Database 'Bnak' does not exist. Make sure that the name is entered correctly.", "'Bnak'"),
    (4060, 'Cannot open database "Bank" requested by the login. The login failed.', "exists and is online"),
    (942, "Database 'Bank' cannot be opened because it is offline.", "SET ONLINE"),
    (978, "The target database ('Bank') is in an availability group and is currently accessible for connections when the "
     "application intent is set to read only.", "listener"),
    (40615, "Cannot open server 'x' requested by the login. Client with IP address '::1' is not allowed to access the server.",
     "firewall"),
]  # fmt: skip
PASSING = [
    (983, "Unable to access availability database 'B' because the database replica is not in the PRIMARY or SECONDARY role.",
     "listener"),
    (1222, "Lock request time out period exceeded.", "find what blocks"),
    (3958, "Transaction aborted when accessing versioned row in table 't'. Requested versioned row was not found. Your tempdb is "
     "probably out of space.", "snapshotIsolation false"),
    (922, "Database 'B' is being recovered. Waiting until recovery is finished.", "started or restored"),
    (9002, "The transaction log for database 'B' is full due to 'LOG_BACKUP'.", "room"),
    (1205, "Transaction (Process ID 51) was deadlocked.", "try again"),
    (601, "Could not continue scan with NOLOCK due to data movement.", "leave NOLOCK out"),
    (3961, "Snapshot isolation transaction failed in database 'B' because the object accessed has been modified by "
     "a DDL statement in another concurrent transaction since the start of this transaction.", "definition was changed"),
    (10928, "Resource ID: 1. The request limit for the database is 30 and has been reached.", "maxConcurrentReads"),
    (596, "Cannot continue the execution because the session is in the kill state.", "ended the session"),
    (9002, "The transaction log for database 'certificates' is full due to 'LOG_BACKUP'.", "room"),
]  # fmt: skip


@pytest.mark.parametrize(("number", "text", "remedy"), LOGINS)
def test_should_say_what_ends_the_refusal_of_a_login_with_both_drivers(number, text, remedy):
    for error in (
        pymssql.OperationalError(number, text.encode()),
        mssql_python.OperationalError("Client unable to establish connection", f"[Microsoft][SQL Server]{text}"),
    ):
        ours = translate(error, "Bank on db:1433")
        assert type(ours) is LoginRefused
        assert remedy in ours.remedy


@pytest.mark.parametrize(("number", "text", "remedy"), PASSING)
def test_should_say_who_can_end_what_may_pass(number, text, remedy):
    ours = translate(pymssql.OperationalError(number, text.encode()), "Bank on db:1433")
    assert type(ours) is SourceUnavailable
    assert remedy in ours.remedy


LASTING = [
    (208, "Invalid object name 'dbo.gone'.", "sp_refreshview", "names in the query"),
    (207, "Invalid column name 'gone'.", "sp_refreshview", "names in the query"),
    (8134, "Divide by zero error encountered.", "FlowForge's own", "correct the query"),
    (824, "SQL Server detected a logical consistency-based I/O error: incorrect checksum.", "DBCC CHECKDB", "DBCC CHECKDB"),
    (650, "You can only specify the READPAST lock in the READ COMMITTED or REPEATABLE READ isolation levels.",
     "leave READPAST out", "leave READPAST out"),
    (3952, "Snapshot isolation transaction failed accessing database 'B' because it is not allowed in this database.",
     "ALLOW_SNAPSHOT_ISOLATION ON", "ALLOW_SNAPSHOT_ISOLATION ON"),
    (41332, "Memory optimized tables cannot be accessed when the session TRANSACTION ISOLATION LEVEL is set to SNAPSHOT.",
     "cannot be read under SNAPSHOT", "cannot be read under SNAPSHOT"),
]  # fmt: skip


@pytest.mark.parametrize(("number", "text", "ours", "theirs"), LASTING)
def test_should_advise_what_fits_the_writer_of_a_statement(number, text, ours, theirs):
    error = pymssql.OperationalError(number, text.encode())
    assert ours in translate(error, "b").remedy
    assert theirs in translate(error, "b", theirs=True).remedy


@pytest.mark.parametrize(
    ("number", "text", "kind", "remedy"),
    [
        (
            229,
            "The SELECT permission was denied on the object 'x', database 'b', schema 'dbo'.",
            UnknownTable,
            "GRANT SELECT ON [dbo].[x]",
        ),
        (916, 'The server principal "loader" is not able to access the database "Other".', LoginRefused, "in [Other]"),
        (1205, "Transaction (Process ID 51) was deadlocked.", SourceUnavailable, "try again"),
        (208, "Invalid object name 'nope'.", UnknownTable, "names in the query"),
        (245, "Conversion failed.", QueryRefused, "correct the query"),
    ],
)
def test_should_class_what_the_server_says_of_a_query_as_what_it_raises(number, text, kind, remedy):
    """sys.dm_exec_describe_first_result_set tells an error in its columns."""
    ours = described(number, text, "the query at b")
    assert type(ours) is kind and str(ours) == f"the query at b: {text}"
    assert remedy in ours.remedy


def test_should_ask_to_correct_a_query_only_where_a_person_wrote_it(bank, server):
    with pytest.raises(QueryRefused) as ours:
        bank.rows("SELECT FROM WHERE", about="dbo.customers")
    assert "correct the query" not in ours.value.remedy and "FlowForge's own" in ours.value.remedy
    with pytest.raises(QueryRefused) as theirs:
        bank.rows("SELECT FROM WHERE", about="the query")
    assert theirs.value.remedy.startswith("correct the query")


@pytest.mark.parametrize("driver", ["mssql-python", "pymssql"])
def test_should_tell_a_failing_view_from_a_failing_query(bank, server, driver):
    columns = [SourceColumn(name="x", sql_type="int")]
    query = "SELECT 1 / (customer_id - customer_id) AS x FROM customers"
    bank.run(f"CREATE VIEW dbo.fails AS {query}")
    try:
        remedies = [
            failure(server, driver, Selection(source, columns)).remedy
            for source in (query, describe_table(bank, "fails"))
        ]
    finally:
        bank.run("DROP VIEW dbo.fails")
    assert remedies[0].startswith("correct the query")
    assert "a view" in remedies[1] and "correct the query" not in remedies[1]


def failure(server, driver: str, selection: Selection) -> QueryRefused:
    with (
        pytest.raises(QueryRefused) as caught,
        open_reader(server.reference, server.credentials, selection, driver) as reader,
    ):
        list(reader)
    return caught.value
