"""Transactions: what others see and when, who holds what back, and how conflicts end."""

import threading

import pymssql
import pytest

from tests.helpers.waiting import LIMIT_SECONDS


def one(cursor, text: str):
    cursor.execute(text)
    return cursor.fetchone()[0]


@pytest.fixture
def pair(connect):
    """Cursors of two sessions."""
    return connect().cursor(), connect().cursor()


def test_should_hide_uncommitted_rows_and_show_committed_ones(pair, table):
    first, second = pair
    name = table("a int")
    first.execute(f"BEGIN TRANSACTION; INSERT INTO {name} VALUES (1)")
    assert one(first, f"SELECT COUNT(*) FROM {name}") == 1
    assert one(second, f"SELECT COUNT(*) FROM {name}") == 0
    first.execute("COMMIT")
    assert one(second, f"SELECT COUNT(*) FROM {name}") == 1


def test_should_undo_on_rollback(pair, table):
    first, second = pair
    name = table("a int")
    first.execute(f"BEGIN TRAN; INSERT INTO {name} VALUES (1); ROLLBACK TRANSACTION")
    assert one(second, f"SELECT COUNT(*) FROM {name}") == 0
    assert one(first, "SELECT @@TRANCOUNT") == 0


@pytest.mark.parametrize(
    ("hints", "isolation", "versions", "refused"),
    [
        ("READPAST", "READ COMMITTED", "OFF", False),
        ("READPAST", "READ COMMITTED", "ON", True),
        ("READPAST, READCOMMITTEDLOCK", "READ COMMITTED", "ON", False),
        ("READPAST", "SNAPSHOT", "OFF", True),
        ("READPAST, READCOMMITTEDLOCK", "SNAPSHOT", "ON", True),
    ],
)
def test_should_pass_over_rows_only_where_reads_take_locks(pair, table, hints, isolation, versions, refused):
    first, _ = pair
    name = table("a int")
    first.execute(f"ALTER DATABASE CURRENT SET READ_COMMITTED_SNAPSHOT {versions}")
    try:
        first.execute(f"SET TRANSACTION ISOLATION LEVEL {isolation}")
        if refused:
            with pytest.raises(pymssql.Error, match="READPAST lock in the READ COMMITTED"):
                first.execute(f"SELECT a FROM {name} WITH ({hints})")
        else:
            assert one(first, f"SELECT COUNT(*) FROM {name} WITH ({hints})") == 0
    finally:
        first.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
        first.execute("ALTER DATABASE CURRENT SET READ_COMMITTED_SNAPSHOT ON")


def test_should_count_nested_transactions(pair):
    first, _ = pair
    first.execute("BEGIN TRAN; BEGIN TRAN")
    assert one(first, "SELECT @@TRANCOUNT") == 2
    first.execute("COMMIT")
    assert one(first, "SELECT @@TRANCOUNT") == 1
    first.execute("ROLLBACK")
    assert one(first, "SELECT @@TRANCOUNT") == 0


def test_should_follow_a_drivers_own_transactions(standin, sql, table):
    name = table("a int")
    with standin.odbc(autocommit=False) as connection:
        connection.execute(f"INSERT INTO {name} VALUES (1)")
        connection.rollback()
        connection.execute(f"INSERT INTO {name} VALUES (2)")
        connection.commit()
    assert sql(f"SELECT a FROM {name}") == [(2,)]


def test_should_read_what_others_committed_in_an_open_transaction_that_has_not_written(pair, table):
    first, second = pair
    name = table("a int")
    first.execute("BEGIN TRAN")
    assert one(first, f"SELECT COUNT(*) FROM {name}") == 0
    second.execute(f"INSERT INTO {name} VALUES (1)")
    assert one(first, f"SELECT COUNT(*) FROM {name}") == 1
    first.execute("ROLLBACK")


def test_should_keep_a_snapshot_when_asked(pair, table):
    first, second = pair
    name = table("a int")
    first.execute("SET TRANSACTION ISOLATION LEVEL SNAPSHOT; BEGIN TRAN")
    assert one(first, f"SELECT COUNT(*) FROM {name}") == 0
    second.execute(f"INSERT INTO {name} VALUES (1)")
    assert one(first, f"SELECT COUNT(*) FROM {name}") == 0
    first.execute("COMMIT")
    assert one(first, f"SELECT COUNT(*) FROM {name}") == 1


