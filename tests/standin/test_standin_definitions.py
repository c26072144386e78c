"""Tables of every shape: keys, identity, defaults, odd names, many columns, big cells; and how they change."""

# ruff: noqa: E501 - SQL text and data read best unbroken

import pymssql
import pytest

ODD_NAMES = [
    "two words",
    "we]ird",
    'quo"ted',
    "apo'strophe",
    "naïve",
    "顧客",
    "ग्राहक",
    "semi;colon",
    "per%cent",
    "select",
]


def bracketed(name: str) -> str:
    return "[" + name.replace("]", "]]") + "]"


@pytest.mark.parametrize("name", ODD_NAMES)
def test_should_take_any_name_for_tables_and_columns(sql, name):
    quoted = bracketed(name)
    sql(f"CREATE TABLE {quoted} ({quoted} nvarchar(10) PRIMARY KEY, [{'x' * 128}] int)")
    try:
        sql(f"INSERT INTO dbo.{quoted} ({quoted}) VALUES (N'ü')")
        assert sql(f"SELECT q.{quoted} FROM {quoted} AS q WHERE q.{quoted} = N'Ü'") == [("ü",)]
        text = "SELECT c.name FROM sys.tables t JOIN sys.columns c ON c.object_id = t.object_id WHERE t.name = N'{}' AND c.column_id = 1"
        assert sql(text.format(name.replace("'", "''"))) == [(name,)]
    finally:
        sql(f"DROP TABLE {quoted}")


def test_should_number_rows_by_identity(sql, table):
    name = table("id int IDENTITY(10,5) NOT NULL PRIMARY KEY, v nvarchar(5)")
    sql(f"INSERT INTO {name} (v) VALUES ('a'), ('b')")
    assert sql("SELECT SCOPE_IDENTITY(), @@IDENTITY") == [(15, 15)]
    sql(f"INSERT INTO {name} DEFAULT VALUES")
    assert sql(f"SELECT id, v FROM {name} ORDER BY id") == [(10, "a"), (15, "b"), (20, None)]
    sql(f"TRUNCATE TABLE {name}; INSERT INTO {name} (v) VALUES ('c')")
    assert sql(f"SELECT id FROM {name}") == [(10,)]


def test_should_take_explicit_identity_values_only_when_allowed(sql, table):
    name = table("id int IDENTITY PRIMARY KEY, v int")
    with pytest.raises(pymssql.Error, match="IDENTITY_INSERT is set to OFF"):
        sql(f"INSERT INTO {name} (id, v) VALUES (7, 1)")
    sql(f"SET IDENTITY_INSERT {name} ON; INSERT INTO {name} (id, v) VALUES (7, 1); SET IDENTITY_INSERT {name} OFF")
    sql(f"INSERT INTO {name} (v) VALUES (2)")
    assert sql(f"SELECT id FROM {name} ORDER BY id") == [(7,), (8,)]


def test_should_fill_defaults(sql, table):
    name = table(
        "a int, b int DEFAULT 7, c nvarchar(5) NOT NULL DEFAULT (N'x'), d datetime DEFAULT GETDATE(), e datetime2 DEFAULT SYSUTCDATETIME()"
    )
    sql(f"INSERT INTO {name} (a) VALUES (1)")
    sql(f"INSERT INTO {name} (a, b) VALUES (2, DEFAULT)")
    rows = sql(f"SELECT b, c, DATEDIFF(day, d, GETDATE()), DATEDIFF(day, e, SYSUTCDATETIME()) FROM {name}")
    assert rows == [(7, "x", 0, 0)] * 2


def test_should_enforce_composite_and_unique_keys(sql, table):
    name = table("a int, b int, c int UNIQUE, PRIMARY KEY (a, b)")
    sql(f"INSERT INTO {name} VALUES (1, 1, 1), (1, 2, 2)")
    with pytest.raises(pymssql.Error, match="Violation of UNIQUE KEY constraint"):
        sql(f"INSERT INTO {name} VALUES (2, 1, 1)")


def test_should_add_change_and_drop_columns_and_keep_the_rows(sql, table):
    name = table("id int IDENTITY PRIMARY KEY, v int")
    sql(f"INSERT INTO {name} (v) VALUES (1), (2)")
    sql(f"ALTER TABLE {name} ADD note nvarchar(10) NULL, kind varchar(3) NOT NULL DEFAULT 'abc'")
    sql(f"ALTER TABLE {name} ALTER COLUMN v bigint")
    assert sql(f"SELECT * FROM {name} ORDER BY id") == [(1, 1, None, "abc"), (2, 2, None, "abc")]
    sql(f"ALTER TABLE {name} DROP COLUMN note")
    sql(f"INSERT INTO {name} (v) VALUES (3000000000)")
    assert sql(f"SELECT * FROM {name} WHERE id = 3") == [(3, 3000000000, "abc")]
    columns = sql(f"SELECT name, column_id FROM sys.columns WHERE object_id = OBJECT_ID('{name}') ORDER BY column_id")
    assert columns == [("id", 1), ("v", 2), ("kind", 4)]


