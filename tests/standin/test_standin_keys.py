"""Unique keys of the stand-in take for one what SQL Server takes for one."""

import pymssql
import pytest

CASE_COUNTS = "COLLATE Latin1_General_100_CS_AS"


def refused(sql, statement: str) -> int:
    """The number of the error that a statement ends with."""
    with pytest.raises(pymssql.Error) as caught:
        sql(statement)
    return caught.value.args[0]


@pytest.mark.parametrize(
    ("kind", "first", "same", "different"),
    [
        ("nvarchar(20)", "N'abc'", "N'ABC'", "N'abd'"),
        ("nvarchar(20)", "N'abc'", "N'abc  '", "N' abc'"),
        ("char(5)", "'é'", "'É '", "'e'"),
        (f"nvarchar(20) {CASE_COUNTS}", "N'abc'", "N'abc '", "N'ABC'"),
        ("varchar(20) COLLATE Latin1_General_BIN2", "'a'", "'a '", "'A'"),
        ("varbinary(8)", "0x01", "0x0100", "0x0010"),
        ("datetimeoffset(7)", "'2024-01-01 10:00 +02:00'", "'2024-01-01 08:00 +00:00'", "'2024-01-01 10:00 +00:00'"),
    ],
)
def test_should_refuse_a_key_that_is_equal_by_the_columns_own_rules(sql, table, kind, first, same, different):
    name = table(f"k {kind} NOT NULL PRIMARY KEY, v int")
    sql(f"INSERT INTO {name} VALUES ({first}, 1), ({different}, 2)")
    assert refused(sql, f"INSERT INTO {name} VALUES ({same}, 3)") == 2627
    sql(f"UPDATE {name} SET k = {same} WHERE v = 1")
    assert sql(f"SELECT v FROM {name} WHERE k = {first}") == [(1,)]
    assert refused(sql, f"UPDATE {name} SET k = {same} WHERE v = 2") == 2627


def test_should_take_null_for_a_value_of_a_unique_index(sql, table):
    name = table("a int NOT NULL, b int NULL, c nvarchar(5) NULL, CONSTRAINT one_of UNIQUE (a, b), UNIQUE (c)")
    sql(f"INSERT INTO {name} VALUES (1, NULL, NULL), (2, NULL, N'x'), (1, 2, N'y')")
    assert refused(sql, f"INSERT INTO {name} VALUES (1, NULL, N'z')") == 2627
    assert refused(sql, f"INSERT INTO {name} VALUES (9, 9, NULL)") == 2627
    assert refused(sql, f"INSERT INTO {name} VALUES (9, 9, N'X ')") == 2627


def test_should_tell_a_columns_own_collation(sql, table):
    name = table(f"a nvarchar(5) {CASE_COUNTS} NOT NULL PRIMARY KEY, b nvarchar(5)")
    query = f"SELECT name, collation_name FROM sys.columns WHERE object_id = OBJECT_ID('{name}') ORDER BY column_id"
    assert sql(query) == [("a", "Latin1_General_100_CS_AS"), ("b", "SQL_Latin1_General_CP1_CI_AS")]
    sql(f"INSERT INTO {name} VALUES (N'x', N'x'), (N'X', N'X')")
    assert sql(f"SELECT a FROM {name} WHERE a = N'X '") == [("X",)]
    assert len(sql(f"SELECT a FROM {name} WHERE b = N'X '")) == 2


def test_should_not_count_the_blanks_of_a_char_wherever_they_come_from(sql, table):
    name = table("a char(4), b varchar(9)")
    sql(f"INSERT INTO {name} VALUES ('AA', 'AA ')")
    for given in ("'AA'", "CONVERT(char(4), 'AA')", "CONVERT(char(4), N'AA' COLLATE SQL_Latin1_General_CP1_CI_AS)"):
        assert sql(f"SELECT 1 FROM {name} WHERE a = {given} AND b = {given} AND a + '|' = 'AA  |'") == [(1,)], given
