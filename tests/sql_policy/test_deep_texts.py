"""No text is too deep, too long or too large for its neighbours: it is told alone."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowforge.gold.model_files import parse_models
from flowforge.quality.expressions import check_expression
from flowforge.sql_policy.parsing import MOST_LEVELS, NotAllowed, parse
from tests.helpers.examples import examples

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