def test_should_change_no_column_that_a_key_an_index_or_a_default_depends_on(sql, table):
    name = table("id varchar(10) PRIMARY KEY, code varchar(10) UNIQUE, at datetime2(3) DEFAULT SYSDATETIME(), n int")
    sql(f"CREATE INDEX by_n ON {name} (n)")
    for column, kind in (("id", "varchar(20) NOT NULL"), ("code", "varchar(5)"), ("at", "datetime"), ("n", "bigint")):
        with pytest.raises(pymssql.Error, match=f"is dependent on column '{column}'") as caught:
            sql(f"ALTER TABLE {name} ALTER COLUMN {column} {kind}")
        assert caught.value.args[0] == 5074
    sql(f"ALTER TABLE {name} ALTER COLUMN code varchar(20)")  # it only grows, as a default's column may
    sql(f"ALTER TABLE {name} ALTER COLUMN at datetime2(7)")
    sql(f"ALTER TABLE {name} ALTER COLUMN id varchar(10) NOT NULL")


def test_should_hold_three_hundred_columns(sql, table):
    name = table(", ".join(f"column_{i} nvarchar(20)" for i in range(300)))
    sql(f"INSERT INTO {name} VALUES ({', '.join(f'N{chr(39)}v{i}{chr(39)}' for i in range(300))})")
    assert sql(f"SELECT * FROM {name}") == [tuple(f"v{i}" for i in range(300))]


def test_should_hold_a_megabyte_in_one_cell(standin, sql, table):
    name = table("id int, v nvarchar(max)")
    text = "é₹" * 524_288
    with standin.odbc() as connection:
        connection.execute(f"INSERT INTO {name} VALUES (1, ?), (2, ?)", text, "")
    assert sql(f"SELECT v FROM {name} ORDER BY id") == [(text,), ("",)]
    assert sql(f"SELECT DATALENGTH(v) FROM {name} ORDER BY id") == [(2_097_152,), (0,)]


def test_should_keep_schemas_apart(sql):
    sql("CREATE SCHEMA sales")
    sql("CREATE TABLE sales.customers (id int)")
    assert sql("SELECT COUNT(*) FROM sales.customers") == [(0,)]
    assert sql("SELECT COUNT(*) FROM customers") == [(500,)]
    sql("DROP TABLE sales.customers; DROP SCHEMA sales")


def test_should_answer_for_tables_without_key_and_without_rows(sql, table):
    name = table("a int, b xml")
    assert sql(f"SELECT * FROM {name}") == []
    assert sql(f"SELECT index_id, type_desc FROM sys.indexes WHERE object_id = OBJECT_ID('{name}')") == [(0, "HEAP")]


def test_should_create_views(sql):
    sql(
        "CREATE VIEW dbo.retail AS SELECT customer_id, first_name + N' ' + last_name AS full_name FROM dbo.customers WHERE customer_segment = 'retail'"
    )
    try:
        assert sql("SELECT COUNT(*) FROM retail") == sql(
            "SELECT COUNT(*) FROM customers WHERE customer_segment = 'retail'"
        )
        assert sql("SELECT c.name, c.max_length FROM sys.views v JOIN sys.columns c ON c.object_id = v.object_id WHERE v.name = 'retail' ORDER BY 1") == [
            ("customer_id", 4), ("full_name", 202),
        ]  # fmt: skip
    finally:
        sql("DROP VIEW dbo.retail")


def test_should_forget_a_table_whose_creation_is_rolled_back(sql):
    sql("BEGIN TRAN; CREATE TABLE passing (a int); INSERT INTO passing VALUES (1)")
    assert sql("SELECT COUNT(*) FROM passing") == [(1,)]
    sql("ROLLBACK")
    assert sql("SELECT OBJECT_ID('passing')") == [(None,)]


