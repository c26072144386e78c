"""Where a model's columns come from, by its SQL: which columns, and what each of them does."""

from pathlib import Path

import pytest

from flowforge.lineage.model_columns import model_columns
from flowforge.lineage.origins import Origin

ROOT = Path(__file__).resolve().parents[2]
COLUMNS = {
    "silver.accounts": ["account_id", "customer_id", "balance", "status", "open_date", "last_transaction_date"],
    "silver.customers": ["customer_id", "first_name", "last_name", "customer_segment", "state", "credit_score"],
    "silver.transactions": [
        "transaction_id", "account_id", "amount", "transaction_date", "transaction_type", "status", "merchant_category",
    ],
}  # fmt: skip


def told(origins: frozenset[Origin]) -> set[tuple[str, str]]:
    return {(f"{o.table.removeprefix('silver.')}.{o.column}", o.role.how) for o in origins}


def fields(sql: str) -> dict[str, set[tuple[str, str]]]:
    return {name: told(origins) for name, origins in model_columns(sql, COLUMNS).fields.items()}


def rows(sql: str) -> set[tuple[str, str]]:
    return told(model_columns(sql, COLUMNS).rows)


@pytest.mark.parametrize(
    ("selected", "origins"),
    [
        ("balance", {("accounts.balance", "IDENTITY")}),
        ("BALANCE", {("accounts.balance", "IDENTITY")}),
        ("balance + 1", {("accounts.balance", "TRANSFORMATION")}),
        ("CAST(balance AS BIGINT)", {("accounts.balance", "TRANSFORMATION")}),
        ("coalesce(open_date, last_transaction_date)",
         {("accounts.open_date", "TRANSFORMATION"), ("accounts.last_transaction_date", "TRANSFORMATION")}),
        ("sum(balance)", {("accounts.balance", "AGGREGATION")}),
        ("round(sum(balance * 2), 2)", {("accounts.balance", "AGGREGATION")}),
        ("sum(balance) FILTER (WHERE status = 'x')", {("accounts.balance", "AGGREGATION"), ("accounts.status", "FILTER")}),
        ("CASE WHEN status = 'x' THEN balance ELSE 0 END",
         {("accounts.balance", "TRANSFORMATION"), ("accounts.status", "CONDITIONAL")}),
        ("CASE status WHEN 'x' THEN balance END",
         {("accounts.balance", "TRANSFORMATION"), ("accounts.status", "CONDITIONAL")}),
        ("if(status = 'x', balance, 0)", {("accounts.balance", "TRANSFORMATION"), ("accounts.status", "CONDITIONAL")}),
        ("row_number() OVER (PARTITION BY customer_id ORDER BY open_date)",
         {("accounts.customer_id", "WINDOW"), ("accounts.open_date", "WINDOW")}),
        ("sum(balance) OVER (ORDER BY open_date)", {("accounts.balance", "AGGREGATION"), ("accounts.open_date", "WINDOW")}),
        ("(SELECT max(t.amount) FROM silver.transactions t WHERE t.account_id = accounts.account_id)",
         {("transactions.amount", "AGGREGATION"), ("transactions.account_id", "CONDITIONAL"),
          ("accounts.account_id", "CONDITIONAL")}),
        ("unnest([balance, account_id])", {("accounts.balance", "TRANSFORMATION"), ("accounts.account_id", "TRANSFORMATION")}),
        ("42", set()),
        ("count(*)", set()),
    ],
)  # fmt: skip
def test_should_say_what_a_column_does_for_another(selected, origins):
    assert fields(f"SELECT {selected} AS x FROM silver.accounts AS accounts") == {"x": origins}


