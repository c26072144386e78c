"""The source counts what is read a second time, in the transaction that reads it."""

import pytest

from flowforge.domain.errors import TruncatedRead
from flowforge.domain.given import given
from flowforge.domain.interval import Interval
from flowforge.domain.slice_plan import KeyRange
from flowforge.sources.sqlserver.catalog import describe_table
from flowforge.sources.sqlserver.completeness import check_counted
from flowforge.sources.sqlserver.consistency import LOCKED, SNAPSHOT
from flowforge.sources.sqlserver.reader import open_reader
from flowforge.sources.sqlserver.selection import Selection
from flowforge.sources.sqlserver.slices import range_condition
from flowforge.sources.sqlserver.transactions import OpenTransactions, open_transactions

DRIVERS = ["pymssql", "mssql-python"]


def selection(bank, table: str, consistency: str = SNAPSHOT, **more) -> Selection:
    described = describe_table(bank, table)
    return Selection(described, described.source_columns, consistency=consistency, counted=True, **more)


@pytest.mark.parametrize("driver", DRIVERS)
def test_should_count_the_same_moment_with_both_drivers(faults, bank, other, server, scratch, driver):
    """Rows that another session commits while the read is under way are in neither."""
    table = scratch("id int NOT NULL PRIMARY KEY, v nvarchar(200)")
    bank.run(f"INSERT INTO {table} SELECT transaction_id, REPLICATE(N'x', 200) FROM dbo.transactions")
    other.run(f"EXEC flowforge_fault 'stall', 1000, 1, 'FROM {table}'")  # so that the read is under way
    with open_reader(server.reference, server.credentials, selection(bank, table), driver, batch_rows=100) as reader:
        batches = iter(reader)
        read = next(batches).num_rows
        names = bank.rows("SELECT name FROM sys.dm_tran_active_transactions")
        assert {"name": "flowforge_read"} in names
        seen = open_transactions(bank)
        assert isinstance(seen, OpenTransactions)
        assert seen.writing == []  # it holds no other load's bound back
        other.run(f"INSERT INTO {table} VALUES (1, N'late')")
        other.run("EXEC flowforge_fault 'none'")
        read += sum(batch.num_rows for batch in batches)
    assert (read, given(reader.report().counted).rows) == (5000, 5000)
    assert len(given(reader.report().counted).at) == 27


@pytest.mark.parametrize("driver", DRIVERS)
def test_should_count_what_the_interval_and_the_slice_let_through(bank, server, driver):
    interval = Interval(column="modified_date", sql_type="datetime", low="2024-01-01", high="2024-06-01", nulls=True)
    key = [c for c in describe_table(bank, "customers").source_columns if c.name == "customer_id"]
    within = range_condition(key, KeyRange(low=["100"], high=["400"]))
    asked = selection(bank, "customers", interval=interval, within=within)
    with open_reader(server.reference, server.credentials, asked, driver) as reader:
        read = sum(batch.num_rows for batch in reader)
    assert 0 < read < 300
    assert given(reader.report().counted).rows == read


@pytest.mark.parametrize("driver", DRIVERS)
def test_should_leave_no_transaction_open_and_count_nothing_where_there_is_no_snapshot(bank, server, driver):
    with open_reader(server.reference, server.credentials, selection(bank, "accounts", LOCKED), driver) as reader:
        assert sum(batch.num_rows for batch in reader) == 750
    assert reader.report().counted is None
    with open_reader(server.reference, server.credentials, selection(bank, "accounts"), driver) as reader:
        assert sum(batch.num_rows for batch in reader) == 750
    assert given(reader.report().counted).rows == 750
    assert bank.scalar("SELECT COUNT(*) AS n FROM sys.dm_tran_active_transactions WHERE transaction_type <> 3") == 0


@pytest.mark.parametrize("row", [None, (4, "2026-01-01 00:00:00.0000000")])
def test_should_not_take_a_read_for_complete_that_the_source_counts_otherwise(row):
    with pytest.raises(TruncatedRead, match="5 rows arrived") as caught:
        check_counted(5, row, "bank")
    assert "DBCC" in caught.value.remedy
