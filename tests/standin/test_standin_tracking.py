"""The stand-in's Change Tracking. What it is to give, and with which errors, is what others have found on a SQL Server 2025."""

from collections.abc import Callable, Iterator

import pymssql
import pytest

Sql = Callable[..., list[tuple]]
CHANGED = "SELECT id, SYS_CHANGE_OPERATION, SYS_CHANGE_VERSION, SYS_CHANGE_CREATION_VERSION FROM CHANGETABLE(CHANGES {}, {}) AS c"


@pytest.fixture
def sql(opened: Callable[..., Sql]) -> Iterator[Sql]:
    """A connection to a database that tracks, with the tables t (tracked, empty), u (not tracked) and h (a heap)."""
    run = opened()
    run("IF OBJECT_ID('dbo.v') IS NOT NULL DROP VIEW dbo.v")
    for name in ("t", "u", "h"):
        run(f"IF OBJECT_ID('dbo.{name}') IS NOT NULL DROP TABLE dbo.{name}")
    run("IF EXISTS (SELECT * FROM sys.change_tracking_databases) ALTER DATABASE CURRENT SET CHANGE_TRACKING = OFF")
    run("ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON (CHANGE_RETENTION = 2 DAYS, AUTO_CLEANUP = ON)")
    run("CREATE TABLE dbo.t (id int CONSTRAINT pk PRIMARY KEY, a int, b int, c int)")
    run("CREATE TABLE dbo.u (id int PRIMARY KEY, a int)")
    run("CREATE TABLE dbo.h (a int)")
    run("ALTER TABLE dbo.t ENABLE CHANGE_TRACKING WITH (TRACK_COLUMNS_UPDATED = OFF)")
    yield run
    run("EXEC flowforge_clock 'run'")


def version(sql: Sql) -> int:
    return sql("SELECT CHANGE_TRACKING_CURRENT_VERSION()")[0][0]


def changed(sql: Sql, since: object) -> str:
    """Each row as `id operation version/creation`, with versions counted from `since`."""
    rows = sorted(sql(CHANGED.format("dbo.t", since)))
    base = since if isinstance(since, int) else 0

    def counted(number: int | None) -> str:
        return "" if number is None else str(number - base)

    return " ".join(f"{key}{operation}{counted(at)}/{counted(created)}" for key, operation, at, created in rows)


@pytest.mark.parametrize(
    ("writes", "expected"),
    [
        ("UPDATE t SET a = 9 WHERE id = 1", "1U1/"),
        ("DELETE FROM t WHERE id = 2", "2D1/"),
        ("INSERT t VALUES (4, 0, 0, 0); DELETE FROM t WHERE id = 4", "4D2/1"),
        ("DELETE FROM t WHERE id = 1; INSERT t VALUES (1, 0, 0, 0)", "1U2/2"),
        ("UPDATE t SET id = id + 10 WHERE id < 3", "1D1/ 2D1/ 11I1/1 12I1/1"),
        ("UPDATE t SET id = id + 1", "1D1/ 2U1/1 3U1/1 4I1/1"),
        ("UPDATE t SET id = id WHERE id = 1", "1U1/1"),
        ("UPDATE t SET a = 1 WHERE 1 = 0", ""),
        (
            "BEGIN TRAN; INSERT t VALUES (5, 1, 1, 1); DELETE FROM t WHERE id = 5; UPDATE t SET b = 2 WHERE id = 3; COMMIT",
            "3U1/ 5D1/1",
        ),
        ("BEGIN TRAN; INSERT t VALUES (6, 1, 1, 1); ROLLBACK", ""),
    ],
)
def test_should_tell_each_changed_key_once_with_what_became_of_it(sql: Sql, writes: str, expected: str):
    sql("INSERT t VALUES (1, 1, 1, 1), (2, 2, 2, 2), (3, 3, 3, 3)")
    since = version(sql)
    sql(writes)
    assert changed(sql, since) == expected


def test_should_tell_all_to_null_and_nothing_to_what_no_version_can_be(sql: Sql):
    since = version(sql)
    sql("INSERT t VALUES (1, 1, 1, 1)")
    assert len(sql(CHANGED.format("dbo.t", "NULL"))) == 1
    assert changed(sql, -1) == changed(sql, since + 99) == ""


def test_should_show_a_change_once_it_is_committed_and_by_the_order_of_commits(sql: Sql, opened: Callable[..., Sql]):
    since, late = version(sql), opened()
    late("BEGIN TRAN; INSERT t VALUES (1, 1, 1, 1)")
    assert late(CHANGED.format("t", since)) == []
    sql("INSERT t VALUES (2, 2, 2, 2)")
    late("COMMIT")
    assert changed(sql, since) == "1I2/2 2I1/1"


