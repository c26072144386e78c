"""A query is one SELECT that only reads, and what its author wrote is what is read, whole or within bounds."""

from types import SimpleNamespace
from typing import Any

import pymssql
import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.targets import SourceTable
from flowforge.domain.errors import QueryRefused
from flowforge.domain.interval import Interval
from flowforge.sources.sqlserver.bounds import plan_interval
from flowforge.sources.sqlserver.query_columns import check_statement, describe_query
from flowforge.sources.sqlserver.query_text import STATEMENTS, read_query
from flowforge.sources.sqlserver.read_hints import loose_hints
from flowforge.sources.sqlserver.reader import open_reader
from flowforge.sources.sqlserver.selection import Selection
from flowforge.sources.sqlserver.sql_text import select_statement

DRIVERS = ("pymssql", "mssql-python")
NUMBERS = "SELECT customer_id AS n, CONVERT(varchar(9), 'é') AS letters FROM dbo.customers WHERE customer_id < 6"
READ = {
    "plain": NUMBERS,
    "with an end": f"{NUMBERS} ;\n;",
    "with a comment at its end": f"{NUMBERS} -- DROP TABLE x; /*",
    "with nested comments": f"/* a /* ; DELETE */ b */ {NUMBERS} /* ; */",
    "in order": f"{NUMBERS} ORDER BY customer_id DESC",
    "the first of an order": NUMBERS.replace("SELECT", "SELECT TOP (5)") + " ORDER BY customer_id",
    "a page of an order": NUMBERS.replace("< 6", "< 99") + " ORDER BY customer_id OFFSET 0 ROWS FETCH NEXT 5 ROWS ONLY",
    "with what WITH defines": "WITH few AS (SELECT customer_id AS n FROM dbo.customers), fewer (n, letters) AS "
    "(SELECT n, 'é' FROM few WHERE n < 6) SELECT n, CONVERT(varchar(9), letters) AS letters FROM fewer ORDER BY n",
    "with a semicolon before WITH": f";WITH q AS ({NUMBERS}) SELECT * FROM q",
    "with a hint": f"{NUMBERS} ORDER BY n OPTION (MAXDOP 1)",
    "of two parts": f"{NUMBERS} AND customer_id < 3 UNION ALL {NUMBERS} AND customer_id > 2 ORDER BY n",
    "with words that are text or names": NUMBERS.replace("'é'", "N'é'") + " AND 'DROP; it''s' <> '' AND 1 = 1",
}  # fmt: skip


def rows_of(server, source, driver, interval=Interval()):  # noqa: B008  immutable
    bank, query = source
    columns = describe_query(bank, query)
    selection = Selection(query, columns, interval)
    with open_reader(server.reference, server.credentials, selection, driver) as reader:
        return sorted((row["n"], row["letters"]) for batch in reader for row in batch.to_pylist())


@pytest.mark.parametrize("form", READ)
@pytest.mark.parametrize("driver", DRIVERS)
def test_should_read_a_query_in_whatever_form_it_was_written(bank, server, driver, form):
    expected = [(n, "é") for n in range(1, 6)]
    assert rows_of(server, (bank, READ[form]), driver) == expected
    within = Interval(column="n", sql_type="int", low="2", high="5", nulls=False)
    assert rows_of(server, (bank, READ[form]), driver, within) == expected[1:4]


@pytest.mark.parametrize("form", ["with what WITH defines", "in order", "with a hint"])
def test_should_plan_the_bounds_of_a_query_in_any_form(bank, form):
    columns = describe_query(bank, READ[form])
    described: Any = SimpleNamespace(columns=columns, primary_key=[])
    source = SourceTable(query=READ[form], is_incremental=True, delta_column="n", last_watermark="2")
    plan = plan_interval(bank, described, source, None, None)
    assert (plan.interval.low, plan.interval.high) == ("2", "6")


