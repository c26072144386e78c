"""Users' SQL: what runs is what was judged, by two parsers."""

import unicodedata

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowforge.domain.errors import QueryRefused
from flowforge.engines.duckdb.second_reading import check_query
from flowforge.operations.query import query
from flowforge.quality.expressions import check_expression
from flowforge.silver.refine import refine
from flowforge.sql_policy.parsing import NotAllowed
from flowforge.sql_policy.statements import table_lines
from tests.helpers.examples import examples

LAYERS = ("silver", "gold")


BLANKS = "\u200b\ufeff\u00a0\u2003\u3000\u2060\u180e\u0085\u2028\u00ad\u200d\v\f\x1c\x00"


ODD = "".join(
    chr(code) for code in range(0x3100) if unicodedata.category(chr(code))[0] in "ZC" and chr(code) not in " \t\n\r"
)


@pytest.fixture
def filled(lake):
    refine(lake.source(key=["id"]).batch(1, pa.table({"id": [1, 2], "name": ["a", None]})), lake.bucket)
    return lake


@pytest.mark.parametrize("blank", BLANKS)
def test_should_refuse_what_one_reader_takes_for_a_blank_and_the_other_for_a_letter(blank):
    for sql in (
        f"SELECT name{blank}FROM{blank}duckdb_settings()",
        f"SELECT 1 FROM silver.x{blank}, duckdb_settings()",
        f"SELECT 1 --{blank}\nFROM silver.x WHERE a ={blank}1",
    ):
        with pytest.raises(NotAllowed):
            table_lines(sql, LAYERS)
    with pytest.raises(NotAllowed):
        check_expression(f"id IN{blank}(SELECT{blank}1)")


def test_should_take_other_scripts_and_odd_characters_where_they_are_content():
    sql = (
        "SELECT 'a\u00a0b\u200b' AS größe, naïve AS \"ein\u00a0Name\" FROM silver.x -- Größe 日本\u200b\n"
        "/* “quoted” */ WHERE 客户 = '…'"
    )
    assert [str(name) for name in table_lines(sql, LAYERS)] == ["silver.x"]


@given(
    st.lists(
        st.sampled_from(
            ["SELECT", "1", "a", "FROM", "silver.x", "duckdb_settings()", ",", "'", '"', "--", "/*", "*/", "$$", "\n", " ",
            "E'\\'", "'q'", "WITH c AS (SELECT 1)", "c", "(", ")", "silver.y", "main.silver.x", "'f.parquet'", "JOIN", ";",
            "{#", "#}"] )
        | st.sampled_from(ODD),
        max_size=14,
    )
)  # fmt: skip
@settings(max_examples=examples(400), deadline=None)
def test_should_run_nothing_in_which_duckdb_reads_another_table(engine, parts):
    sql = "SELECT 1 FROM silver.x " + " ".join(parts)
    try:
        names = table_lines(sql, LAYERS)
        check_query(engine, sql, [(name.layer, name.table) for name in names])
    except NotAllowed:
        return
    (tree,) = engine.execute("SELECT json_serialize_sql(?)", [sql]).fetchone()
    assert "duckdb_settings" not in tree
    assert "f.parquet" not in tree or "'f.parquet'" in sql
    assert tree.count('"type":"TABLE_FUNCTION"') == 0


@pytest.mark.parametrize(
    "sql",
    [
        'SELECT * FROM silver."customers/../customers"',
        'SELECT * FROM silver."../gold/x"',
        'SELECT * FROM silver."_delta_log/x"',
        'SELECT * FROM silver."a.b"',
        'SELECT * FROM "silver.customers"',
        "SELECT * FROM memory.silver.customers",
        "SELECT * FROM main.customers",
        "SELECT * FROM 'silver/customers/*.parquet'",
        "SELECT * FROM silver.customers, query('SELECT 1')",
        "SELECT * FROM query_table('silver.customers')",
        "SELECT getenv('HOME') FROM silver.customers",
        "SELECT (SELECT value FROM duckdb_settings() LIMIT 1) FROM silver.customers",
        "SELECT * FROM (SUMMARIZE silver.customers)",
        "SELECT * FROM (DESCRIBE silver.customers)",
        "FROM duckdb_secrets()",
        "SELECT name\u200bFROM\u200bduckdb_settings()",
        "SELECT {'a': getenv('HOME')}.a FROM silver.customers",
        "SELECT list_transform([1], lambda x: getenv('HOME')) FROM silver.customers",
        "SELECT 'x'.getenv() FROM silver.customers",
        "SELECT pg_get_viewdef(1) FROM silver.customers",
        "SELECT json_serialize_plan('SELECT * FROM duckdb_settings()') FROM silver.customers",
        "SELECT sleep_ms(1) FROM silver.customers",
    ],
)
def test_should_let_a_query_read_the_lakes_tables_and_nothing_else(filled, sql):
    with pytest.raises(QueryRefused):
        query(sql, filled.bucket)


def test_should_compare_with_what_duckdb_reads(engine):
    for sql, tables in (
        ("SELECT * FROM silver.x, gold.y", [("silver", "x")]),
        ("SELECT * FROM silver.x, duckdb_settings()", [("silver", "x")]),
        ("SELECT getenv('A') FROM silver.x", [("silver", "x")]),
        ("SELECT 1; SELECT 2", []),
        ("COPY silver.x TO 'f'", [("silver", "x")]),
        ("SELECT * FROM (DESCRIBE silver.x)", [("silver", "x")]),
    ):
        with pytest.raises(NotAllowed):
            check_query(engine, sql, tables)
    check_query(engine, "WITH c AS (SELECT * FROM Silver.X) SELECT * FROM c, range(3), unnest([1])", [("silver", "x")])