def test_should_advance_row_versions_on_insert_and_update(sql, table):
    name = table("id int PRIMARY KEY, v int, rv rowversion")
    sql(f"INSERT INTO {name} (id, v) VALUES (1, 1), (2, 1)")
    before = dict(sql(f"SELECT id, rv FROM {name}"))
    sql(f"UPDATE {name} SET v = 2 WHERE id = 1")
    after = dict(sql(f"SELECT id, rv FROM {name}"))
    assert before[1] < before[2] < after[1]
    assert after[2] == before[2]
    assert sql("SELECT @@DBTS") == [(after[1],)]
    next_version = int.from_bytes(after[1], "big") + 1
    assert sql("SELECT MIN_ACTIVE_ROWVERSION()") == [(next_version.to_bytes(8, "big"),)]


def test_should_hold_min_active_rowversion_back_for_an_open_transaction(pair, table):
    first, second = pair
    name = table("id int PRIMARY KEY, rv rowversion")
    first.execute(f"BEGIN TRAN; INSERT INTO {name} (id) VALUES (1)")
    second.execute(f"INSERT INTO {name} (id) VALUES (2)")
    held = one(second, "SELECT MIN_ACTIVE_ROWVERSION()")
    assert held == one(first, f"SELECT rv FROM {name} WHERE id = 1")
    assert held < one(second, f"SELECT rv FROM {name} WHERE id = 2")
    first.execute("COMMIT")
    assert one(second, "SELECT MIN_ACTIVE_ROWVERSION()") > one(second, f"SELECT MAX(rv) FROM {name}")


def test_should_show_open_transactions_to_others(pair, table):
    first, second = pair
    name = table("a int")
    first.execute("BEGIN TRAN")
    spid = one(first, "SELECT @@SPID")
    query = f"""SELECT s.status, t.transaction_type, t.transaction_state, d.database_transaction_log_record_count,
 DATEDIFF_BIG(millisecond, t.transaction_begin_time, GETDATE()), s.login_name, st.is_user_transaction
 FROM sys.dm_tran_active_transactions t JOIN sys.dm_tran_session_transactions st ON st.transaction_id = t.transaction_id
 JOIN sys.dm_exec_sessions s ON s.session_id = st.session_id LEFT JOIN sys.dm_tran_database_transactions d
 ON d.transaction_id = t.transaction_id AND d.database_id = DB_ID() WHERE st.session_id = {spid}"""
    second.execute(query)
    status, kind, state, records, age, login, is_user = second.fetchone()
    assert (status, kind, state, records, login, is_user) == ("sleeping", 2, 2, 0, "sa", True)
    assert age >= 0
    first.execute(f"INSERT INTO {name} VALUES (1)")
    second.execute(query)
    assert second.fetchone()[3] == 1
    first.execute("COMMIT")
    second.execute(query)
    assert second.fetchall() == []


def test_should_retry_a_lone_update_until_the_row_is_free(pair, table):
    first, second = pair
    name = table("id int PRIMARY KEY, v int")
    first.execute(f"INSERT INTO {name} VALUES (1, 0); BEGIN TRAN; UPDATE {name} SET v = 1 WHERE id = 1")
    waiting = threading.Thread(target=second.execute, args=(f"UPDATE {name} SET v = v + 10 WHERE id = 1",))
    waiting.start()
    first.execute("COMMIT")
    waiting.join(LIMIT_SECONDS)
    assert one(first, f"SELECT v FROM {name}") == 11


def test_should_time_out_on_a_locked_row(pair, table):
    first, second = pair
    name = table("id int PRIMARY KEY, v int")
    first.execute(f"INSERT INTO {name} VALUES (1, 0); BEGIN TRAN; UPDATE {name} SET v = 1 WHERE id = 1")
    with pytest.raises(pymssql.Error, match="Lock request time out"):
        second.execute(f"SET LOCK_TIMEOUT 0; UPDATE {name} SET v = 2 WHERE id = 1")
    first.execute("ROLLBACK")


def test_should_roll_back_the_transaction_of_a_connection_that_breaks(standin, sql, table):
    name = table("a int")
    connection = standin.connect()
    connection.cursor().execute(f"BEGIN TRAN; INSERT INTO {name} VALUES (1)")
    connection.close()
    assert sql(f"INSERT INTO {name} VALUES (2); SELECT a FROM {name}") == [(2,)]


def test_should_roll_the_whole_transaction_back_when_a_write_fails_in_it(pair, table):
    first, second = pair
    name = table("a int PRIMARY KEY")
    first.execute(f"BEGIN TRAN; INSERT INTO {name} VALUES (1)")
    with pytest.raises(pymssql.Error, match="PRIMARY KEY"):
        first.execute(f"INSERT INTO {name} VALUES (1)")
    assert one(first, "SELECT @@TRANCOUNT") == 0
    assert one(second, f"SELECT COUNT(*) FROM {name}") == 0


