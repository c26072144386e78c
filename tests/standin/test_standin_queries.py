"""T-SQL means here what it means on SQL Server; results as its documentation gives them."""

# ruff: noqa: E501 - SQL text and data read best unbroken

import datetime as dt
from decimal import Decimal

import pytest


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("5 / 2", 2), ("-7 / 2", -3), ("-7 % 2", -1), ("10 / 3.0", Decimal("3.333333")), ("2 / 3.0", Decimal("0.666666")),
        ("5.0 * 2.25", Decimal("11.250")), ("CAST(1.255 AS decimal(9,2))", Decimal("1.26")), ("CAST(2.9 AS int)", 2),
        ("CAST(-2.9e0 AS int)", -2), ("CAST(5 AS money) / 3", Decimal("1.6667")), ("N'a' + 'b'", "ab"), ("'1' + 1", 2),
        ("CASE WHEN 'ABC' = 'abc  ' THEN 1 ELSE 0 END", 1), ("CASE WHEN 'abc' LIKE 'A_C' THEN 1 ELSE 0 END", 1),
        ("CASE WHEN 'x%y' LIKE 'x!%y' ESCAPE '!' THEN 1 ELSE 0 END", 1), ("CASE WHEN 'b' LIKE '[^a-c]' THEN 1 ELSE 0 END", 0),
        ("IIF(NULL = NULL, 1, 0)", 0), ("ISNULL(NULL, 3)", 3), ("COALESCE(NULL, N'x')", "x"), ("NULLIF(1, 1)", None),
        ("LEN('abc  ')", 3), ("DATALENGTH(N'abc')", 6), ("SUBSTRING('hello', 2, 3)", "ell"), ("CHARINDEX('L', 'hello')", 3),
        ("QUOTENAME('a]b')", "[a]]b]"), ("CONCAT('a', NULL, 1)", "a1"), ("REPLICATE('ab', 3)", "ababab"),
        ("CONVERT(varchar(30), CAST('2024-01-01' AS datetime), 121)", "2024-01-01 00:00:00.000"),
        ("CONVERT(varchar(30), CAST('2024-01-01 10:00:00.5' AS datetime), 126)", "2024-01-01T10:00:00.500"),
        ("CONVERT(varchar(30), CAST('2024-02-29 12:34:56.1234567' AS datetime2), 121)", "2024-02-29 12:34:56.1234567"),
        ("CONVERT(varchar(30), CAST('2024-02-29 12:34:56.1234567' AS datetime2(3)), 121)", "2024-02-29 12:34:56.123"),
        ("CONVERT(varchar(40), CAST('2024-02-29 12:00 +05:30' AS datetimeoffset(0)), 121)", "2024-02-29 12:00:00 +05:30"),
        ("CONVERT(varchar(30), CAST(CAST('2024-01-01 00:00:00.003' AS datetime) AS datetime2), 121)", "2024-01-01 00:00:00.0033333"),
        ("CAST('2024-01-01 00:00:00.998' AS datetime)", dt.datetime(2024, 1, 1, 0, 0, 0, 997000)),
        ("CAST('2024-01-01 10:10:30' AS smalldatetime)", dt.datetime(2024, 1, 1, 10, 11)),
        ("CAST('20240229' AS date)", dt.date(2024, 2, 29)), ("EOMONTH('2024-02-01')", dt.date(2024, 2, 29)),
        ("DATEADD(month, 1, CAST('2024-01-31' AS date))", dt.date(2024, 2, 29)), ("DATEDIFF(month, '2023-12-31', '2024-01-01')", 1),
        ("DATEDIFF(hour, '2024-01-01 09:59', '2024-01-01 10:00')", 1), ("DATEPART(weekday, '2024-02-29')", 5),
        ("DATEDIFF_BIG(microsecond, '0001-01-01', CAST('9999-12-31' AS datetime2))", 315537811200000000),
        ("CASE WHEN N'ab' NOT LIKE N'%x%' THEN 1 ELSE 0 END", 1), ("CASE WHEN N'ab' NOT LIKE N'%B%' THEN 1 ELSE 0 END", 0),
        ("CASE WHEN N'ab' COLLATE Latin1_General_BIN2 NOT LIKE N'%B%' THEN 1 ELSE 0 END", 1),
        ("CONVERT(nvarchar(9), CONVERT(varchar(9), N'é日'))", "é?"),
        ("SQL_VARIANT_PROPERTY(CONVERT(varchar(9), N'a' COLLATE Polish_CI_AS), 'Collation')", "Polish_CI_AS"),
        ("SQL_VARIANT_PROPERTY(CAST(CAST('abc' COLLATE Greek_CS_AS AS char(2)) AS nvarchar(9)), 'Collation')", "Greek_CS_AS"),
        ("SQL_VARIANT_PROPERTY(CONVERT(varchar(9), 1), 'Collation')", "SQL_Latin1_General_CP1_CI_AS"),
        ("CASE WHEN CAST('ABC' COLLATE Latin1_General_BIN2 AS varchar(2)) = 'ab' THEN 1 ELSE 0 END", 0),
        ("CASE WHEN CAST('ABC' AS varchar(2)) = 'ab' THEN 1 ELSE 0 END", 1),
        ("TRY_CONVERT(int, 'x')", None), ("TRY_CONVERT(datetime, N'2024-13-01', 121)", None),
        ("CONVERT(varchar(18), 0x00000000000007D1, 1)", "0x00000000000007D1"), ("CAST(0x07D1 AS int)", 2001),
        ("CAST(0xFFFFFFFFFFFFFFFF AS bigint)", -1), ("CAST(1 AS binary(4))", b"\0\0\0\x01"), ("CAST(N'é' AS varbinary(4))", b"\xe9\0"),
        ("DATABASEPROPERTYEX(DB_NAME(), 'Updateability')", "READ_WRITE"), ("SUSER_SNAME()", "sa"), ("@@TRANCOUNT", 0),
    ],
)  # fmt: skip
def test_should_compute_what_sql_server_computes(sql, expression, expected):
    assert sql(f"SELECT {expression}") == [(expected,)]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("SELECT TOP (2) customer_id FROM customers ORDER BY customer_id DESC", [(500,), (499,)]),
        ("SELECT customer_id FROM customers ORDER BY 1 OFFSET 5 ROWS FETCH NEXT 2 ROWS ONLY", [(6,), (7,)]),
        ("SELECT a FROM (VALUES (1), (NULL), (2)) AS v(a) ORDER BY a", [(None,), (1,), (2,)]),
        ("SELECT a FROM (VALUES (1), (NULL), (2)) AS v(a) ORDER BY a DESC", [(2,), (1,), (None,)]),
        ("SELECT 1 AS a UNION ALL SELECT 2 UNION ALL SELECT 2 ORDER BY a", [(1,), (2,), (2,)]),
        ("SELECT 2 EXCEPT SELECT 1", [(2,)]),
        ("WITH x(n) AS (SELECT COUNT(*) FROM customers) SELECT n FROM x CROSS JOIN (SELECT 1 AS o) AS y", [(500,)]),
        ("SELECT c.customer_id, q.n FROM customers c CROSS APPLY (SELECT COUNT(*) AS n FROM accounts a"
         " WHERE a.customer_id = c.customer_id AND a.account_id = 1001) q WHERE c.customer_id < 3 ORDER BY 1", [(1, 1), (2, 0)]),
        ("SELECT SUM(v) OVER (ORDER BY v ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM (VALUES (1), (2), (3)) AS t(v)",
         [(1,), (3,), (5,)]),
        ("SELECT STRING_AGG(v, ',') WITHIN GROUP (ORDER BY v DESC) FROM (VALUES ('a'), ('b')) AS t(v)", [("b,a",)]),
        ("SELECT COUNT(DISTINCT v), AVG(n) FROM (VALUES ('a', 1), ('A', 2)) AS t(v, n)", [(1, 1)]),
        ("SELECT COUNT(*) FROM BFSI_Test..accounts WITH (NOLOCK) OPTION (RECOMPILE)", [(750,)]),
        ("DECLARE @x int = 5, @y nvarchar(9) = N'a'; SET @x = @x + 1; SELECT @x, @y + N'ü'", [(6, "aü")]),
        ("DECLARE @n int; SELECT @n = COUNT(*) FROM accounts; SELECT @n", [(750,)]),
        ("DECLARE @i int = 0; WHILE @i < 3 BEGIN SET @i = @i + 1 END; IF @i = 3 SELECT 'three' ELSE SELECT 'other'", [("three",)]),
        ("SET NOCOUNT ON SELECT 1 SELECT 2", [(2,)]),
        ("IF OBJECT_ID('dbo.nope') IS NULL SELECT 'none'", [("none",)]),
        ("SELECT TOP 1 CAST(customer_id AS nvarchar(10)) + N'-x' FROM customers ORDER BY customer_id", [("1-x",)]),
        # a constant and a row's own value are printed alike
        ("SELECT CONVERT(varchar(27), a, 121), CONVERT(varchar(30), DATEADD(day, 1, CONVERT(datetime2(7), '2026-12-31 03:04:05.0012345')), 121)"
         " FROM (VALUES (CONVERT(datetime2(7), '2026-12-31 03:04:05.0012345'))) AS t(a)",
         [("2026-12-31 03:04:05.0012345", "2027-01-01 03:04:05.0012345")]),
        ("SELECT CONVERT(varchar(27), CONVERT(datetime2(3), v), 121), CONVERT(varchar(27), CONVERT(datetime2(0), v), 121),"
         " CONVERT(varchar(30), CONVERT(datetime, v), 121), CONVERT(varchar(30), CONVERT(datetime2(6), v), 121)"
         " FROM (VALUES ('2026-12-31 03:04:05.007')) AS t(v)",
         [("2026-12-31 03:04:05.007", "2026-12-31 03:04:05", "2026-12-31 03:04:05.007", "2026-12-31 03:04:05.007000")]),
        ("SELECT DATEDIFF(millisecond, v, CONVERT(datetime, '2026-12-31 03:04:05.010')), DATEDIFF(hour, CONVERT(datetime, '2026-01-01'), v)"
         " FROM (VALUES (CONVERT(datetime, '2026-12-31 03:04:05.003'))) AS t(v)", [(7, 8739)]),
    ],
)  # fmt: skip
def test_should_answer_queries(sql, query, expected):
    assert sql(query) == expected


