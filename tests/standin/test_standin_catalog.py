"""The catalog views say what the tables are; the description of a query says what it would return."""

# ruff: noqa: E501, SIM905 - SQL text and data read best unbroken

import pymssql
import pytest

COLUMNS = """SELECT c.name, TYPE_NAME(c.user_type_id), c.max_length, c.precision, c.scale, c.is_nullable, c.is_identity
 FROM sys.columns c WHERE c.object_id = OBJECT_ID('{}') ORDER BY c.column_id"""


def test_should_describe_columns_in_sys_columns(sql):
    assert sql(COLUMNS.format("dbo.accounts")) == [
        ("account_id", "int", 4, 10, 0, False, True), ("customer_id", "int", 4, 10, 0, False, False),
        ("account_type", "nvarchar", 40, 0, 0, False, False), ("balance", "decimal", 9, 15, 2, False, False),
        ("credit_limit", "decimal", 9, 15, 2, True, False), ("interest_rate", "decimal", 5, 5, 2, True, False),
        ("open_date", "date", 3, 10, 0, False, False), ("status", "nvarchar", 40, 0, 0, False, False),
        ("last_transaction_date", "date", 3, 10, 0, True, False), ("modified_date", "datetime", 8, 23, 3, False, False),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("column", "facts"),
    [
        ("c_dec38_20", ("decimal", 17, 38, 20)), ("c_money", ("money", 8, 19, 4)), ("c_time7", ("time", 5, 16, 7)),
        ("c_dt2_3", ("datetime2", 7, 23, 3)), ("c_dto7", ("datetimeoffset", 10, 34, 7)), ("c_rowversion", ("timestamp", 8, 0, 0)),
        ("c_nvarcharmax", ("nvarchar", -1, 0, 0)), ("c_xml", ("xml", -1, 0, 0)), ("c_text", ("text", 16, 0, 0)),
        ("c_variant", ("sql_variant", 8016, 0, 0)), ("c_hierarchyid", ("hierarchyid", 892, 0, 0)), ("c_uuid", ("uniqueidentifier", 16, 0, 0)),
        ("c_geography", ("geography", -1, 0, 0)), ("c_float", ("float", 8, 53, 0)), ("c_real", ("real", 4, 24, 0)),
    ],
)  # fmt: skip
def test_should_describe_every_type_as_sql_server_does(sql, column, facts):
    query = f"""SELECT t.name, c.max_length, c.precision, c.scale FROM sys.columns c JOIN sys.types t
 ON t.user_type_id = c.user_type_id WHERE c.object_id = OBJECT_ID('typezoo') AND c.name = '{column}'"""
    assert sql(query) == [facts]


def test_should_show_keys(sql):
    query = """SELECT kc.name, c.name, ic.key_ordinal FROM sys.key_constraints kc
 JOIN sys.index_columns ic ON ic.object_id = kc.parent_object_id AND ic.index_id = kc.unique_index_id
 JOIN sys.columns c ON c.object_id = ic.object_id AND c.column_id = ic.column_id
 WHERE kc.type = 'PK' AND kc.parent_object_id = OBJECT_ID('transactions')"""
    assert sql(query) == [("PK_transactions", "transaction_id", 1)]
    query = """SELECT f.name, p.name, r.name FROM sys.foreign_keys f JOIN sys.tables p ON p.object_id = f.parent_object_id
 JOIN sys.tables r ON r.object_id = f.referenced_object_id ORDER BY f.name"""
    assert sql(query) == [
        ("FK_accounts_customers", "accounts", "customers"), ("FK_transactions_accounts", "transactions", "accounts"),
    ]  # fmt: skip


def test_should_show_the_standard_views(sql):
    assert ("BFSI_Test", "dbo", "customers", "BASE TABLE") in sql("SELECT * FROM INFORMATION_SCHEMA.TABLES")
    query = "SELECT DATA_TYPE, CHARACTER_MAXIMUM_LENGTH, IS_NULLABLE FROM INFORMATION_SCHEMA.COLUMNS WHERE TABLE_NAME = 'customers' AND COLUMN_NAME = 'city'"
    assert sql(query) == [("nvarchar", 50, "YES")]
    query = """SELECT k.COLUMN_NAME FROM INFORMATION_SCHEMA.TABLE_CONSTRAINTS t JOIN INFORMATION_SCHEMA.KEY_COLUMN_USAGE k
 ON k.CONSTRAINT_NAME = t.CONSTRAINT_NAME WHERE t.TABLE_NAME = 'accounts' AND t.CONSTRAINT_TYPE = 'PRIMARY KEY'"""
    assert sql(query) == [("account_id",)]