def test_should_let_many_sessions_insert_at_once(standin, sql, table):
    name = table("id int IDENTITY PRIMARY KEY, worker int, rv rowversion")

    def work(number: int) -> None:
        connection = standin.connect()
        for _ in range(10):
            connection.cursor().execute(f"INSERT INTO {name} (worker) VALUES ({number})")
        connection.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT_SECONDS)
    assert sql(f"SELECT COUNT(*), COUNT(DISTINCT id), COUNT(DISTINCT CAST(rv AS bigint)) FROM {name}") == [(80, 80, 80)]


def test_should_see_definitions_that_another_session_changes(pair):
    first, second = pair
    first.execute("CREATE TABLE shifting (a int); INSERT INTO shifting VALUES (1)")
    second.execute("SELECT * FROM shifting")
    assert second.fetchall() == [(1,)]
    first.execute("BEGIN TRAN; ALTER TABLE shifting ADD b nvarchar(5) NULL")
    second.execute("SELECT * FROM shifting")
    assert second.fetchall() == [(1,)]
    first.execute("COMMIT")
    second.execute("SELECT * FROM shifting")
    assert second.fetchall() == [(1, None)]
    first.execute("DROP TABLE shifting")
    with pytest.raises(pymssql.Error, match="Invalid object name 'shifting'"):
        second.execute("SELECT * FROM shifting")


def test_should_read_nothing_in_a_snapshot_whose_definition_has_changed_since_it_began(connect, table):
    reader, other = (connect(autocommit=True).cursor() for _ in range(2))
    changed, same, gone = table("id int NOT NULL"), table("id int NOT NULL"), table("id int NOT NULL")
    reader.execute("SET TRANSACTION ISOLATION LEVEL SNAPSHOT; BEGIN TRANSACTION")
    assert one(reader, f"SELECT COUNT(*) FROM {same}") == 0
    other.execute(f"CREATE INDEX i ON {changed} (id); DROP TABLE {gone}")
    for name, number in ((changed, 3961), (gone, 208)):
        with pytest.raises(pymssql.Error) as caught:
            reader.execute(f"SELECT COUNT(*) FROM {name}")
        assert caught.value.args[0] == number
    assert one(reader, f"SELECT COUNT(*) FROM {same}") == 0
    reader.execute("COMMIT")
    assert one(reader, f"SELECT COUNT(*) FROM {changed}") == 0  # a statement alone begins its own


def test_should_begin_no_snapshot_within_a_transaction_that_has_read_under_another_isolation(connect, table):
    cursor, name = connect(autocommit=True).cursor(), table("id int")
    change = "SET TRANSACTION ISOLATION LEVEL"
    cursor.execute(f"BEGIN TRANSACTION; {change} SNAPSHOT")  # nothing was read before
    assert one(cursor, f"SELECT COUNT(*) FROM {name}") == 0
    cursor.execute(f"{change} READ COMMITTED; INSERT INTO {name} VALUES (1); {change} SNAPSHOT")
    assert one(cursor, f"SELECT COUNT(*) FROM {name}") == 1
    cursor.execute(
        f"COMMIT; {change} READ COMMITTED; BEGIN TRANSACTION; INSERT INTO {name} VALUES (2); {change} SNAPSHOT"
    )
    with pytest.raises(pymssql.Error, match="did not start in snapshot isolation") as caught:
        cursor.execute(f"SELECT COUNT(*) FROM {name}")
    assert caught.value.args[0] == 3951
    assert (one(cursor, "SELECT @@TRANCOUNT"), one(cursor, f"SELECT COUNT(*) FROM {name}")) == (0, 1)


def test_should_alter_no_database_within_a_transaction(connect):
    cursor = connect(autocommit=True).cursor()
    cursor.execute("BEGIN TRANSACTION")
    with pytest.raises(pymssql.Error, match="ALTER DATABASE statement not allowed within multi-statement") as caught:
        cursor.execute("ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION ON")
    assert caught.value.args[0] == 226


@pytest.mark.parametrize("statement", ["ALTER TABLE {} ADD w int NULL", "CREATE UNIQUE INDEX i ON {} (id)"])
def test_should_define_nothing_within_a_snapshot_whose_metadata_has_no_versions(connect, table, statement):
    cursor, name = connect(autocommit=True).cursor(), table("id int NOT NULL")
    cursor.execute("SET TRANSACTION ISOLATION LEVEL SNAPSHOT; BEGIN TRANSACTION")
    with pytest.raises(pymssql.Error, match="not allowed inside a snapshot isolation transaction") as caught:
        cursor.execute(statement.format(name))
    assert caught.value.args[0] == 3964
    cursor.execute("IF @@TRANCOUNT > 0 ROLLBACK")
    cursor.execute(statement.format(name))  # a statement alone may