WRITES = {
    "SELECT 1 AS a; CREATE TABLE x (a int)": "CREATE follows a semicolon",
    "SELECT 1 AS a CREATE TABLE x (a int)": "CREATE",
    "SELECT * INTO dbo.copy FROM dbo.customers": "INTO",
    "EXEC dbo.pay": "EXEC",
    "WITH x AS (SELECT 1 AS a) DELETE FROM x": "DELETE",
    "SELECT * FROM (UPDATE dbo.accounts SET balance = 0 OUTPUT inserted.account_id) AS t": "UPDATE",
    "SELECT 1 AS a /* */ DROP TABLE x": "DROP",
    "SELECT 1DROP TABLE x": "DROP",
    "SELECT N'a'DROP TABLE x": "DROP",
    "SELECT 1 AS [a]DROP TABLE x": "DROP",
    "SELECT NEXT VALUE FOR dbo.numbers AS n": "NEXT VALUE FOR",
    "SELECT @x = 1": "variable @x",
    "SELECT 1 AS a WAITFOR DELAY '1:00'": "WAITFOR",
    "SELECT * FROM OPENQUERY(other, 'DELETE FROM t')": "OPENQUERY",
    "SELECT * FROM OPENROWSET('SQLNCLI', 'x', 'SELECT 1') AS r": "OPENROWSET",
    "SELECT 1 AS a FROM t MERGE INTO t": "MERGE",
    "DECLARE @a int": "begins with DECLARE",
    "": "is empty",
    " ; -- ": "is empty",
    "SELECT 'never ends": "never ends",
    "SELECT 1 AS a /* never /* ends */": "never ends",
    "SELECT [never ends": "never ends",
    "SELECT (1": "never closed",
    "SELECT 1) AS a": "parenthesis too many",
    "WITH x AS (SELECT 1 AS a)": "no SELECT stands behind",
    "SELECT 1 AS a FOR XML PATH": "FOR XML",
    "SELECT 1 AS a SELECT 2 AS a": "a second SELECT, at character 15",
    "WITH x AS (SELECT 1 AS a) SELECT a FROM x SELECT 2 AS a": "a second SELECT",
    "SET TRANSACTION ISOLATION LEVEL READ UNCOMMITTED; SELECT 1 AS a": "begins with SET",
    "SELECT 1 AS a SET TRANSACTION ISOLATION LEVEL READ UNCOMMITTED": "SET",
}


@pytest.mark.parametrize("query", WRITES)
def test_should_refuse_by_name_what_is_not_one_select_that_reads(query):
    with pytest.raises(QueryRefused) as caught:
        read_query(query)
    assert WRITES[query] in str(caught.value)
    assert caught.value.remedy


@pytest.mark.parametrize(
    "selects",
    [
        "SELECT 1 AS a UNION ALL SELECT 2",
        "SELECT 1 AS a EXCEPT SELECT 2",
        "SELECT 1 AS a INTERSECT (SELECT 2)",
        "SELECT 1 AS a WHERE 1 > ALL (SELECT 2 UNION SELECT 3)",
        "(SELECT 1 AS a)",
        "WITH x AS (SELECT 1 AS a) (SELECT a FROM x)",
    ],
)
def test_should_take_a_select_of_many_selects(selects):
    assert read_query(selects).written == selects


