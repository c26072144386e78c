"""The source key: printed and parsed without a loss, and the same text for every table whose key was unambiguous before."""

import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from events.names import split_table_name, written_name
from events.targets import ConnectionReference
from flowforge.domain.source_key import SourceKey, bronze_table_of

SIGNS = st.text(st.sampled_from("ab/>%#.:[]25 2EF😀\n"), max_size=12)
NAMES = SIGNS | st.text(max_size=20)
HOSTS = st.text(string.ascii_lowercase + ".-/%2F", min_size=1, max_size=12)
FILES = st.builds(SourceKey, st.just("s3"), st.just(0), NAMES, NAMES, NAMES, NAMES)
KEYS = st.builds(SourceKey, HOSTS, st.integers(1, 65535), NAMES, NAMES, NAMES, NAMES) | FILES


@given(KEYS)
@example(SourceKey("h", 1433, "a/b%2F", "x.y%2E", "t/u>v", "b>c%3E"))
@example(SourceKey("h", 1433, "d", "", "query.with%2Edots", "b"))
def test_should_parse_what_it_has_printed(key):
    assert SourceKey.parse(str(key)) == key
    assert bronze_table_of(str(key)) == key.bronze_table


@given(KEYS, KEYS)
def test_should_print_no_two_keys_alike(one, other):
    assert (str(one) == str(other)) == (one == other)


@pytest.mark.parametrize(
    "text",
    [
        "localhost:1433/BFSI_Test/dbo.customers>bronze_customers",
        "db.example.com:50123/Bank/sales.order lines #1>bronze_orders",
        "h:1/My Bank 😀/dbo.a/b>c>bronze_a_b_c_8b3a70",
        "h:1/50%/dbo.100% of %2F/%3E>b",
        "h:1/d/query-0123456789abcdef>b",
        "h:1/d/dbo.a.b>b",
        "s3://lake/crm.customers>bronze_customers",
        "s3:1433/d/dbo.a>b",
    ],
)
def test_should_leave_keys_of_earlier_versions_as_they_are(text):
    key = SourceKey.parse(text)
    assert (str(key), key.unescaped) == (text, text)


def test_should_read_the_parts_of_a_key():
    where = ConnectionReference(host="DB.Example", port=14, database="a/b", secret_id="s")
    key = SourceKey.of(where, "dbo", "c/d>e", "bronze_c")
    assert str(key) == "db.example:14/a%2Fb/dbo.c/d>e>bronze_c"
    assert (key.server, key.database, key.source_table, key.written) == (
        "db.example:14",
        "a/b",
        "dbo.c/d>e",
        "dbo.c/d>e",
    )
    assert key.unescaped == "db.example:14/a/b/dbo.c/d>e>bronze_c"


@pytest.mark.parametrize("text", ["", "benchmark", "h/d/t>b", "h:1/d/t", "h:1/t>b"])
def test_should_refuse_what_is_no_key(text):
    with pytest.raises(ValueError, match="is no source key"):
        SourceKey.parse(text)


NAME_PARTS = st.text(st.sampled_from("ab.[]/> %"), min_size=1, max_size=8)


@given(NAME_PARTS, NAME_PARTS)
def test_should_write_a_name_that_is_split_into_its_parts(schema, table):
    assert split_table_name(written_name(schema, table)) == (schema, table)
