"""Users' SQL: what runs is what was judged, a rule gives one answer a row, and no text is too deep for its neighbours."""

import unicodedata

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.quality import Expression
from flowforge.domain.errors import QueryRefused, TransformRejected
from flowforge.engines.duckdb import function_catalog
from flowforge.engines.duckdb.second_reading import check_condition, check_query
from flowforge.engines.duckdb.session import DuckDBSession
from flowforge.gold.model_files import parse_models
from flowforge.operations.query import query
from flowforge.quality.expressions import check_expression
from flowforge.quality.judge import Subject, judge
from flowforge.silver.refine import refine
from flowforge.sql_policy.function_names import AGGREGATES, OF_A_ROW, READING, SEVERAL_ROWS, TABLES
from flowforge.sql_policy.functions import REVEALING
from flowforge.sql_policy.parsing import MOST_LEVELS, NotAllowed, parse
from flowforge.sql_policy.statements import table_lines
from tests.helpers.examples import examples

LAYERS = ("silver", "gold")
BLANKS = "\u200b\ufeff\u00a0\u2003\u3000\u2060\u180e\u0085\u2028\u00ad\u200d\v\f\x1c\x00"
ODD = "".join(
    chr(code) for code in range(0x3100) if unicodedata.category(chr(code))[0] in "ZC" and chr(code) not in " \t\n\r"
)


@pytest.fixture(scope="module")
def engine():
    with duckdb.connect() as connection:
        yield connection


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


NO_ANSWER = [
    "columns('.*') IS NOT NULL",
    "COLUMNS(*) IS NOT NULL",
    "columns(c -> c LIKE 'n%') IS NOT NULL",
    "unnest([]::BOOLEAN[])",
    "unnest([true, true])",
    "product(id) > 0",
    "id.product() > 0",
    '"product"(id) > 0',
    "mad(id) > 0",
    "bool_and(id > 0)",
    "sum(id) OVER () > 0",
    "id > (SELECT 1)",
    "EXISTS (SELECT 1)",
    "grouping(id) = 0",
    "$1",
    "#1 > 0",
    "list(id ORDER BY name) = [1]",
    "first(id ORDER BY name) = 1",
    "approx_count_distinct(id) > 0",
    "count(*) FILTER (WHERE id > 0) > 0",
    "percentile_cont(0.5) WITHIN GROUP (ORDER BY id) > 0",
    "main.sum(id) > 0",
    "geomean(id) > 0",
    "weighted_avg(id, id) > 0",
    "json_group_array(id) IS NOT NULL",
    "list_transform([1], lambda x: sum(id)) = [1]",
    "lag(id) OVER (ORDER BY id) > 0",
    "regexp_split_to_table(name, ',') = 'a'",
    "generate_subscripts([id, 2], 1) > 0",
    "get_block_size('memory') > 0",
    "read_text('/etc/passwd') = ''",
]


@pytest.mark.parametrize("sql", NO_ANSWER)
def test_should_refuse_a_rule_that_does_not_give_one_answer_a_row(engine, sql):
    with pytest.raises(NotAllowed):
        check_expression(sql)
    with pytest.raises(NotAllowed):
        check_condition(engine, f"({sql})")


@pytest.mark.parametrize(
    "sql",
    [
        "id > 0 AND name IS NOT NULL",
        "len(list_filter([id, 2], lambda x: x > 1)) > 0",
        "CASE WHEN id BETWEEN 1 AND 3 THEN name ILIKE '_' ELSE true END",
        "id IN (1, 2, 3) OR coalesce(name, '') = ''",
        "regexp_matches(name, '^[a-z]+$')",
        "id::DECIMAL(10, 2) * 2 >= abs(-id)",
        "list_sum([id, 1]) > 0 AND list_aggregate([id], 'product') > 0",
        "date_trunc('day', now()) <= current_date + INTERVAL 1 DAY",
        "greatest(id, 2) > least(id, 2) - 1 AND name COLLATE NOCASE <> 'C'",
        "len(range(id)) >= 0 AND split_part(name, ',', 1) = name AND nullif(id, 9) = id",
        "if(id > 0, true, false) AND ifnull(name, '') <> '-' AND position('z' IN name) = 0",
        "substring(name FROM 1 FOR 1) = trim(BOTH ' ' FROM name) AND extract('year' FROM DATE '2024-01-01') = 2024",
    ],
)
def test_should_take_a_condition_that_does(engine, sql):
    engine.execute("CREATE OR REPLACE TABLE batch AS SELECT * FROM (VALUES (1, 'a'), (2, 'b')) t(id, name)")
    engine.execute("DROP TABLE IF EXISTS judged")
    rule = Expression.model_validate({"rule": "expression", "name": "r", "sql": sql})
    verdict = judge(DuckDBSession(engine), Subject(lambda _: "silver.t", "", "2024-01-01"), [rule])
    assert [(figure.checked, figure.failed) for figure in verdict.figures] == [(2, 0)]


def test_should_say_where_a_rule_finds_no_answer(engine):
    engine.execute("CREATE OR REPLACE TABLE batch AS SELECT * FROM (VALUES (1, 'a'), (2, NULL)) t(id, name)")
    rule = Expression.model_validate({"rule": "expression", "name": "all there", "sql": "columns('.*') IS NOT NULL"})
    with pytest.raises(TransformRejected, match=r"silver\.t: rule all there"):
        judge(DuckDBSession(engine), Subject(lambda _: "silver.t", "", "2024-01-01"), [rule])


def test_should_know_the_functions_of_the_pinned_engine():
    assert function_catalog.main(["--check"]) == 0, "run python -m flowforge.engines.duckdb.function_catalog"