def test_should_count_rows_as_they_are(sql, table):
    name = table("a int")
    sql(f"INSERT INTO {name} SELECT value FROM GENERATE_SERIES(1, 42)")
    assert sql(f"SELECT rows, index_id FROM sys.partitions WHERE object_id = OBJECT_ID('{name}')") == [(42, 0)]
    assert sql(f"SELECT row_count FROM sys.dm_db_partition_stats WHERE object_id = OBJECT_ID('{name}')") == [(42,)]


def test_should_know_its_database(sql):
    query = "SELECT name, snapshot_isolation_state, is_read_committed_snapshot_on FROM sys.databases WHERE database_id = DB_ID()"
    assert sql(query) == [("BFSI_Test", 1, True)]


DESCRIBE = """SELECT name, system_type_name, max_length, precision, scale, is_nullable, error_number, error_message
 FROM sys.dm_exec_describe_first_result_set(N'{}', NULL, 0) ORDER BY column_ordinal"""


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("SELECT customer_id, city FROM customers", [("customer_id", "int", False), ("city", "nvarchar(50)", True)]),
        ("SELECT COUNT(*) AS n, COUNT_BIG(*) AS b, SUM(credit_score) AS s FROM customers", [("n", "int", False), ("b", "bigint", False), ("s", "int", True)]),
        ("SELECT SUM(balance) AS s, AVG(balance) AS a, MAX(modified_date) AS m FROM accounts",
         [("s", "decimal(38,2)", True), ("a", "decimal(38,6)", True), ("m", "datetime", True)]),
        ("SELECT a.*, GETDATE() AS now, SYSUTCDATETIME() AS utc FROM (SELECT 1 AS one, N''x'' AS x) AS a",
         [("one", "int", False), ("x", "nvarchar(1)", False), ("now", "datetime", False), ("utc", "datetime2(7)", False)]),
        ("WITH q AS (SELECT c_money, c_dto7, c_xml FROM typezoo) SELECT * FROM q",
         [("c_money", "money", True), ("c_dto7", "datetimeoffset(7)", True), ("c_xml", "xml", True)]),
        ("SELECT CAST(balance AS decimal(38,10)) AS d, city + N''!'' AS e FROM accounts a JOIN customers c ON c.customer_id = a.customer_id",
         [("d", "decimal(38,10)", False), ("e", "nvarchar(51)", True)]),
        ("SELECT 1 AS a UNION ALL SELECT 2.5", [("a", "decimal(11,1)", False)]),
    ],
)  # fmt: skip
def test_should_describe_the_result_of_any_query(sql, query, expected):
    assert [(row[0], row[1], row[5]) for row in sql(DESCRIBE.format(query))] == expected


@pytest.mark.parametrize(
    ("query", "number", "message"),
    [("SELECT * FROM nope", 208, "Invalid object name 'nope'."), ("SELECT nope FROM customers", 207, "Invalid column name 'nope'.")],
)  # fmt: skip
def test_should_describe_what_is_wrong_with_a_query(sql, query, number, message):
    ((*_, found, text),) = sql(DESCRIBE.format(query))
    assert (found, text) == (number, message)


def test_should_not_run_what_it_describes(sql, table):
    name = table("a int IDENTITY, rv rowversion, v int")
    assert sql(DESCRIBE.format(f"INSERT INTO {name} (v) VALUES (1); SELECT a, rv FROM {name}"))[1][1] == "timestamp"
    assert sql(f"SELECT COUNT(*) FROM {name}") == [(0,)]


def test_should_describe_by_procedure(connect):
    cursor = connect(as_dict=True).cursor()
    cursor.execute("EXEC sp_describe_first_result_set N'SELECT city FROM customers'")
    (row,) = cursor.fetchall()
    assert (row["name"], row["system_type_name"], row["max_length"]) == ("city", "nvarchar(50)", 100)
    with pytest.raises(pymssql.Error, match="Invalid object name 'nope'"):
        cursor.execute("EXEC sp_describe_first_result_set N'SELECT * FROM nope'")


