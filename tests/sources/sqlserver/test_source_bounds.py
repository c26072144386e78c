"""Intervals against a live server: what each cursor promises, and what no cursor may do."""

import datetime as dt
import re
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st

from events.targets import SourceTable
from flowforge.domain.errors import SourceChanged, UnknownColumn, UnknownTable, UnsupportedSource
from flowforge.domain.given import given as present
from flowforge.domain.interval import Interval
from flowforge.runtime.settings import settings
from flowforge.sources.sqlserver.bounds import PlannedInterval, plan_interval
from flowforge.sources.sqlserver.catalog import describe_table
from flowforge.sources.sqlserver.connection import SourceConnection, connect
from flowforge.sources.sqlserver.query_columns import describe_query
from flowforge.sources.sqlserver.seeds import seed_literal
from flowforge.sources.sqlserver.sql_text import count_statement, newest_statement, normalise_statement

TIMESTAMPS = ["date", "smalldatetime", "datetime", "datetime2(0)", "datetime2(3)", "datetime2(7)", "datetimeoffset(0)"]
TIMESTAMPS += ["datetimeoffset(7)"]
INTEGERS = ["tinyint", "smallint", "int", "bigint", "decimal(18,0)", "decimal(38,0)"]


class BlindConnection(SourceConnection):
    """The same connection as a login without VIEW SERVER STATE has it: the transaction views refuse."""

    def __init__(self, seeing: SourceConnection):
        super().__init__(seeing._connection, seeing.reference, seeing._credentials, seeing._limit)

    def rows(self, sql: Any, params: Any = (), about: str = "") -> list[dict[str, Any]]:
        if "dm_tran_active_transactions" in str(sql):
            raise UnknownTable("VIEW SERVER STATE permission was denied")
        return super().rows(sql, params, about)


def incremental(table: str, column: str, **more) -> SourceTable:
    return SourceTable(table_name=table, is_incremental=True, delta_column=column, **more)


def plan(connection, table, column, low=None, samples=None, keyed=None, **more) -> PlannedInterval:
    described = describe_table(connection, table)
    return plan_interval(connection, described, incremental(table, column, **more), low, samples, keyed)


def counted(connection, table, interval: Interval) -> int:
    return connection.scalar(count_statement(describe_table(connection, table), interval))


def column_of(sql_type: str) -> str:
    """The column of `changes` with this type."""
    return "c_" + re.sub(r"\W", "_", sql_type)


@pytest.fixture(scope="module")
def changes(server) -> Iterator[str]:
    """A table with a column of every type of times."""
    columns = ", ".join(f"{column_of(kind)} {kind}" for kind in TIMESTAMPS)
    with connect(server.reference, server.credentials) as connection:
        connection.run(f"CREATE TABLE dbo.changes (id int PRIMARY KEY, {columns})")
        yield "dbo.changes"
        connection.run("DROP TABLE dbo.changes")


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


def test_should_not_pass_a_number_that_an_open_transaction_still_holds(bank, other, scratch):
    table = scratch("id int NOT NULL PRIMARY KEY")
    bank.run(f"INSERT INTO {table} VALUES (1)")
    first = plan(bank, table, "id")
    other.run("BEGIN TRANSACTION")
    other.run(f"INSERT INTO {table} VALUES (2)")
    bank.run(f"INSERT INTO {table} VALUES (3)")
    held = plan(bank, table, "id", low=first.interval.high, samples=first.samples)
    blocker = present(held.blocker)
    assert held.empty and "session" in blocker and "holds the bound back" in blocker
    other.run("COMMIT TRANSACTION")
    freed = plan(bank, table, "id", low=first.interval.high, samples=held.samples)
    assert (freed.interval.high, freed.blocker) == ("4", None)
    assert counted(bank, table, freed.interval) == 2


def test_should_say_what_a_first_load_waits_for_when_no_bound_is_safe_yet(bank, other, scratch):
    table = scratch("id int NOT NULL PRIMARY KEY")
    bank.run(f"INSERT INTO {table} VALUES (1)")
    other.run("BEGIN TRANSACTION")
    other.run(f"INSERT INTO {table} VALUES (0)")
    held = plan(bank, table, "id")
    other.run("ROLLBACK TRANSACTION")
    assert held.empty and held.interval.high is None and len(held.samples) == 1
    assert plan(bank, table, "id", samples=held.samples).interval.high == "2"