@pytest.mark.parametrize(
    "query",
    [
        "WITH a AS (SELECT sum(balance) AS s FROM silver.accounts), b AS (SELECT s * 2 AS s FROM a) SELECT s AS x FROM b",
        "SELECT x FROM (SELECT max(balance) AS x FROM silver.accounts)",
        "SELECT sum(b.balance) AS x FROM silver.customers JOIN silver.accounts AS b USING (customer_id)",
        "SELECT avg(y) AS x FROM (SELECT balance AS y FROM silver.accounts UNION ALL SELECT balance FROM silver.accounts)",
        "SELECT sum(y.v) AS x FROM silver.accounts AS a, LATERAL (SELECT a.balance AS v) AS y",
        "FROM silver.accounts SELECT sum(balance) AS x",
    ],
)
def test_should_follow_a_column_through_whatever_stands_between(query):
    assert fields(query)["x"] == {("accounts.balance", "AGGREGATION")}


def test_should_tell_apart_what_the_branches_of_a_union_bring():
    union = "SELECT state AS s, 1 AS n FROM silver.customers UNION ALL {} SELECT balance AS n, status AS s FROM silver.accounts"
    assert fields(union.format("BY NAME"))["s"] == {("customers.state", "IDENTITY"), ("accounts.status", "IDENTITY")}
    by_place = fields(union.format(""))
    assert by_place["s"] == {("customers.state", "IDENTITY"), ("accounts.balance", "IDENTITY")}


def test_should_take_all_columns_of_a_star_but_those_that_it_leaves_out():
    query = "SELECT * EXCLUDE (status) REPLACE (balance * 2 AS balance) FROM silver.accounts"
    found = fields(query)
    assert list(found) == [name for name in COLUMNS["silver.accounts"] if name != "status"]
    assert found["balance"] == {("accounts.balance", "TRANSFORMATION")}
    assert found["open_date"] == {("accounts.open_date", "IDENTITY")}


def test_should_say_what_decides_about_the_rows():
    query = """
        SELECT c.state, sum(a.balance) AS total
        FROM silver.accounts AS a JOIN silver.customers AS c ON c.customer_id = a.customer_id
        WHERE a.status = 'x' AND EXISTS (SELECT 1 FROM silver.transactions AS t WHERE t.account_id = a.account_id)
        GROUP BY c.state HAVING max(a.open_date) > DATE '2020-01-01' ORDER BY total
    """
    assert rows(query) == {
        ("customers.customer_id", "JOIN"), ("accounts.customer_id", "JOIN"), ("accounts.status", "FILTER"),
        ("transactions.account_id", "FILTER"), ("accounts.account_id", "FILTER"), ("customers.state", "GROUP_BY"),
        ("accounts.open_date", "FILTER"), ("accounts.balance", "SORT"),
    }  # fmt: skip


def test_should_say_that_a_hash_and_a_count_hide_the_value():
    lineage = model_columns(
        "SELECT md5(status) AS h, count(DISTINCT balance) AS n, state FROM silver.accounts", COLUMNS
    )
    assert {origin.role.masking for name in ("h", "n") for origin in lineage.fields[name]} == {True}


def test_should_end_at_a_query_that_reads_itself():
    query = "WITH RECURSIVE r AS (SELECT account_id, 1 AS n FROM silver.accounts UNION ALL SELECT account_id, n + 1 FROM r) "
    assert fields(query + "SELECT * FROM r") == {"account_id": {("accounts.account_id", "IDENTITY")}, "n": set()}


@pytest.mark.parametrize(
    "sql", ["", "SELECT", "DROP TABLE x", "PIVOT silver.accounts ON status USING sum(balance)", "SELECT nope"]
)
def test_should_have_nothing_to_say_of_what_it_cannot_take_apart(sql):
    assert not any(model_columns(sql, COLUMNS).fields.values())


@pytest.mark.parametrize("model", sorted((ROOT / "examples" / "models").glob("*.sql")), ids=lambda path: path.stem)
def test_should_find_the_origins_of_the_banks_models(model):
    lineage = model_columns(model.read_text(), COLUMNS)
    without = {name for name, origins in lineage.fields.items() if not origins}
    assert without <= {"accounts", "transactions", "purchases"}, "only counts of rows come from no column"
    assert lineage.rows
