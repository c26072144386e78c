"""The stand-in's Change Data Capture, as SQL Server's documentation has it."""

from collections.abc import Callable

import pymssql
import pytest

Sql = Callable[..., list[tuple]]
ENABLE = "EXEC sys.sp_cdc_enable_table @source_schema = N'dbo', @source_name = N'{}', @role_name = NULL"
MIN, MAX = "sys.fn_cdc_get_min_lsn('dbo_t')", "sys.fn_cdc_get_max_lsn()"
CHANGES = "DECLARE @from binary(10) = {}, @to binary(10) = {}; SELECT {} FROM cdc.fn_cdc_get_all_changes_dbo_t(@from, @to, N'{}')"
ORDER = " ORDER BY __$start_lsn, __$seqval, __$operation"


@pytest.fixture
def sql(opened: Callable[..., Sql]) -> Sql:
    """A connection to a database with CDC and the table t, whose three rows are there since before its capture."""
    run = opened()
    run("EXEC sys.sp_cdc_enable_db")
    run("DROP TABLE IF EXISTS dbo.t")
    run("CREATE TABLE dbo.t (id int PRIMARY KEY, a nvarchar(10) NULL, stamp rowversion)")
    run("INSERT t (id, a) VALUES (1, N'one'), (2, N'two'), (3, NULL)")
    run(ENABLE.format("t"))
    return run


def refused(run: Sql, text: str) -> int:
    with pytest.raises(pymssql.Error) as error:
        run(text)
    return error.value.args[0]


def changes(run: Sql, option: str = "all update old") -> list[tuple]:
    """The operation, the mask and the values of each change so far, in order."""
    columns = "__$operation, CONVERT(varchar(4), __$update_mask, 2), id, a"
    return run(CHANGES.format(MIN, MAX, columns, option) + ORDER)


def test_should_have_nothing_of_it_until_it_is_on(opened: Callable[..., Sql]):
    run = opened()
    assert run("SELECT is_cdc_enabled FROM sys.databases WHERE database_id = DB_ID()") == [(False,)]
    assert refused(run, ENABLE.format("t")) == 22901
    for text in (f"SELECT {MAX}", f"SELECT {MIN}", "SELECT * FROM cdc.change_tables"):
        assert refused(run, text) == 208
    assert refused(opened(user="looker"), "EXEC sys.sp_cdc_enable_db") == 22902
    run("EXEC sys.sp_cdc_enable_db; EXEC sys.sp_cdc_enable_db")
    assert run("SELECT is_cdc_enabled FROM sys.databases WHERE database_id = DB_ID()") == [(True,)]


def test_should_keep_what_each_row_was_and_is(sql: Sql):
    sql("INSERT t (id, a) VALUES (4, N'four')")
    sql("UPDATE t SET a = N'TWO' WHERE id = 2; DELETE FROM t WHERE id = 3; UPDATE t SET a = a WHERE id = 1")
    inserted, updated, same = (2, "07", 4, "four"), (2, "two"), (1, "one")
    after = [(4, "06", 2, "TWO"), (1, "07", 3, None), (4, "04", *same)]
    assert changes(sql, "all") == [inserted, *after]
    assert changes(sql) == [inserted, (3, "06", *updated), *after[:2], (3, "04", *same), after[2]]


def test_should_show_a_written_key_as_a_row_that_goes_and_one_that_comes(sql: Sql):
    sql("UPDATE t SET id = id + 10 WHERE id < 3")
    assert sorted(changes(sql)) == [
        (1, "07", 1, "one"),
        (1, "07", 2, "two"),
        (2, "07", 11, "one"),
        (2, "07", 12, "two"),
    ]