def test_should_give_one_moment_to_every_clock_function_of_a_statement(sql):
    assert sql("SELECT DATEDIFF_BIG(nanosecond, SYSDATETIME(), SYSUTCDATETIME())") == [(0,)]
    before = dt.datetime.now(dt.UTC).replace(tzinfo=None)
    ((now,),) = sql("SELECT GETDATE()")
    assert abs(now - before) < dt.timedelta(seconds=60)
    assert now.microsecond // 1000 % 10 in (0, 3, 7)


def test_should_order_guids_as_sql_server_does(sql):
    guids = [
        "00000000-0000-0000-0000-010000000000",
        "ff000000-0000-0000-0000-000000000000",
        "00000000-0000-0000-0100-000000000000",
    ]
    rows = ", ".join(f"(CAST('{guid}' AS uniqueidentifier))" for guid in guids)
    ordered = [str(row[0]) for row in sql(f"SELECT g FROM (VALUES {rows}) AS t(g) ORDER BY g")]
    assert ordered == [guids[1], guids[2], guids[0]]


def test_should_bind_parameters_of_every_kind(standin):
    values = (
        7,
        2**40,
        "नमस्ते 😀",
        Decimal("-1.50"),
        dt.date(2024, 2, 29),
        dt.datetime(2024, 2, 29, 1, 2, 3, 456789),
        b"\x00\xff",
        1.5,
        True,
        None,
    )
    with standin.odbc() as connection:
        row = connection.execute(f"SELECT {', '.join('?' * len(values))}", *values).fetchone()
    assert tuple(row) == values


