"""A rule gives one answer a row, by functions that the pinned engine's catalog has; else it says what to write."""

import duckdb
import pytest

from events.quality import Expression
from flowforge.domain.errors import TransformRejected
from flowforge.engines.duckdb import function_catalog
from flowforge.engines.duckdb.second_reading import check_condition
from flowforge.engines.registry import ENGINE
from flowforge.gold.model_files import parse_models
from flowforge.quality.expressions import check_expression
from flowforge.quality.judge import Subject, judge
from flowforge.sql_policy.function_names import AGGREGATES, OF_A_ROW, READING, SEVERAL_ROWS, TABLES
from flowforge.sql_policy.functions import REVEALING
from flowforge.sql_policy.parsing import NotAllowed
from flowforge.sql_policy.statements import table_lines

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
def test_should_take_a_condition_that_does(sql):
    rule = Expression.model_validate({"rule": "expression", "name": "r", "sql": sql})
    with ENGINE.session() as session:
        session.execute("CREATE TABLE batch AS SELECT * FROM (VALUES (1, 'a'), (2, 'b')) t(id, name)")
        verdict = judge(session, Subject(lambda _: "silver.t", "", "2024-01-01"), [rule])
    assert [(figure.checked, figure.failed) for figure in verdict.figures] == [(2, 0)]


def test_should_say_where_a_rule_finds_no_answer():
    rule = Expression.model_validate({"rule": "expression", "name": "all there", "sql": "columns('.*') IS NOT NULL"})
    with ENGINE.session() as session, pytest.raises(TransformRejected, match=r"silver\.t: rule all there"):
        session.execute("CREATE TABLE batch AS SELECT * FROM (VALUES (1, 'a'), (2, NULL)) t(id, name)")
        judge(session, Subject(lambda _: "silver.t", "", "2024-01-01"), [rule])


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
            table_lines(f"SELECT {example}", ("silver", "gold"))
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