SYSTEM_VIEWS = """sys.objects sys.all_objects sys.tables sys.views sys.schemas sys.columns sys.all_columns sys.types sys.identity_columns
 sys.computed_columns sys.default_constraints sys.indexes sys.index_columns sys.key_constraints sys.foreign_keys sys.foreign_key_columns
 sys.partitions sys.dm_db_partition_stats sys.databases sys.dm_exec_sessions sys.dm_exec_connections sys.dm_exec_requests
 sys.dm_os_performance_counters sys.dm_tran_active_transactions sys.dm_tran_session_transactions sys.dm_tran_database_transactions INFORMATION_SCHEMA.TABLES
 INFORMATION_SCHEMA.COLUMNS INFORMATION_SCHEMA.KEY_COLUMN_USAGE INFORMATION_SCHEMA.TABLE_CONSTRAINTS""".split()


@pytest.mark.parametrize("view", SYSTEM_VIEWS)
def test_should_show_whole_views_and_describe_them(sql, view):
    sql("BEGIN TRAN")
    rows = sql(f"SELECT * FROM {view}")
    sql("ROLLBACK")
    width = len(sql(DESCRIBE.format(f"SELECT * FROM {view}")))
    assert all(len(row) == width for row in rows)
    assert rows or view in ("sys.views", "sys.computed_columns")


def test_should_count_the_rows_of_one_table_as_among_all(sql):
    counted = dict(sql("SELECT object_id, rows FROM sys.partitions WHERE index_id IN (0, 1)"))
    assert len(counted) > 1
    for number, rows in counted.items():
        asked = f"SELECT SUM(p.rows) FROM sys.partitions AS p WHERE p.object_id = {number} AND p.index_id IN (0, 1)"
        assert sql(asked) == [(rows,)]
    one, other = list(counted)[:2]
    ((both,),) = sql(
        f"SELECT COUNT(DISTINCT object_id) FROM sys.partitions WHERE object_id = {one} OR object_id = {other}"
    )
    ((others,),) = sql(f"SELECT COUNT(DISTINCT object_id) FROM sys.partitions WHERE NOT object_id = {one}")
    assert (both, others) == (2, len(counted) - 1)


def test_should_give_a_login_without_unmask_the_masks_of_columns_and_of_what_is_made_from_them(sql, table, standin):
    name = table(
        "id int, a varchar(20) MASKED WITH (FUNCTION = 'default()'), n int MASKED WITH (FUNCTION = 'random(7, 9)')"
    )
    sql(f"INSERT INTO {name} VALUES (1, 'secret', 41), (2, NULL, 42)")
    assert sql(f"SELECT masking_function FROM sys.masked_columns WHERE object_id = OBJECT_ID('{name}') ORDER BY column_id") == [
        ("default()",), ("random(7, 9)",),
    ]  # fmt: skip
    assert sql(f"SELECT a, n FROM {name} ORDER BY id") == [("secret", 41), (None, 42)]
    with standin.connect(user="looker") as connection, connection.cursor() as cursor:
        cursor.execute(
            f"SELECT a, n, CONCAT(id, a), id, COUNT(a) OVER () FROM (SELECT * FROM {name} WHERE n > 40) AS q ORDER BY n"
        )
        assert cursor.fetchall() == [("xxxx", 7, "xxxx", 1, 1), (None, 7, "xxxx", 2, 1)]
        rights = f"SELECT HAS_PERMS_BY_NAME('dbo.{name}', 'OBJECT', 'UNMASK', name, 'COLUMN') FROM sys.masked_columns WHERE object_id"
        cursor.execute(f"{rights} = OBJECT_ID('{name}') ORDER BY column_id")
        assert cursor.fetchall() == [(0,), (0,)]
        sql(f"GRANT UNMASK ON dbo.{name} (a) TO looker")
        cursor.execute(f"{rights} = OBJECT_ID('{name}') ORDER BY column_id")
        assert cursor.fetchall() == [(1,), (0,)]
        cursor.execute(f"SELECT a, n FROM {name} WHERE id = 1")
        assert cursor.fetchall() == [("secret", 7)]


def test_should_count_what_clients_ask(sql, connect):
    asked = "SELECT cntr_value FROM sys.dm_os_performance_counters WHERE counter_name = 'Batch Requests/sec'"
    ((before,),) = sql(asked)
    connect().cursor().execute("SELECT 1; SELECT 2")
    ((after,),) = sql(asked)
    assert after - before >= 2  # a login may ask, too
    with pytest.raises(pymssql.Error, match="VIEW SERVER PERFORMANCE STATE permission was denied"):
        connect(user="looker").cursor().execute(asked)
