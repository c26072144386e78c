"""A clock that tests move, a zone, and a login that may not look at other sessions."""

import datetime as dt

import pymssql
import pytest

from tests.helpers.standin import start, stop

NOON = dt.datetime(2024, 3, 31, 12)


@pytest.fixture(scope="module")
def clocked(tmp_path_factory):
    """A stand-in of its own, since all its sessions share the clock."""
    started = start(tmp_path_factory.mktemp("tls"), "--reader", "reader")
    yield started
    stop(started)


@pytest.fixture
def session(clocked):
    """A session of a server whose clock stands at noon, in UTC."""
    with clocked.connect() as connection, connection.cursor() as cursor:
        cursor.execute("EXEC flowforge_clock 'run'; EXEC flowforge_clock 'set', '2024-03-31 12:00:00'")
        yield cursor


def one(cursor, text: str):
    cursor.execute(text)
    return cursor.fetchone()[0]


def test_should_stand_still_until_it_is_moved(session):
    assert one(session, "SELECT SYSUTCDATETIME()") == one(session, "SELECT SYSDATETIME()") == NOON
    session.execute("EXEC flowforge_clock 'advance', 86400001")
    assert one(session, "SELECT SYSDATETIME()") == NOON + dt.timedelta(days=1, milliseconds=1)
    session.execute("EXEC flowforge_clock 'advance', -1")
    assert one(session, "SELECT GETUTCDATE()") == NOON + dt.timedelta(days=1)


def test_should_tell_local_time_beside_utc_where_it_stands_in_a_zone(session):
    session.execute("EXEC flowforge_clock 'zone', 60")
    assert one(session, "SELECT GETDATE()") == one(session, "SELECT CURRENT_TIMESTAMP") == NOON + dt.timedelta(hours=1)
    assert one(session, "SELECT SYSUTCDATETIME()") == NOON
    printed = "SELECT CONVERT(varchar(34), SYSDATETIMEOFFSET(), 121)"
    assert one(session, printed) == "2024-03-31 13:00:00.0000000 +01:00"


@pytest.mark.parametrize(
    ("ticked", "stored"),
    [("00.001", 0), ("00.002", 3000), ("00.005", 7000), ("00.008", 7000), ("00.009", 10000), ("59.999", 60_000_000)],
)
def test_should_stamp_a_datetime_in_three_hundredths_of_a_second(session, ticked, stored):
    session.execute(f"EXEC flowforge_clock 'set', '2024-03-31 12:00:{ticked}'")
    assert one(session, "SELECT GETDATE()") == NOON + dt.timedelta(microseconds=stored)


def test_should_tell_the_age_of_a_transaction_by_this_clock(clocked, session):
    with clocked.connect() as connection, connection.cursor() as other:
        other.execute("BEGIN TRANSACTION")
        session.execute("EXEC flowforge_clock 'advance', 90000")
        age = "SELECT DATEDIFF(second, transaction_begin_time, GETDATE()) FROM sys.dm_tran_active_transactions"
        assert one(session, age) == 90


@pytest.mark.parametrize("arguments", ["'later'", "'set', 'noon'", "'advance', 'a while'", "'zone', 'CET'"])
def test_should_refuse_what_makes_no_sense(session, arguments):
    with pytest.raises(pymssql.Error, match="flowforge_clock"):
        session.execute(f"EXEC flowforge_clock {arguments}")


@pytest.mark.parametrize("view", ["active_transactions", "session_transactions", "database_transactions"])
def test_should_not_show_transactions_to_a_login_without_the_permission(clocked, view):
    with clocked.connect(user="reader") as connection, connection.cursor() as cursor:
        with pytest.raises(pymssql.Error, match="VIEW SERVER PERFORMANCE STATE permission was denied"):
            cursor.execute(f"SELECT * FROM sys.dm_tran_{view}")
        own = one(cursor, "SELECT @@SPID")
        cursor.execute("SELECT session_id FROM sys.dm_exec_sessions")
        assert cursor.fetchall() == [(own,)]


def test_should_end_a_snapshot_that_changes_what_another_has_changed(clocked, session):
    session.execute("CREATE TABLE accounts (id int PRIMARY KEY, balance int); INSERT INTO accounts VALUES (1, 10)")
    with clocked.connect() as connection, connection.cursor() as other:
        other.execute("SET TRANSACTION ISOLATION LEVEL SNAPSHOT; BEGIN TRANSACTION")
        assert one(other, "SELECT balance FROM accounts") == 10
        session.execute("UPDATE accounts SET balance = 20")
        with pytest.raises(pymssql.Error, match=r"update conflict.*'dbo.accounts'") as conflict:
            other.execute("UPDATE accounts SET balance = 30")
        assert conflict.value.args[0] == 3960
        assert one(other, "SELECT @@TRANCOUNT") == 0
        assert one(other, "SELECT balance FROM accounts") == 20


def test_should_end_the_transaction_that_changes_a_row_another_holds_after_its_own_first_change(clocked, session):
    session.execute("CREATE TABLE held (id int PRIMARY KEY, v int); INSERT INTO held VALUES (1, 0), (2, 0)")
    with clocked.connect() as connection, connection.cursor() as other:
        session.execute("BEGIN TRANSACTION; UPDATE held SET v = 1 WHERE id = 1")
        other.execute("BEGIN TRANSACTION; UPDATE held SET v = 2 WHERE id = 2")
        with pytest.raises(pymssql.Error, match="deadlock victim") as conflict:
            other.execute("UPDATE held SET v = 2 WHERE id = 1")
        assert conflict.value.args[0] == 1205
        session.execute("COMMIT")
        other.execute("SELECT id, v FROM held ORDER BY id")
        assert other.fetchall() == [(1, 1), (2, 0)]


def test_should_draw_identity_values_and_row_versions_at_the_write_and_not_give_them_back(clocked, session):
    session.execute("CREATE TABLE drawn (id int IDENTITY PRIMARY KEY, v rowversion)")
    with clocked.connect() as connection, connection.cursor() as other:
        other.execute("BEGIN TRANSACTION; INSERT INTO drawn DEFAULT VALUES")
        session.execute("INSERT INTO drawn DEFAULT VALUES")
        assert one(session, "SELECT id FROM drawn") == 2
        other.execute("ROLLBACK; INSERT INTO drawn DEFAULT VALUES")
        session.execute("SELECT id FROM drawn ORDER BY v")
        assert session.fetchall() == [(2,), (3,)]
