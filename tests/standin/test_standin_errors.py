"""What goes wrong has SQL Server's number and words."""

import pymssql
import pytest


def failure(run, text: str) -> tuple[int, str]:
    with pytest.raises(pymssql.Error) as caught:
        run(text)
    number, message = caught.value.args[:2]
    return number, message.decode().split("DB-Lib error")[0]


@pytest.mark.parametrize(
    ("text", "number", "message"),
    [
        ("SELECT * FROM nope", 208, "Invalid object name 'nope'."),
        ("SELECT * FROM dbo.nope", 208, "Invalid object name 'dbo.nope'."),
        ("SELECT * FROM elsewhere.dbo.customers", 208, "Invalid object name 'elsewhere.dbo.customers'."),
        ("SELECT nope FROM customers", 207, "Invalid column name 'nope'."),
        ("SELECT x.city FROM customers c", 4104, 'The multi-part identifier "x.city" could not be bound.'),
        ("SELECT customer_id FROM customers c JOIN accounts a ON 1 = 1", 209, "Ambiguous column name 'customer_id'."),
        ("SELECT * FROM customers WHERE", 102, "Incorrect syntax near 'WHERE'."),
        ("IF 1 = 1", 102, "Incorrect syntax near '1'."),
        ("SELECT ABS(NULL)", 40517, "The FlowForge stand-in does not support NULL without a type as this argument."),
        ("EXEC nope", 2812, "Could not find stored procedure 'nope'."),
        ("SELECT 1 / 0", 8134, "Divide by zero error encountered."),
        ("SELECT 1 % 0", 8134, "Divide by zero error encountered."),
        ("SELECT CAST('x' AS int)", 245, "Conversion failed when converting the varchar value 'x' to data type int."),
        ("SELECT 'a' + 1", 245, "Conversion failed when converting the varchar value 'a' to data type int."),
        (
            "SELECT CAST('2024-02-30' AS date)",
            241,
            "Conversion failed when converting date and/or time from character string.",
        ),
        ("SELECT CAST('x' AS decimal(5,2))", 8114, "Error converting data type varchar to numeric."),
        (
            "SELECT CAST(CAST(N'5' AS xml) AS int)",
            529,
            "Explicit conversion from data type xml to int is not allowed in the stand-in.",
        ),
        ("SELECT CAST(5 AS date)", 529, "Explicit conversion from data type int to date is not allowed."),
        (
            "SELECT TRY_CONVERT(datetime2, 5)",
            529,
            "Explicit conversion from data type int to datetime2 is not allowed.",
        ),
        (
            "SELECT CAST(CAST('2024-01-01' AS date) AS int)",
            529,
            "Explicit conversion from data type date to int is not allowed.",
        ),
        ("DECLARE @d date = 5", 206, "Operand type clash: int is incompatible with date"),
        ("DECLARE @n int = SYSDATETIME()", 206, "Operand type clash: datetime2 is incompatible with int"),
        ("UPDATE customers SET date_of_birth = 5", 206, "Operand type clash: int is incompatible with date"),
        (
            "EXEC sp_executesql N'SELECT @a', N'@a int'",
            8178,
            "The parameterized query '(@a int)SELECT @a' expects the parameter '@a'",
        ),
        (
            "EXEC sp_executesql N'SELECT @a', N'@a int', 1, 2",
            8144,
            "Procedure or function sp_executesql has too many arguments",
        ),
        (
            "EXEC sp_executesql N'SELECT @a', N'@a int', @b = 1",
            8145,
            "@b is not a parameter for procedure sp_executesql.",
        ),
        ("EXEC sp_executesql N'SELECT @a', N'@a int', 1 + 1", 102, "Incorrect syntax near '1 + 1'."),
        ("SELECT CAST(300 AS tinyint)", 220, "Arithmetic overflow error for data type tinyint, value = 300."),
        ("SELECT 2147483647 + 1", 8115, "Arithmetic overflow error converting expression to data type int."),
        ("SELECT NOSUCH(1)", 195, "'NOSUCH' is not a recognized built-in function name."),
        ("SELECT @nope", 137, 'Must declare the scalar variable "@nope".'),
        ("SELECT city, COUNT(*) FROM customers", 8120, "A column is invalid in the select list"),
        (
            "COMMIT",
            3902,
            "The COMMIT TRANSACTION request has no corresponding BEGIN TRANSACTION.",
        ),
        (
            "DROP TABLE nope",
            3701,
            "Cannot drop the table 'nope', because it does not exist or you do not have permission.",
        ),
        ("CREATE TABLE customers (a int)", 2714, "There is already an object named 'customers' in the database."),
        ("CREATE TABLE t_odd (a nosuch)", 2715, "Cannot find data type nosuch."),
        ("CREATE TABLE nowhere.t (a int)", 2760, 'The specified schema name "nowhere" either does not exist'),
        ("USE nowhere", 911, "Database 'nowhere' does not exist."),
        ("RAISERROR('as asked', 16, 1)", 50000, "as asked"),
    ],
)
def test_should_answer_with_the_number_and_text_of_sql_server(sql, text, number, message):
    assert failure(sql, text)[0] == number
    assert failure(sql, text)[1].startswith(message)


