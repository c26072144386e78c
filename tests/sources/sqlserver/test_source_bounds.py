"""Intervals against a live server: what each cursor promises, and what no cursor may do."""

from types import SimpleNamespace
from typing import Any

import pytest

from events.targets import SourceTable
from flowforge.domain.errors import UnknownColumn, UnsupportedSource
from flowforge.domain.given import given as present
from flowforge.sources.sqlserver.bounds import plan_interval
from flowforge.sources.sqlserver.catalog import describe_table
from flowforge.sources.sqlserver.query_columns import describe_query
from flowforge.sources.sqlserver.sql_text import count_statement, newest_statement
from tests.helpers.source_bounds import TIMESTAMPS, counted, plan

INTEGERS = ["tinyint", "smallint", "int", "bigint", "decimal(18,0)", "decimal(38,0)"]


def test_should_plan_a_full_load_without_bounds(bank):
    described = describe_table(bank, "customers")
    for source in (
        SourceTable(table_name="customers"),
        SourceTable(table_name="customers", delta_column="modified_date"),
    ):
        planned = plan_interval(bank, described, source, None, None)
        assert planned.interval.column is None and not planned.empty
        assert "full load" in planned.interval.promise
        assert counted(bank, "customers", planned.interval) == 500


def test_should_accept_the_request_documents_incremental_load_of_the_bank(bank):
    planned = plan(bank, "customers", "modified_date", last_watermark="2024-01-01")
    assert planned.interval.low == "2024-01-01 00:00:00.000"
    assert planned.interval.sql_type == "datetime"
    assert "exact" in planned.interval.promise
    expected = bank.scalar("SELECT COUNT(*) AS n FROM dbo.customers WHERE modified_date >= '20240101'")
    assert 0 < expected < 500
    assert counted(bank, "customers", planned.interval) == expected


def test_should_bound_transactions_by_their_key_and_include_the_newest(bank):
    planned = plan(bank, "transactions", "transaction_id")
    newest = bank.scalar("SELECT MAX(transaction_id) AS n FROM dbo.transactions")
    assert planned.interval.high == str(newest + 1)
    assert counted(bank, "transactions", planned.interval) == 5000


@pytest.mark.parametrize("sql_type", TIMESTAMPS)
def test_should_leave_out_what_is_stamped_within_the_guard_and_read_what_is_older(bank, scratch, sql_type):
    table = scratch(f"id int NOT NULL PRIMARY KEY, at {sql_type} NULL")
    now = "SYSDATETIMEOFFSET()" if "offset" in sql_type else "SYSDATETIME()"
    bank.run(f"INSERT INTO {table} VALUES (1, DATEADD(day, -2, {now})), (2, DATEADD(day, 1, {now})), (3, NULL)")
    planned = plan(bank, table, "at")
    assert not planned.empty
    with_nulls = counted(bank, table, planned.interval)
    assert with_nulls == 2  # the old row and the NULL; a stamp beyond the clock waits
    assert counted(bank, table, planned.interval.model_copy(update={"nulls": False})) == 1


@pytest.mark.parametrize("sql_type", TIMESTAMPS)
def test_should_print_bounds_exactly_as_the_column_prints_its_values(bank, scratch, sql_type):
    table = scratch(f"id int NOT NULL PRIMARY KEY, at {sql_type} NULL")
    bank.run(f"INSERT INTO {table} VALUES (1, '2024-02-29 12:34:56')")
    planned = plan(bank, table, "at", last_watermark="2024-01-31")
    printed = bank.scalar(newest_statement(describe_table(bank, table), "at", sql_type))
    assert len(present(planned.interval.low)) == len(present(planned.interval.high)) == len(printed)
    again = plan(bank, table, "at", low=printed)
    assert again.interval.low <= printed


@pytest.mark.parametrize("sql_type", INTEGERS)
def test_should_bound_every_integer_type_even_when_it_is_full(bank, scratch, sql_type):
    table = scratch(f"id {sql_type} NOT NULL PRIMARY KEY")
    fullest = {"tinyint": 255, "smallint": 2**15 - 1, "int": 2**31 - 1, "bigint": 2**63 - 1}.get(sql_type, 10**18 - 1)
    bank.run(f"INSERT INTO {table} VALUES (1), ({fullest})")
    planned = plan(bank, table, "id")
    assert planned.interval.high == str(fullest + 1)
    assert counted(bank, table, planned.interval) == 2
    again = plan(bank, table, "id", low=planned.interval.high, samples=planned.samples)
    assert again.empty and again.reason
    filled_up = plan(bank, table, "id", low="2", samples=planned.samples)
    assert counted(bank, table, filled_up.interval) == 1


def test_should_keep_a_bound_below_every_number_for_an_empty_table(bank, scratch):
    table = scratch("id int NOT NULL PRIMARY KEY")
    planned = plan(bank, table, "id")
    assert (planned.interval.high, planned.empty) == ("-2147483648", False)
    bank.run(f"INSERT INTO {table} VALUES (-5), (0)")
    later = plan(bank, table, "id", low=planned.interval.high, samples=planned.samples)
    assert counted(bank, table, later.interval) == 2


