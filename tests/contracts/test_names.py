"""Names of tables: split without loss, never a path, never shared by accident."""

import string

from hypothesis import given
from hypothesis import strategies as st

from events.names import DESTINATION, destination_stem, split_table_name

IDENTIFIER = st.text(min_size=1, max_size=60).filter(lambda s: s.strip() == s and "\x00" not in s)


def bracketed(name: str) -> str:
    return "[" + name.replace("]", "]]") + "]"


@given(IDENTIFIER, IDENTIFIER)
def test_should_split_what_brackets_hold_whatever_it_is(schema, table):
    assert split_table_name(f"{bracketed(schema)}.{bracketed(table)}") == (schema, table)
    assert split_table_name(bracketed(table)) == ("dbo", table)


@given(st.text(max_size=200))
def test_should_split_any_text_or_say_why_not(text):
    try:
        schema, table = split_table_name(text)
    except ValueError as error:
        assert str(error)
    else:
        assert schema
        assert table


@given(IDENTIFIER, IDENTIFIER)
def test_should_make_a_destination_of_any_name(schema, table):
    assert DESTINATION.fullmatch(destination_stem(schema, table))


@given(st.sets(st.tuples(st.just("s"), st.text(string.ascii_letters + " -.]'é_", min_size=1, max_size=8)), min_size=2))
def test_should_give_different_names_different_destinations(names):
    stems = {destination_stem(schema, table) for schema, table in names}
    assert len(stems) == len(names)


def test_should_keep_plain_names_as_they_are():
    assert destination_stem("dbo", "customers") == "customers"
    assert destination_stem("sales", "orders") == "sales_orders"
