"""Slices of a table: every key once, equal in rows however the keys lie, compared by the server."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowforge.domain.given import given as present
from flowforge.domain.interval import Interval
from flowforge.domain.slice_plan import KeyRange
from flowforge.domain.source_columns import SourceColumn
from flowforge.sources.sqlserver.catalog import describe_table
from flowforge.sources.sqlserver.slices import plan_slices, range_condition
from flowforge.sources.sqlserver.sql_text import select_statement

ROWS, PER_SLICE = 1_000, 130


@pytest.fixture
def small_slices(monkeypatch):
    monkeypatch.setenv("FLOWFORGE_SLICE_ROWS", str(PER_SLICE))


def slices_of(connection, table: str, interval: Interval | None = None) -> list[list[tuple]]:
    """The rows of each slice as the extraction query reads them."""
    interval = interval or Interval()
    description = describe_table(connection, table)
    plan = plan_slices(connection, description, interval)
    assert plan is not None
    found = []
    for wanted in plan.ranges:
        within = range_condition(plan.key, wanted)
        rows = connection.rows(select_statement(plan, plan.key, interval, within=within))
        found.append([tuple(row.values()) for row in rows])
    return found


KEYS = {
    "integers": ("k int", "k", "n"),
    "skewed": ("k bigint", "k", "CASE WHEN n < 990 THEN n ELSE CONVERT(bigint, n) * 1000000000 END"),
    "negative": ("k bigint", "k", "n * -7"),
    "composite": ("a int, b nvarchar(10)", "a, b", "n / 400, N'ä' + CONVERT(nvarchar(8), n)"),
    "three": ("a date, b tinyint, c int", "a, b, c", "DATEADD(day, n / 300, '2024-01-01'), n % 2, n"),
    "guid": ("k uniqueidentifier", "k", "NEWID()"),
    "text": ("k nvarchar(40)", "k", "N'it''s [क]%_ ' + CONVERT(nvarchar(10), n)"),
    "narrow text": ("k varchar(40)", "k", "'k''' + CONVERT(varchar(10), n)"),
    "mixed case": (
        "k varchar(40)",
        "k",
        "CASE n % 3 WHEN 0 THEN 'A' WHEN 1 THEN 'b' ELSE 'é' END + CONVERT(varchar(10), n)",
    ),
    "binary collation": (
        "k varchar(40) COLLATE Latin1_General_100_BIN2",
        "k",
        "CASE n % 2 WHEN 0 THEN 'a' ELSE 'A' END + CONVERT(varchar(10), n / 2)",
    ),
    "dates": ("k date", "k", "DATEADD(day, n, '2000-01-01')"),
    "stamps": (
        "k datetime2(7)",
        "k",
        "DATEADD(second, n * 37, CONVERT(datetime2(7), '2024-01-01 00:00:00.1234567', 121))",
    ),
    "decimals": ("k decimal(38,10)", "k", "CONVERT(decimal(38,10), n) / 7"),
}


@pytest.mark.parametrize("kind", KEYS)
@pytest.mark.usefixtures("small_slices")
def test_should_read_every_key_once_in_slices_of_equal_size(bank, scratch, kind):
    columns, key, values = KEYS[kind]
    table_name = scratch(f"{columns}, v int, PRIMARY KEY ({key})")
    bank.run(
        f"INSERT INTO {table_name} SELECT {values}, n FROM (SELECT TOP ({ROWS}) transaction_id - 10000 AS n "
        "FROM transactions ORDER BY transaction_id) AS numbers"
    )
    found = slices_of(bank, table_name)
    everything = [tuple(row.values()) for row in bank.rows(f"SELECT {key} FROM {table_name}")]
    assert sorted(map(repr, (row for rows in found for row in rows))) == sorted(map(repr, everything))
    assert len(found) == -(-ROWS // PER_SLICE)
    assert max(map(len, found)) <= 1.5 * ROWS / len(found)


def test_should_slice_few_huge_rows_by_their_bytes(bank, scratch, monkeypatch):
    table_name = scratch("k int PRIMARY KEY, document nvarchar(max)")
    bank.run(f"INSERT INTO {table_name} SELECT TOP (40) transaction_id, REPLICATE(N'x', 4000) FROM transactions")
    assert plan_slices(bank, describe_table(bank, table_name), Interval()) is None
    monkeypatch.setenv("FLOWFORGE_SLICE_BYTES", str(50 * 1024))
    found = slices_of(bank, table_name)
    monkeypatch.undo()
    assert sum(map(len, found)) == 40
    assert len(found) >= 4
    assert max(map(len, found)) <= 1.5 * 40 / len(found)


@pytest.mark.usefixtures("small_slices")
def test_should_slice_the_interval_not_the_table(bank, scratch):
    table_name = scratch("k int PRIMARY KEY")
    bank.run(f"INSERT INTO {table_name} SELECT transaction_id FROM transactions")
    interval = Interval(column="k", sql_type="int", low="11001", high="12001")
    found = slices_of(bank, table_name, interval)
    assert sorted(k for rows in found for (k,) in rows) == list(range(11001, 12001))
    assert max(map(len, found)) <= 1.5 * 1000 / len(found)


@pytest.mark.usefixtures("small_slices")
def test_should_put_rows_beyond_the_planned_keys_into_the_first_and_last_slice(bank, scratch):
    table_name = scratch("k int PRIMARY KEY")
    bank.run(f"INSERT INTO {table_name} SELECT transaction_id FROM transactions WHERE transaction_id <= 10500")
    plan = plan_slices(bank, describe_table(bank, table_name), Interval())
    bank.run(f"INSERT INTO {table_name} VALUES (-5), (999999)")
    for index, extra in ((0, -5), (-1, 999999)):
        within = range_condition(present(plan).key, present(plan).ranges[index])
        rows = bank.rows(select_statement(present(plan), present(plan).key, Interval(), within=within))
        assert extra in [row["k"] for row in rows]


@pytest.mark.parametrize(
    "columns", ["k int", "k float PRIMARY KEY", "k varbinary(8) PRIMARY KEY"], ids=["heap", "float", "binary"]
)
@pytest.mark.usefixtures("small_slices")
def test_should_read_at_once_what_has_no_key_to_slice_by(bank, scratch, columns):
    table_name = scratch(columns)
    value = "CONVERT(varbinary(8), transaction_id)" if "binary" in columns else "transaction_id"
    bank.run(f"INSERT INTO {table_name} SELECT {value} FROM transactions")
    assert plan_slices(bank, describe_table(bank, table_name), Interval()) is None


def test_should_read_a_small_table_at_once(bank):
    assert plan_slices(bank, describe_table(bank, "customers"), Interval()) is None


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=30, unique=True),
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=4, unique=True),
)
def test_should_put_every_composite_key_into_exactly_one_range(keys, bounds):
    columns = [SourceColumn(name="a", sql_type="int"), SourceColumn(name="b", sql_type="int")]
    edges = [None, *([str(a), str(b)] for a, b in sorted(bounds)), None]
    ranges = [KeyRange(low=low, high=high) for low, high in pairwise(edges)]
    for a, b in keys:
        assert sum(_holds(range_condition(columns, wanted), a, b) for wanted in ranges) == 1


def test_should_enter_the_index_of_a_composite_key_where_the_range_begins():
    """An OR is searched from the index's first row to its last; the bound on the first column alone is not."""
    columns = [SourceColumn(name="a", sql_type="int"), SourceColumn(name="b", sql_type="int")]
    text = (
        present(range_condition(columns, KeyRange(low=["1", "2"], high=["3", "4"])))
        .inlined()
        .replace("CONVERT(int, N'", "")
        .replace("')", "")
    )
    assert (
        text == "[a] >= 1 AND ([a] > 1 OR ([a] = 1 AND [b] >= 2)) AND [a] <= 3 AND ([a] < 3 OR ([a] = 3 AND [b] < 4))"
    )
    alone = range_condition(columns[:1], KeyRange(low=["1"], high=["3"]))
    assert present(alone).inlined() == "[a] >= CONVERT(int, N'1') AND [a] < CONVERT(int, N'3')"


def _holds(condition, a: int, b: int) -> bool:
    """Evaluates a condition over integers as SQL would."""
    if condition is None:
        return True
    text = condition.inlined().replace("[a]", str(a)).replace("[b]", str(b))
    text = text.replace("CONVERT(int, N'", "(").replace("')", ")").replace(" = ", " == ")
    return eval(text.replace("AND", "and").replace("OR", "or"))  # noqa: S307