@pytest.mark.parametrize(
    "text",
    ["MERGE t USING s ON 1 = 1 WHEN MATCHED THEN DELETE;", "CREATE TABLE t_odd (a int CHECK (a > 1))",
     "SELECT * FROM customers FOR XML AUTO", "SELECT TOP 5 PERCENT * FROM customers", "CREATE TABLE #t (a int)",
     "CREATE TABLE t_odd (a int, b AS a + 1)", "SAVE TRANSACTION x"],
)  # fmt: skip
def test_should_refuse_what_it_cannot_do_instead_of_guessing(sql, text):
    number, message = failure(sql, text)
    assert number == 40517
    assert message.startswith("The FlowForge stand-in does not support ")


def test_should_report_a_duplicate_key_and_go_on_with_the_batch(sql, table):
    name = table("a int NOT NULL, b nvarchar(5) NOT NULL, CONSTRAINT pk_dup PRIMARY KEY (a, b)")
    number, message = failure(sql, f"INSERT INTO {name} VALUES (1, 'x'), (1, 'x')")
    assert number == 2627
    assert message == (
        "Violation of PRIMARY KEY constraint 'pk_dup'. Cannot insert duplicate key in object"
        f" 'dbo.{name}'. The duplicate key value is (1, x)."
    )
    assert sql(f"SELECT COUNT(*) FROM {name}") == [(0,)]


def test_should_refuse_null_where_none_is_allowed(sql, table):
    name = table("a int NOT NULL, b int")
    expected = (
        f"Cannot insert the value NULL into column 'a', table 'BFSI_Test.dbo.{name}'; column does not allow nulls."
    )
    number, message = failure(sql, f"INSERT INTO {name} (b) VALUES (1)")
    assert (number, message.startswith(expected)) == (515, True)


def test_should_refuse_text_that_does_not_fit_its_column(sql, table):
    name = table("a varchar(3)")
    number, message = failure(sql, f"INSERT INTO {name} VALUES ('abcd')")
    assert number == 2628
    assert "Truncated value: 'abc'" in message


def test_should_keep_accounts_with_their_customers(sql):
    orphan = "INSERT INTO accounts (customer_id, account_type, balance, open_date, status) VALUES (0, 'x', 1, '2024-01-01', 'x')"
    assert failure(sql, orphan)[0] == 547
    assert failure(sql, "DELETE FROM customers WHERE customer_id = 1")[0] == 547


def test_should_serve_on_after_an_error(sql):
    failure(sql, "SELECT * FROM nope")
    assert sql("SELECT 1") == [(1,)]