def test_should_change_rows_in_every_way(sql, table):
    name = table("id int IDENTITY PRIMARY KEY, v int, at datetime")
    sql(f"INSERT INTO {name} (v) SELECT value FROM GENERATE_SERIES(1, 10)")
    assert sql("SELECT @@ROWCOUNT") == [(10,)]
    sql(f"UPDATE {name} SET v = v * 10, at = GETDATE() WHERE id <= 3")
    assert sql(f"SELECT COUNT(at), SUM(v) FROM {name}") == [(3, 109)]
    sql(f"UPDATE t SET v = s.n FROM {name} t JOIN (VALUES (1, 77)) AS s(id, n) ON s.id = t.id")
    assert sql(f"SELECT v FROM {name} WHERE id = 1") == [(77,)]
    sql(f"DELETE t FROM {name} t JOIN (VALUES (2)) AS s(id) ON s.id = t.id; DELETE TOP (2) FROM {name} WHERE id > 5")
    assert sql(f"SELECT COUNT(*) FROM {name}") == [(7,)]
    assert sql(f"INSERT INTO {name} (v) OUTPUT inserted.id, inserted.v VALUES (5)") == [(11, 5)]
    assert sql(f"DELETE {name} OUTPUT deleted.v WHERE id = 11; SELECT COUNT(*) FROM {name}") == [(7,)]
    assert sql(
        f"SELECT id, v INTO {name}_copy FROM {name} WHERE id = 1; SELECT * FROM {name}_copy; DROP TABLE {name}_copy"
    ) == [(1, 77)]


def test_should_rename_a_column_and_keep_rows_and_keys(sql, table):
    name = table("id int PRIMARY KEY, old_name int")
    sql(f"INSERT INTO {name} VALUES (1, 2)")
    sql(f"EXEC sp_rename 'dbo.{name}.old_name', 'new name', 'COLUMN'")
    sql(f"EXEC sp_rename '{name}.id', 'key', 'COLUMN'")
    assert sql(f"SELECT [key], [new name] FROM {name}") == [(1, 2)]
    with pytest.raises(pymssql.Error, match="PRIMARY KEY"):
        sql(f"INSERT INTO {name} VALUES (1, 3)")


def test_should_assign_by_operator(sql, table):
    name = table("id int, v int, w int")
    sql(f"INSERT INTO {name} VALUES (1, 10, 20); UPDATE {name} SET v += 2 * 3, w -= v WHERE id = 1")
    assert sql(f"SELECT v, w FROM {name}") == [(16, 10)]
    assert sql("DECLARE @x int = 2; SET @x *= 1 + 4; SELECT @x") == [(10,)]


def test_should_know_the_last_identity_also_after_output(sql, table):
    name = table("id int IDENTITY(3,1) PRIMARY KEY, v int")
    assert sql(f"INSERT INTO {name} (v) OUTPUT inserted.v VALUES (7), (8)") == [(7,), (8,)]
    assert sql("SELECT SCOPE_IDENTITY()") == [(4,)]


def test_should_keep_a_unique_index_when_the_table_changes(sql, table):
    name = table("a int, b int")
    sql(f"CREATE UNIQUE INDEX ux ON {name} (a); INSERT INTO {name} VALUES (1, 1); ALTER TABLE {name} ADD c int NULL")
    with pytest.raises(pymssql.Error, match="Cannot insert duplicate key row"):
        sql(f"INSERT INTO {name} (a, b) VALUES (1, 2)")


def test_should_know_a_table_as_others_have_defined_it_meanwhile(connect):
    table = "defined_meanwhile"
    ours, others = (connect(autocommit=True).cursor() for _ in range(2))
    ours.execute(f"CREATE TABLE {table} (Id int NOT NULL, Name varchar(9), PRIMARY KEY (id))")
    with pytest.raises(pymssql.IntegrityError, match="Violation of PRIMARY KEY"):
        ours.execute(f"INSERT INTO {table} VALUES (1, 'a'), (1, 'b')")
    ours.execute(f"BEGIN TRANSACTION; SELECT * FROM {table}")
    others.execute(f"ALTER TABLE {table} ADD more int NULL")
    ours.execute(f"COMMIT; INSERT INTO {table} VALUES (1, 'a', 2)")
    ours.execute(f"SET TRANSACTION ISOLATION LEVEL SNAPSHOT; BEGIN TRANSACTION; SELECT * FROM {table}")
    others.execute(f"ALTER TABLE {table} ADD last int NULL; SELECT * FROM {table}")
    ours.execute("COMMIT; SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
    for cursor in (ours, others):
        cursor.execute(f"INSERT INTO {table} VALUES ({id(cursor)} % 1000000 + 2, 'b', 3, 4)")
    ours.execute(
        f"BEGIN TRANSACTION; DROP TABLE {table}; CREATE TABLE {table} (other int); ROLLBACK; SELECT last FROM {table}"
    )
    ours.execute(f"DROP TABLE {table}; CREATE TABLE {table} (other int); INSERT INTO {table} VALUES (1)")
    others.execute(f"SELECT other FROM {table}")
    assert others.fetchall() == [(1,)]