def test_should_show_a_snapshot_the_version_and_the_changes_of_its_beginning(sql: Sql, opened: Callable[..., Sql]):
    since, reader = version(sql), opened()
    reader("SET TRANSACTION ISOLATION LEVEL SNAPSHOT; BEGIN TRAN")
    assert reader("SELECT COUNT(*) FROM t") == [(0,)]
    sql("INSERT t VALUES (2, 2, 2, 2)")
    assert (version(reader), version(sql), changed(reader, since)) == (since, since + 1, "")


def test_should_keep_the_first_spelling_of_a_key(sql: Sql):
    sql("CREATE TABLE k (k varchar(10) PRIMARY KEY, v int); ALTER TABLE k ENABLE CHANGE_TRACKING")
    try:
        since = version(sql)
        sql("INSERT k VALUES ('b', 1); UPDATE k SET k = 'B' WHERE k = 'b'")
        assert sql(f"SELECT k FROM CHANGETABLE(CHANGES k, {since}) AS c") == [("b",)]
    finally:
        sql("DROP TABLE k")


def test_should_begin_anew_with_a_truncation_which_is_no_change(sql: Sql):
    sql("INSERT t VALUES (1, 1, 1, 1), (2, 2, 2, 2)")
    at = version(sql)
    sql("TRUNCATE TABLE t")
    assert (version(sql), sql("SELECT CHANGE_TRACKING_MIN_VALID_VERSION(OBJECT_ID('t'))")) == (at, [(at,)])
    sql("INSERT t VALUES (3, 3, 3, 3)")
    assert [row[0] for row in sql(CHANGED.format("t", 0))] == [3]


def test_should_keep_its_version_when_it_is_off_and_on_again(sql: Sql):
    sql("INSERT t VALUES (1, 1, 1, 1)")
    at, created = version(sql), "SELECT object_id FROM sys.internal_tables WHERE parent_id = OBJECT_ID('t')"
    first = sql(created)
    sql("ALTER TABLE t DISABLE CHANGE_TRACKING; ALTER DATABASE CURRENT SET CHANGE_TRACKING = OFF")
    assert sql("SELECT CHANGE_TRACKING_CURRENT_VERSION(), CHANGE_TRACKING_MIN_VALID_VERSION(OBJECT_ID('t'))") == [
        (None, None)
    ]
    sql("ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON; ALTER TABLE t ENABLE CHANGE_TRACKING")
    assert (version(sql), sql("SELECT CHANGE_TRACKING_MIN_VALID_VERSION(OBJECT_ID('t'))")) == (at, [(at,)])
    assert sql(created) != first


def test_should_clean_up_by_the_clock_and_by_a_version_in_open_snapshots_too(sql: Sql, opened: Callable[..., Sql]):
    sql("EXEC flowforge_clock 'set', '2026-01-01 10:00:00'")
    since, reader = version(sql), opened()
    sql("INSERT t VALUES (1, 1, 1, 1)")
    sql("EXEC flowforge_clock 'advance', 172800001")
    sql("INSERT t VALUES (2, 2, 2, 2)")
    reader("SET TRANSACTION ISOLATION LEVEL SNAPSHOT; BEGIN TRAN")
    assert changed(reader, since) == "1I1/1 2I2/2"
    sql("EXEC sys.sp_flush_CT_internal_table_on_demand 'dbo.t'")
    assert changed(reader, since) == "2I2/2"
    valid = "SELECT CHANGE_TRACKING_MIN_VALID_VERSION(OBJECT_ID('t')), cleanup_version FROM sys.change_tracking_tables"
    assert reader(valid) == [(since + 1, since + 1)]
    sql(f"EXEC flowforge_tracking 'clean', 'dbo.t', {since + 2}")
    assert changed(sql, since) == ""


def test_should_go_back_to_a_version_as_a_restore_does(sql: Sql):
    sql("INSERT t VALUES (1, 1, 1, 1)")
    at = version(sql)
    sql("INSERT t VALUES (2, 2, 2, 2)")
    sql(f"EXEC flowforge_tracking 'rewind', {at}")
    assert (version(sql), changed(sql, at)) == (at, "")