HINTED = {
    "t WITH (NOLOCK)": ["NOLOCK"],
    "t (nolock)": ["NOLOCK"],
    "dbo.t AS a (NOLOCK) JOIN b WITH(READPAST) ON a.x = b.x": ["NOLOCK", "READPAST"],
    "t WITH (INDEX(1), ReadUncommitted)": ["READUNCOMMITTED"],
    "t WITH (ROWLOCK NOLOCK)": ["NOLOCK"],
    "a, [b c](NOLOCK)": ["NOLOCK"],
    "t OPTION (TABLE HINT (t, NOLOCK))": ["NOLOCK"],
    "(SELECT x FROM (SELECT * FROM t WITH (NOLOCK)) AS u) AS v": ["NOLOCK"],
    "t WHERE x IN (SELECT y FROM u (/* as ever */ nolock))": ["NOLOCK"],
    "t nolock": [],
    "t WITH (TABLOCK, HOLDLOCK)": [],
    "t WHERE 'WITH (NOLOCK)' <> x -- FROM t (NOLOCK)": [],
    "[t (NOLOCK)] /* WITH (NOLOCK) */": [],
    'u AS "WITH" WHERE (nolock) = COUNT(nolock)': [],
    "t JOIN u ON f(nolock) = 1": [],
    "OPENJSON(@@VERSION) WITH (nolock int)": [],
}


@pytest.mark.parametrize("source", HINTED)
def test_should_find_hints_that_read_loosely_and_take_no_other_word_for_one(source):
    assert loose_hints(f"SELECT nolock, [NOLOCK] FROM {source}") == HINTED[source]
    assert loose_hints(f"WITH q (nolock) AS (SELECT x FROM {source}\n) SELECT nolock FROM q") == HINTED[source]


@given(
    st.sampled_from(sorted(STATEMENTS)),
    st.sampled_from(["{}", "{} x", "1 {}", "a\n{}\tb", "(({}))", "x{}--", "a.b {}"]),
    st.booleans(),
)
def test_should_find_a_statement_wherever_it_stands_and_only_there(word, form, lower):
    text = form.format(f" {word.lower() if lower else word} ")
    with pytest.raises(QueryRefused):
        read_query(f"SELECT 1 AS a FROM t WHERE a = {text}\n")
    for quoted in (f"'{text}'", f"[{text}]", f'"{text}"', f"/*{text}*/ 1", f"N'''{text}'", f"[]]{text}]"):
        assert read_query(f"SELECT {quoted} AS a").written == f"SELECT {quoted} AS a"


@pytest.mark.parametrize(
    "allowed", ["INNER MERGE JOIN", "OPTION (MERGE JOIN, USE HINT('x'))", "AS closed", "AS set_up, @@VERSION AS v"]
)
def test_should_not_take_a_name_or_hint_for_a_statement(allowed):
    assert allowed in read_query(f"SELECT 1 AS a, b {allowed}").written


@pytest.mark.parametrize(
    ("query", "number"),
    [
        ("SELECT * FROM (SELECT customer_id FROM dbo.customers ORDER BY customer_id) AS q", 1033),
        ("WITH q AS (SELECT customer_id FROM dbo.customers ORDER BY customer_id) SELECT * FROM q", 1033),
        ("SELECT * FROM (WITH q AS (SELECT 1 AS a) SELECT a FROM q) AS t", 156),
        ("SELECT * FROM (SELECT customer_id + 1 FROM dbo.customers) AS q", 8155),
        ("SELECT * FROM (SELECT 1 AS a, 2 AS A) AS q", 8156),
    ],
)
def test_should_be_refused_by_the_server_for_what_no_subquery_may_hold(server, query, number):
    """The stand-in does as SQL Server does, or what is read inside another query would prove nothing."""
    with (
        pymssql.connect(
            "127.0.0.1", "sa", server.credentials.password.get_secret_value(), port=str(server.reference.port)
        ) as connection,
        pytest.raises(pymssql.Error) as caught,
    ):
        connection.cursor().execute(query)
    assert caught.value.args[0] == number


def test_should_tell_before_the_read_what_the_server_refuses_inside_another_query(bank):
    query = "SELECT TOP (1) 1 AS a UNION SELECT 2 AS a ORDER BY a"
    columns = describe_query(bank, query)
    with pytest.raises(QueryRefused, match="ORDER BY") as caught:
        check_statement(bank, select_statement(query, columns, Interval(column="a")))
    assert "leave ORDER BY out" in caught.value.remedy