@pytest.mark.parametrize("kind", [AGGREGATES, SEVERAL_ROWS, TABLES, READING])
def test_should_let_no_rule_call_what_gives_another_answer_than_one_a_row(engine, kind):
    for name in sorted(kind):
        for call in (f"{name}(id) > 0", f"id.{name}() > 0", f'"{name.upper()}"(id) > 0'):
            with pytest.raises(NotAllowed):
                check_expression(call)
        with pytest.raises(NotAllowed):
            check_condition(engine, f"({name}(id) > 0)")


def test_should_judge_every_row_by_each_function_that_a_rule_may_call(engine):
    engine.execute("CREATE OR REPLACE TABLE batch AS SELECT * FROM (VALUES (1, 'a'), (2, 'b'), (3, NULL)) t(id, name)")
    tried = 0
    for name in sorted(OF_A_ROW - {"error", "setseed"}):
        if REVEALING.fullmatch(name) or name.startswith("icu_collate_"):
            continue
        for argument in ("r.id", "r.name", "[r.id]"):
            try:
                call = check_expression(f"{name}({argument}) IS NULL")
            except NotAllowed as error:
                assert "cannot be read" in str(error)  # by sqlglot, which knows how many arguments it has
                continue
            check_condition(engine, call)
            try:
                rows = engine.execute(f"SELECT coalesce({call}, true) FROM batch r").fetchall()
            except duckdb.Error:
                continue
            assert len(rows) == 3, call
            tried += 1
            break
    assert tried > 150


def test_should_take_every_example_that_duckdb_gives_of_its_functions(engine):
    """But those that sqlglot cannot read, which the message says."""
    given = engine.execute("SELECT DISTINCT function_name, unnest(examples) FROM duckdb_functions()").fetchall()
    for name, example in given:
        if REVEALING.fullmatch(name) or name in READING:
            continue
        try:
            engine.execute(f"EXPLAIN SELECT {example}")
        except (duckdb.Error, RuntimeError):
            continue
        try:
            table_lines(f"SELECT {example}", LAYERS)
        except NotAllowed as error:
            assert "cannot be read as SQL" in str(error), example


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("isnull(name, '') <> ''", "DuckDB has no function isnull: write coalesce(a, b)"),
        ("greatst(id, 1) > 0", "DuckDB has no function greatst: did you mean greatest"),
        ("sum(id) > 0", "sum is not allowed: a rule looks at one row"),
        ("unnest([true])", "unnest is not allowed: a rule looks at one row"),
        ("mad(id) > 0", "mad is not allowed: it is an aggregate or a window function, and a rule looks at one row"),
        ("generate_subscripts([id], 1) > 0", "it is a function that gives several rows"),
    ],
)
def test_should_say_of_a_function_that_a_rule_cannot_call_what_to_write(sql, told):
    with pytest.raises(NotAllowed) as refused:
        check_expression(sql)
    assert told in refused.value.with_remedy
    assert refused.value.remedy


def test_should_tell_the_line_of_a_function_that_no_model_can_call():
    found = parse_models([("models/x.sql", "SELECT id,\n  getdate() AS at\nFROM silver.customers")])
    problem = "gold.x (models/x.sql, line 2): DuckDB has no function getdate: write now()"
    assert found.problems == {"models/x.sql": problem}


NESTED = {
    "parentheses": ("(", "1", ")"),
    "functions": ("abs(", "1", ")"),
    "lists": ("[", "1", "]"),
    "structs": ("{'a': ", "1", "}"),
    "cases": ("CASE WHEN true THEN ", "1", " END"),
    "subqueries": ("(SELECT ", "1", ")"),
    "nots": ("NOT ", "true", ""),
    "signs": ("- ", "1", ""),
    "casts": ("CAST(", "1", " AS INT)"),
    "lambdas": ("list_transform([1], lambda x: ", "x", ")"),
    "casts behind": ("", "1", "::INT"),
    "sums": ("1 + ", "1", ""),
}


@given(st.sampled_from(sorted(NESTED)), st.integers(0, 3_000))
@settings(max_examples=examples(60), deadline=None)
def test_should_read_every_other_model_however_deep_one_is(kind, levels):
    opening, inner, closing = NESTED[kind]
    deep = f"SELECT {opening * levels}{inner}{closing * levels} AS x FROM silver.customers"
    found = parse_models([("models/deep.sql", deep), ("models/plain.sql", "SELECT id FROM silver.customers")])
    assert "plain" in [model.table for model in found.models]
    if levels > MOST_LEVELS and closing not in ("", "::INT"):
        assert found.problems["models/deep.sql"].startswith("gold.deep (models/deep.sql")
    if levels < MOST_LEVELS:
        assert found.problems == {}


@pytest.mark.parametrize("kind", sorted(NESTED))
def test_should_say_of_a_rule_that_it_is_too_deep(kind):
    opening, inner, closing = NESTED[kind]
    try:
        check_expression(f"{opening * 42}{inner}{closing * 42} IS NOT NULL")
    except NotAllowed as error:
        assert "nested" in str(error) or "not allowed" in str(error)


def test_should_tell_which_file_is_too_large_or_too_long():
    long = "SELECT " + ", ".join(["1"] * 12_000) + " FROM silver.x"
    found = parse_models(
        [("models/large.sql", None), ("models/long.sql", long), ("models/x.sql", "SELECT 1 FROM silver.x")]
    )
    assert "models/large.sql" in found.problems["models/large.sql"]
    assert "20,000 words" in found.problems["models/long.sql"]
    assert [model.table for model in found.models] == ["x"]


def test_should_tell_the_line_at_which_a_text_becomes_too_deep():
    with pytest.raises(NotAllowed) as refused:
        parse("SELECT 1\n,\n" + "(" * 42 + "1" + ")" * 42)
    assert refused.value.line == 3