def test_should_undo_what_a_rolled_back_transaction_has_switched(sql: Sql):
    sql("BEGIN TRAN; ALTER TABLE u ENABLE CHANGE_TRACKING; ROLLBACK")
    sql("BEGIN TRAN; ALTER TABLE t DISABLE CHANGE_TRACKING; ROLLBACK")
    assert sql("SELECT OBJECT_NAME(object_id) FROM sys.change_tracking_tables") == [("t",)]


def test_should_show_its_settings(sql: Sql):
    sql("ALTER DATABASE CURRENT SET CHANGE_TRACKING (CHANGE_RETENTION = 5 HOURS)")
    sql("ALTER DATABASE CURRENT SET CHANGE_TRACKING (AUTO_CLEANUP = OFF)")
    shown = (
        "SELECT is_auto_cleanup_on, retention_period, retention_period_units_desc FROM sys.change_tracking_databases"
    )
    assert sql(f"{shown} WHERE database_id = DB_ID()") == [(False, 5, "HOURS")]
    at = version(sql)
    facts = "is_track_columns_updated_on, min_valid_version, begin_version"
    assert sql(f"SELECT {facts} FROM sys.change_tracking_tables WHERE object_id = OBJECT_ID('t')") == [(False, at, at)]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON", 5088),
        ("ALTER DATABASE CURRENT SET CHANGE_TRACKING = OFF", 22115),
        ("ALTER DATABASE master SET CHANGE_TRACKING = ON", 5090),
        ("ALTER DATABASE CURRENT SET CHANGE_TRACKING (AUTO_CLEANUP = ON, AUTO_CLEANUP = OFF)", 5091),
        ("ALTER DATABASE CURRENT SET CHANGE_TRACKING (CHANGE_RETENTION = 0 DAYS)", 5092),
        ("ALTER DATABASE CURRENT SET CHANGE_TRACKING (CHANGE_RETENTION = 1 WEEKS)", 155),
        ("ALTER TABLE t ENABLE CHANGE_TRACKING", 4996),
        ("ALTER TABLE h ENABLE CHANGE_TRACKING", 4997),
        ("ALTER TABLE u DISABLE CHANGE_TRACKING", 4998),
        ("ALTER TABLE t DROP CONSTRAINT pk", 3735),
        ("SELECT * FROM CHANGETABLE(CHANGES t, 0)", 22104),
        ("SELECT * FROM CHANGETABLE(CHANGES u, 0) AS c", 22105),
        ("SELECT * FROM CHANGETABLE(CHANGES nosuch, 0) AS c", 208),
        ("SELECT * FROM CHANGETABLE(CHANGES t, 1.5) AS c", 102),
        ("SELECT * FROM CHANGETABLE(FOO t, 0) AS c", 102),
        ("SELECT CHANGE_TRACKING_CURRENT_VERSION(1)", 174),
    ],
)
def test_should_refuse_what_sql_server_refuses(sql: Sql, text: str, number: int):
    with pytest.raises(pymssql.Error) as refused:
        sql(text)
    assert refused.value.args[0] == number


def test_should_refuse_a_view_and_a_database_that_does_not_track(sql: Sql):
    sql("CREATE VIEW dbo.v AS SELECT id FROM dbo.t")
    with pytest.raises(pymssql.Error, match="22107"):
        sql("SELECT * FROM CHANGETABLE(CHANGES v, 0) AS c")
    sql("ALTER TABLE t DISABLE CHANGE_TRACKING; ALTER DATABASE CURRENT SET CHANGE_TRACKING = OFF")
    for text, number in (
        ("ALTER TABLE t ENABLE CHANGE_TRACKING", 1718),
        ("ALTER DATABASE CURRENT SET CHANGE_TRACKING = OFF", 5089),
        ("ALTER DATABASE CURRENT SET CHANGE_TRACKING (AUTO_CLEANUP = ON)", 5089),
    ):
        with pytest.raises(pymssql.Error, match=str(number)):
            sql(text)


def test_should_want_the_right_to_view_change_tracking(sql: Sql, opened: Callable[..., Sql]):
    looker = opened(user="looker")
    with pytest.raises(pymssql.Error, match="VIEW CHANGE TRACKING permission was denied on the object 't'"):
        looker("SELECT * FROM CHANGETABLE(CHANGES dbo.t, 0) AS c")
    valid = "SELECT CHANGE_TRACKING_MIN_VALID_VERSION(OBJECT_ID('dbo.t'))"
    assert looker(valid) == [(None,)]
    sql("GRANT VIEW CHANGE TRACKING ON dbo.t TO looker")
    assert looker("SELECT * FROM CHANGETABLE(CHANGES dbo.t, 0) AS c") == []
    assert looker(valid) == sql(valid)