def test_should_hold_a_timestamp_bound_below_the_oldest_open_transaction(bank, other, scratch):
    table = scratch("id int NOT NULL PRIMARY KEY, at datetime2(7)")
    other.run("BEGIN TRANSACTION")
    other.run(f"INSERT INTO {table} VALUES (1, SYSDATETIME())")
    stamped = other.scalar(f"SELECT CONVERT(varchar(27), MAX(at), 121) AS literal FROM {table}")
    held = plan(bank, table, "at")
    assert held.interval.high < stamped
    other.run("COMMIT TRANSACTION")
    later = _until(
        lambda: plan(bank, table, "at", low=held.interval.high), lambda p: not p.empty and p.interval.high > stamped
    )
    assert counted(bank, table, later.interval) == 1


def test_should_bound_row_versions_by_the_lowest_that_is_still_open(bank, other, scratch):
    table = scratch("id int NOT NULL PRIMARY KEY, v rowversion")
    bank.run(f"INSERT INTO {table} (id) VALUES (1)")
    other.run("BEGIN TRANSACTION")
    other.run(f"INSERT INTO {table} (id) VALUES (2)")
    bank.run(f"INSERT INTO {table} (id) VALUES (3)")
    first = plan(bank, table, "v")
    assert present(first.interval.high).startswith("0x") and len(present(first.interval.high)) == 18
    assert counted(bank, table, first.interval) == 1
    other.run("COMMIT TRANSACTION")
    second = plan(bank, table, "v", low=first.interval.high)
    assert counted(bank, table, second.interval) == 2
    assert second.interval.low == first.interval.high


def test_should_count_stamps_beyond_the_clock_where_an_index_makes_that_cheap(bank, scratch):
    table = scratch("id int NOT NULL PRIMARY KEY, at datetime2(0) NOT NULL")
    rows = "(1, SYSDATETIME()), (2, DATEADD(day, 3, SYSDATETIME())), (3, '9999-12-31 23:59:59')"
    bank.run(f"INSERT INTO {table} VALUES {rows}")
    assert plan(bank, table, "at").future_rows == 0
    bank.run(f"CREATE INDEX ix_at ON {table} (at)")
    assert plan(bank, table, "at").future_rows == 2


def test_should_fall_back_to_a_lag_with_overlap_where_transactions_are_hidden(bank, scratch):
    table = scratch("id int NOT NULL PRIMARY KEY, at datetime2(0)")
    blind, lag = BlindConnection(bank), settings().cursor_lag_seconds
    planned = plan(blind, table, "at")
    now = dt.datetime.fromisoformat(bank.scalar("SELECT CONVERT(varchar(19), SYSUTCDATETIME(), 121) AS literal"))
    behind = (now - dt.datetime.fromisoformat(present(planned.interval.high))).total_seconds()
    assert lag <= behind <= lag + 60
    assert "VIEW SERVER STATE" in planned.interval.promise
    stored = (now - dt.timedelta(seconds=2 * lag)).isoformat(" ")
    again = plan(blind, table, "at", low=stored)
    overlap = dt.datetime.fromisoformat(stored) - dt.datetime.fromisoformat(present(again.interval.low))
    assert overlap == dt.timedelta(seconds=lag)


def test_should_wait_for_numbers_to_age_where_transactions_are_hidden(bank, other, scratch):
    """The first load too: a transaction that nobody can see may still hold a number below the greatest."""
    table = scratch("id int NOT NULL PRIMARY KEY")
    other.run("BEGIN TRANSACTION")
    other.run(f"INSERT INTO {table} VALUES (1)")
    bank.run(f"INSERT INTO {table} VALUES (2)")
    blind, lag = BlindConnection(bank), settings().cursor_lag_seconds
    first = plan(blind, table, "id")
    assert first.empty and "wait" in present(first.blocker) and "may miss" in first.interval.promise
    assert first.wait_seconds == lag + 1
    other.run("COMMIT TRANSACTION")
    long_ago = [sample | {"at": "2024-01-01 00:00:00.0000000"} for sample in first.samples]
    settled = plan(blind, table, "id", samples=long_ago)
    assert (settled.interval.high, settled.wait_seconds) == ("3", None)
    assert counted(bank, table, settled.interval) == 2
    later = plan(blind, table, "id", low="3", samples=settled.samples)
    assert later.empty and later.wait_seconds is None


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


def test_should_use_the_stored_watermark_and_not_the_seed(bank):
    planned = plan(bank, "accounts", "account_id", low="1500", last_watermark="1001")
    assert planned.interval.low == "1500"