def test_should_run_a_prepared_statement_again(standin):
    with standin.odbc() as connection:
        cursor = connection.cursor()
        found = [
            cursor.execute("SELECT city FROM customers WHERE customer_id = ?", number).fetchone()[0]
            for number in (1, 2, 1)
        ]
    assert found[0] == found[2]


def test_should_take_an_array_of_parameters(standin, sql, table):
    name = table("id int PRIMARY KEY, v nvarchar(10), d decimal(9,2)")
    rows = [(number, f"v{number}", Decimal(number) / 4) for number in range(1, 41)]
    with standin.odbc() as connection:
        connection.cursor().executemany(f"INSERT INTO {name} VALUES (?, ?, ?)", rows)
    assert sql(f"SELECT * FROM {name} ORDER BY id") == rows


def test_should_take_long_generated_statements(sql, table):
    name = table("id int PRIMARY KEY, at datetime, v nvarchar(20)")
    rows = ", ".join(f"({number}, '2024-01-01 10:00:00.{number:03}', N'row {number}')" for number in range(1000))
    sql(f"INSERT INTO {name} VALUES {rows}")
    assert sql(f"SELECT COUNT(*) FROM {name} WHERE {' OR '.join(f'id = {number}' for number in range(900))}") == [
        (900,)
    ]
    assert sql(f"SELECT COUNT(*) FROM {name} WHERE id IN ({', '.join(map(str, range(1500)))})") == [(1000,)]


def test_should_answer_a_text_that_comes_again_by_what_is_there_now(sql, table):
    name = table("a int")
    assigned = f"DECLARE @n int = 0; SELECT @n = @n + COUNT(*) FROM {name}; SELECT @n"
    assert (sql(f"SELECT * FROM {name}"), sql(assigned)) == ([], [(0,)])
    sql(f"INSERT INTO {name} VALUES (7)")
    assert (sql(f"SELECT * FROM {name}"), sql(assigned), sql(assigned)) == ([(7,)], [(1,)], [(1,)])
    sql(f"ALTER TABLE {name} ADD b int")
    assert sql(f"SELECT * FROM {name}") == [(7, None)]


def test_should_run_a_text_with_parameters_given_by_name_or_in_their_order(sql):
    declared = "N'SELECT @a AS a, @b AS b', N'@a bigint, @b nvarchar(20)'"
    assert sql(f"EXEC sp_executesql {declared}, @b = N'q''s', @a = -17") == [(-17, "q's")]
    assert sql(f"DECLARE @n int = 3; EXEC sys.sp_executesql {declared}, @n, NULL") == [(3, None)]
    assert sql("DECLARE @a int = 5; EXEC sp_executesql N'SET @a = 6', N'@a int', @a; SELECT @a") == [(5,)]


def test_should_tell_the_identity_of_each_rows_table(sql):
    asked = (
        "SELECT name, IDENT_CURRENT('dbo.' + QUOTENAME(name)) FROM sys.tables WHERE name IN ('transactions', 'typezoo')"
    )
    told = dict(sql(asked))
    assert told == {"transactions": sql("SELECT IDENT_CURRENT('transactions')")[0][0], "typezoo": None}
