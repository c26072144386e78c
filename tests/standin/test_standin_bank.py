"""The sample bank: the documented tables, the same data every time, at any scale."""

import datetime as dt

import pytest

from tests.helpers.standin import start, stop


def test_should_have_the_documented_sizes_and_columns(sql):
    counts = [sql(f"SELECT COUNT(*) FROM {name}")[0][0] for name in ("customers", "accounts", "transactions")]
    assert counts == [500, 750, 5000]
    query = "SELECT COUNT(*) FROM sys.columns WHERE object_id = OBJECT_ID('{}')"
    assert [sql(query.format(name))[0][0] for name in ("customers", "accounts", "transactions")] == [16, 10, 11]


def test_should_number_rows_from_the_documented_seeds(sql):
    assert sql("SELECT MIN(customer_id), MAX(customer_id) FROM customers") == [(1, 500)]
    assert sql("SELECT MIN(account_id), MAX(account_id) FROM accounts") == [(1001, 1750)]
    assert sql("SELECT MIN(transaction_id), MAX(transaction_id) FROM transactions") == [(10001, 15000)]
    assert sql("SELECT IDENT_CURRENT('transactions')") == [(15000,)]


@pytest.mark.parametrize("table", ["customers", "accounts"])
def test_should_spread_changes_before_and_after_2024(sql, table):
    low, high, before, after = sql(
        f"""SELECT MIN(modified_date), MAX(modified_date), SUM(CASE WHEN modified_date < '2024-01-01' THEN 1 ELSE 0 END),
 SUM(CASE WHEN modified_date >= '2024-01-01' THEN 1 ELSE 0 END) FROM {table}"""
    )[0]
    assert dt.datetime(2023, 1, 1) <= low < high < dt.datetime(2026, 1, 1)
    assert before > 50
    assert after > 50


def test_should_hold_plausible_people_and_some_unknowns(sql):
    rows = sql("SELECT first_name, city, state, zip_code, credit_score, customer_segment FROM customers")
    assert any(not name.isascii() for name, *_ in rows)
    assert {row[5] for row in rows} == {"retail", "corporate", "wealth"}
    assert all(300 <= row[4] <= 850 for row in rows if row[4] is not None)
    assert 0 < sum(row[4] is None for row in rows) < 100
    assert all((row[1] is None) == (row[2] is None) == (row[3] is None) for row in rows)


def test_should_refer_to_rows_that_exist(sql):
    orphans = "SELECT COUNT(*) FROM {} c WHERE NOT EXISTS (SELECT 1 FROM {} p WHERE p.{} = c.{})"
    assert sql(orphans.format("accounts", "customers", "customer_id", "customer_id")) == [(0,)]
    assert sql(orphans.format("transactions", "accounts", "account_id", "account_id")) == [(0,)]


def test_should_give_everyone_the_same_rows_at_any_scale(standin, sql, tmp_path):
    small = start(tmp_path, "--bank", "--scale", "0.1", "--rows", "transactions=7")
    try:
        with small.connect() as connection:
            cursor = connection.cursor()
            cursor.execute("SELECT * FROM customers ORDER BY customer_id")
            assert cursor.fetchall() == sql("SELECT * FROM customers WHERE customer_id <= 50 ORDER BY customer_id")
            cursor.execute("SELECT (SELECT COUNT(*) FROM accounts), (SELECT COUNT(*) FROM transactions)")
            assert cursor.fetchone() == (75, 7)
    finally:
        stop(small)