def test_should_order_by_commits_and_show_nothing_of_a_rollback(sql: Sql, opened: Callable[..., Sql]):
    late = opened()
    late("BEGIN TRAN; INSERT t (id) VALUES (5)")
    sql("INSERT t (id) VALUES (6); BEGIN TRAN; INSERT t (id) VALUES (7); ROLLBACK")
    assert [row[2] for row in changes(sql)] == [6]
    last = sql(f"SELECT {MAX}")[0][0]
    late("INSERT t (id) VALUES (8); COMMIT")
    assert [row[2] for row in changes(sql)] == [6, 5, 8]
    following = f"sys.fn_cdc_increment_lsn(0x{last.hex()})"
    found = sql(CHANGES.format(following, MAX, "id, __$start_lsn, __$seqval", "all") + ORDER)
    (_, first, one), (_, second, two) = found
    assert [row[0] for row in found] == [5, 8]
    assert first == second > last and one < two < first


def test_should_tell_the_time_of_a_commit_and_the_commit_of_a_time(sql: Sql):
    sql("EXEC flowforge_clock 'set', '2031-01-01 10:00:00'; INSERT t (id) VALUES (9); EXEC flowforge_clock 'run'")
    when = "CONVERT(varchar(19), sys.fn_cdc_map_lsn_to_time(sys.fn_cdc_get_max_lsn()), 120)"
    assert sql(f"SELECT {when}") == [("2031-01-01 10:00:00",)]
    nearest = "sys.fn_cdc_map_time_to_lsn('{}', '2031-01-01T10:00:00')"
    newest = sql(f"SELECT {MAX}")
    assert sql(f"SELECT {nearest.format('largest less than or equal')}") == newest
    assert sql(f"SELECT {nearest.format('smallest greater than')}") == [(None,)]
    assert sql("SELECT MAX(start_lsn) FROM cdc.lsn_time_mapping") == newest


def test_should_show_what_is_captured(sql: Sql):
    shown = (
        "SELECT s.name, ct.capture_instance, OBJECT_NAME(ct.object_id), ct.supports_net_changes, s.is_tracked_by_cdc"
        " FROM cdc.change_tables ct JOIN sys.tables s ON s.object_id = ct.source_object_id WHERE ct.end_lsn IS NULL"
    )
    assert sql(shown) == [("t", "dbo_t", "dbo_t_CT", True, True)]
    columns = (
        "SELECT c.name FROM sys.columns c WHERE c.object_id = OBJECT_ID('cdc.dbo_t_CT') AND c.name NOT LIKE '[_][_]$%'"
    )
    assert sql(columns) == [("id",), ("a",), ("stamp",)]
    assert sql("SELECT name FROM sys.tables WHERE is_ms_shipped = 1") == [("dbo_t_CT",)]
    sql("DROP TABLE t")
    assert sql(shown) == sql("SELECT name FROM sys.tables WHERE SCHEMA_NAME(schema_id) = 'cdc'") == []


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (CHANGES.format("0x00", MAX, "id", "all"), 313),
        (CHANGES.format(MIN, f"sys.fn_cdc_increment_lsn({MAX})", "id", "all"), 313),
        (CHANGES.format(MAX, MIN, "id", "all"), 313),
        (CHANGES.format("NULL", MAX, "id", "all"), 313),
        (CHANGES.format(MIN, MAX, "id", "some"), 313),
        ("SELECT * FROM cdc.fn_cdc_get_all_changes_dbo_t(0x00)", 313),
        ("SELECT * FROM cdc.fn_cdc_get_all_changes_dbo_u(0x00, 0x01, N'all')", 208),
        (ENABLE.format("nosuch"), 22931),
        (ENABLE.format("t"), 22926),
        (ENABLE.format("t").replace(", @role_name = NULL", ""), 201),
        ("EXEC sys.sp_cdc_enable_table 'cdc', 'dbo_t_CT', NULL", 22974),
        ("TRUNCATE TABLE t", 4711),
        ("ALTER TABLE t ADD b int", 40517),
    ],
)
def test_should_refuse_what_sql_server_refuses(sql: Sql, text: str, number: int):
    assert refused(sql, text) == number