def test_should_count_stamps_beyond_the_clock_where_an_index_makes_that_cheap(bank, scratch):
    table = scratch("id int NOT NULL PRIMARY KEY, at datetime2(0) NOT NULL")
    rows = "(1, SYSDATETIME()), (2, DATEADD(day, 3, SYSDATETIME())), (3, '9999-12-31 23:59:59')"
    bank.run(f"INSERT INTO {table} VALUES {rows}")
    assert plan(bank, table, "at").future_rows == 0
    bank.run(f"CREATE INDEX ix_at ON {table} (at)")
    assert plan(bank, table, "at").future_rows == 2


def test_should_tell_of_a_cursor_that_leads_no_index(bank, scratch):
    table = scratch("id int NOT NULL PRIMARY KEY, at datetime NOT NULL")
    (note,) = plan(bank, table, "at").interval.notes
    assert "at leads no index" in note and f"CREATE INDEX ... ON {table} ([at])" in note
    bank.run(f"CREATE INDEX by_at ON {table} (at)")
    assert plan(bank, table, "at").interval.notes == []
    assert plan(bank, table, "id").interval.notes == []


def test_should_read_rows_that_tie_together_so_that_a_composite_cursor_adds_nothing(bank, scratch):
    table = scratch("id int NOT NULL PRIMARY KEY, at datetime NOT NULL")
    stamp = "2024-01-31 10:20:30.123"
    bank.run(f"INSERT INTO {table} VALUES (1, '{stamp}'), (2, '{stamp}'), (3, '{stamp}')")
    composite = plan(bank, table, "at", low=stamp, tie_columns=["ID"])
    assert composite.interval.column == "at"
    assert counted(bank, table, composite.interval) == 3
    with pytest.raises(UnknownColumn, match="no_such"):
        plan(bank, table, "at", tie_columns=["no_such"])


def test_should_read_a_little_again_only_where_the_destination_has_a_key(bank, scratch):
    keyed = scratch("id int NOT NULL PRIMARY KEY, at datetime2(3) NOT NULL")
    keyless = scratch("id int, at datetime2(3) NOT NULL")
    low = "2024-01-01 00:00:00.000"
    assert plan(bank, keyed, "at", low=low).interval.low == "2023-12-31 23:59:59.000"
    assert plan(bank, keyless, "at", low=low).interval.low == low
    assert plan(bank, keyless, "at", low=low, keyed=True).interval.low == "2023-12-31 23:59:59.000"
    assert plan(bank, keyed, "at", last_watermark=low).interval.low == low


def test_should_name_the_columns_when_the_delta_column_is_unknown(bank):
    with pytest.raises(UnknownColumn) as caught:
        plan(bank, "customers", "changed_at")
    assert "dbo.customers" in str(caught.value) and "modified_date" in caught.value.remedy


@pytest.mark.parametrize("column", ["email", "annual_income"])
def test_should_refuse_a_delta_column_whose_type_cannot_bound_a_load(bank, column):
    with pytest.raises(UnsupportedSource) as caught:
        plan(bank, "customers", column)
    assert column in str(caught.value) and "rowversion" in caught.value.remedy


def test_should_refuse_null_cursors_only_when_asked(bank, scratch):
    table = scratch("id int NOT NULL PRIMARY KEY, at date NULL")
    bank.run(f"INSERT INTO {table} VALUES (1, NULL)")
    with pytest.raises(UnsupportedSource, match="1 rows have no 'at'"):
        plan(bank, table, "at", null_cursor="fail")
    assert plan(bank, table, "at", null_cursor="include").interval.nulls is True
    assert plan(bank, table, "at", null_cursor="exclude").interval.nulls is False


def test_should_read_null_cursors_again_only_where_the_destination_has_a_key(bank, scratch):
    keyless = scratch("id int, at datetime NULL")
    assert plan(bank, keyless, "at").interval.nulls is True
    assert plan(bank, keyless, "at", low="2024-01-01 00:00:00.000").interval.nulls is False
    assert plan(bank, keyless, "at", low="2024-01-01 00:00:00.000", keyed=True).interval.nulls is True


def test_should_bound_a_query_by_a_column_of_its_result(bank):
    query = "SELECT account_id, balance, modified_date AS changed FROM dbo.accounts -- all"

    described: Any = SimpleNamespace(columns=describe_query(bank, query), primary_key=[])

    source = SourceTable(query=query, is_incremental=True, delta_column="changed", last_watermark="2024-06-01")
    planned = plan_interval(bank, described, source, None, None)
    expected = bank.scalar("SELECT COUNT(*) AS n FROM dbo.accounts WHERE modified_date >= '20240601'")
    assert bank.scalar(count_statement(query, planned.interval)) == expected


def test_should_plan_an_empty_interval_when_nothing_is_settled_above_the_watermark(bank):
    first = plan(bank, "accounts", "account_id")
    second = plan(bank, "accounts", "account_id", low=first.interval.high, samples=first.samples)
    assert second.empty and second.reason.startswith(f"nothing is settled above {first.interval.high}")