@pytest.mark.parametrize(
    ("column", "seed"),
    [
        ("modified_date", "yesterday"), ("modified_date", "2024-13-01"), ("modified_date", "31/01/2024"),
        ("modified_date", "x'; DROP TABLE dbo.customers --"), ("customer_id", "ten"), ("customer_id", "99999999999"),
        ("modified_date", ""), ("modified_date", " "), ("modified_date", "now"), ("modified_date", "today"),
        ("modified_date", "20240131"), ("modified_date", "45000"), ("modified_date", "10:20:30"),
        ("modified_date", "1752-12-31"), ("modified_date", "Jan 31 2024"), ("modified_date", "2024-01-31 24:00:00"),
        ("customer_id", ""), ("customer_id", "1.5"), ("customer_id", "1e3"), ("customer_id", "0x10"),
    ],
)  # fmt: skip
def test_should_refuse_a_seed_that_is_no_value_of_the_column(bank, column, seed):
    with pytest.raises(UnsupportedSource) as caught:
        plan(bank, "customers", column, last_watermark=seed)
    assert "lastWatermark" in str(caught.value) and column in str(caught.value) and caught.value.remedy


@pytest.mark.parametrize("seed", ["0x01", "2001", "0x00000000000007dG"])
def test_should_refuse_a_row_version_seed_that_is_not_eight_bytes(bank, scratch, seed):
    table = scratch("id int NOT NULL PRIMARY KEY, v rowversion")
    with pytest.raises(UnsupportedSource, match="lastWatermark"):
        plan(bank, table, "v", last_watermark=seed)


@pytest.mark.parametrize("clock", ["unknown", "local"])
@pytest.mark.parametrize("sql_type", ["date", "smalldatetime", "datetime", "datetime2(7)"])
@pytest.mark.parametrize("seed", ["2024-01-01T00:00:00+02:00", "2024-01-01T00:00:00Z", "2024-07-01 00:00 -05:30"])
def test_should_refuse_an_offset_where_it_cannot_be_turned_into_the_columns_time(bank, changes, sql_type, seed, clock):
    with pytest.raises(UnsupportedSource, match="has an offset") as caught:
        plan(bank, changes, column_of(sql_type), last_watermark=seed, cursor_clock=clock)
    assert "lastWatermark" in str(caught.value) and "cursorClock" in caught.value.remedy


@pytest.mark.parametrize(
    ("sql_type", "low"),
    [
        ("datetime2(7)", "2023-12-31 22:00:00.1234567"), ("datetime2(0)", "2023-12-31 22:00:00"), ("date", "2023-12-31"),
        ("datetime", "2023-12-31 22:00:00.123"), ("datetimeoffset(7)", "2023-12-31 22:00:00.1234567 +00:00"),
    ],
)  # fmt: skip
def test_should_read_from_the_instant_on_where_the_column_holds_utc(bank, changes, sql_type, low):
    seed = "2024-01-01T00:00:00.1234567+02:00"
    planned = plan(bank, changes, column_of(sql_type), last_watermark=seed, cursor_clock="utc")
    assert planned.interval.low == low


@settings_of_hypothesis(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(TIMESTAMPS), st.datetimes(dt.datetime(1901, 1, 1), dt.datetime(2078, 1, 1)), st.integers(0, 9))
def test_should_never_start_above_the_seed_nor_more_than_a_unit_below_it(bank, sql_type, moment, digit):
    seed = f"{moment.isoformat(sep=' ', timespec='microseconds')}{digit}"
    literal = seed_literal(seed, sql_type)
    assert bank.scalar(normalise_statement(literal, sql_type)) == literal
    low = literal.removesuffix(" +00:00")
    unit = {"date": dt.timedelta(days=1), "smalldatetime": dt.timedelta(minutes=1)}.get(
        sql_type, dt.timedelta(seconds=1)
    )
    assert low <= seed
    assert moment - dt.datetime.fromisoformat(low[:26]) < unit


@pytest.mark.parametrize(
    ("column", "watermark"),
    [("modified_date", "2024-01-31 10:20:30.999"), ("modified_date", "2024-01-31"), ("customer_id", "1.0"), ("customer_id", "")],
)  # fmt: skip
def test_should_stop_at_a_watermark_that_the_server_reads_as_another_value(bank, column, watermark):
    with pytest.raises(SourceChanged, match="to the server") as caught:
        plan(bank, "customers", column, low=watermark)
    assert watermark in str(caught.value) and "flowforge watermark set" in caught.value.remedy


@pytest.mark.parametrize("seed", ["2024-01-31T10:20:30", "2024-01-31 10:20:30"])
def test_should_take_a_seed_in_either_common_form(bank, seed):
    assert plan(bank, "customers", "modified_date", last_watermark=seed).interval.low == "2024-01-31 10:20:30.000"


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


def _until(attempt, good, seconds: float = 20):
    """Repeats an attempt until its result is good; the server's own clock has to move on in between."""
    deadline = dt.datetime.now() + dt.timedelta(seconds=seconds)
    while dt.datetime.now() < deadline:
        result = attempt()
        if good(result):
            return result
    raise AssertionError(f"still not after {seconds} s: {result}")
