"""What view of the data a read has: SNAPSHOT where the database allows it, and something else is told as it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowforge.domain.errors import Retriable, SnapshotRefused, SourceChanged
from flowforge.domain.interval import Interval
from flowforge.sources.plans import LastRead, Position
from flowforge.sources.sqlserver.catalog import describe_table
from flowforge.sources.sqlserver.connection import connect
from flowforge.sources.sqlserver.consistency import LOCKED, SNAPSHOT, STRONGEST_FIRST, VERSIONED, weakest
from flowforge.sources.sqlserver.database_facts import consistencies
from flowforge.sources.sqlserver.identity import known_rows
from flowforge.sources.sqlserver.reader import open_reader
from flowforge.sources.sqlserver.reading import open_strongest
from flowforge.sources.sqlserver.selection import Selection

DRIVERS = ("mssql-python", "pymssql")
OFFERED = [SNAPSHOT, VERSIONED]


@pytest.fixture
def database(bank):
    """Sets the database's two options; both are on again afterwards."""

    def allow(snapshot: str = "ON", versions: str = "ON") -> None:
        bank.run(f"ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION {snapshot}")
        bank.run(f"ALTER DATABASE CURRENT SET READ_COMMITTED_SNAPSHOT {versions}")

    yield allow
    allow()


def test_should_ask_for_what_the_database_offers(server, database):
    def offered(**wanted):  # a connection asks its database once
        with connect(server.reference, server.credentials) as connection:
            return consistencies(connection, **wanted)

    assert offered() == [SNAPSHOT, VERSIONED]
    database(versions="OFF")
    assert offered() == [SNAPSHOT, LOCKED]
    assert offered(snapshot_wanted=False) == [LOCKED]
    database(snapshot="OFF", versions="ON")
    assert offered() == [VERSIONED]


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("low", [None, "600"], ids=["whole table", "with a bound value"])
def test_should_read_under_snapshot_with_both_drivers(bank, server, driver, low):
    table = describe_table(bank, "customers")
    interval = Interval(column="customer_id", sql_type="int", low="1", high=low) if low else Interval()
    selection = Selection(table, table.source_columns, interval, consistency=SNAPSHOT)
    with open_reader(server.reference, server.credentials, selection, driver) as reader:
        assert sum(batch.num_rows for batch in reader) == 500


@pytest.mark.parametrize("driver", DRIVERS)
def test_should_name_a_database_that_does_not_allow_snapshot(bank, database, server, driver):
    database(snapshot="OFF")
    table = describe_table(bank, "customers")
    selection = Selection(table, table.source_columns, consistency=SNAPSHOT)
    with pytest.raises(SnapshotRefused, match="not allowed in this database") as refused:
        open_reader(server.reference, server.credentials, selection, driver).close()
    assert "snapshotIsolation false" in refused.value.remedy


@pytest.mark.parametrize("driver", DRIVERS)
def test_should_read_under_read_committed_where_snapshot_is_taken_away_after_it_was_planned(
    bank, database, server, driver
):
    planned = consistencies(bank)
    database(snapshot="OFF")
    table = describe_table(bank, "customers")
    reference = server.reference.model_copy(update={"driver": driver})
    with open_strongest(reference, server.credentials, Selection(table, table.source_columns), planned) as reader:
        assert sum(batch.num_rows for batch in reader) == 500
    assert (planned, reader.report().consistency) == ([SNAPSHOT, VERSIONED], VERSIONED)


@given(st.lists(st.sampled_from(STRONGEST_FIRST), min_size=1))
def test_should_say_no_more_of_all_parts_than_holds_for_each(held):
    assert weakest(held) in held
    assert all(STRONGEST_FIRST.index(weakest(held)) >= STRONGEST_FIRST.index(one) for one in held)


def test_should_say_nothing_where_a_part_is_not_known():
    assert weakest([SNAPSHOT, ""]) == weakest([]) == ""


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("number", [7420, 35371, 41332])
def test_should_read_an_object_that_cannot_be_read_under_snapshot_without_it(faults, bank, server, driver, number):
    bank.run(f"EXEC flowforge_fault 'snapshot {number}', 0, 1, 'customers'")
    reference = server.reference.model_copy(update={"driver": driver})
    with open_strongest(reference, server.credentials, customers(bank), OFFERED) as reader:
        assert sum(batch.num_rows for batch in reader) == 500
    told = reader.report()
    assert told.consistency == VERSIONED
    assert told.notes[-1].startswith("read under read committed snapshot, since SNAPSHOT was refused: ")


@pytest.mark.parametrize("driver", DRIVERS)
def test_should_read_again_under_snapshot_what_was_altered_meanwhile(faults, bank, server, driver):
    bank.run("EXEC flowforge_fault 'snapshot 3961', 0, 1, 'customers'")
    reading = (server.reference.model_copy(update={"driver": driver}), server.credentials, customers(bank), OFFERED)
    with pytest.raises(Retriable, match="modified by a DDL statement"):
        open_strongest(*reading)
    with open_strongest(*reading) as reader:
        assert sum(batch.num_rows for batch in reader) == 500
    assert reader.report().consistency == SNAPSHOT


def customers(bank) -> Selection:
    table = describe_table(bank, "customers")
    return Selection(table, table.source_columns)


@pytest.mark.parametrize("versions", ["ON", "OFF"])
def test_should_look_rows_up_again_whether_the_database_reads_versions_or_locks(
    bank, server, scratch, database, versions
):
    """Azure SQL Database reads versions unless it is told otherwise, and READPAST alone is an error there (650)."""
    table = scratch("id int NOT NULL PRIMARY KEY, at datetime2(3) NOT NULL")
    bank.run(f"INSERT INTO {table} VALUES (1, '2024-02-29'), (2, '2024-03-01')")
    database(snapshot="OFF", versions=versions)
    described, interval = describe_table(bank, table), Interval(column="at", sql_type="datetime2(3)", high="2024-03-02")
    with connect(server.reference, server.credentials) as connection:
        kept = known_rows(connection, described, interval, None)
        assert [row["key"] for row in kept["canaries"]] == [["2"], ["1"]]
        mark = Position("at", "2024-03-02 00:00:00.000", "datetime2(3)")
        last = LastRead(mark, identity=kept)
        assert known_rows(connection, described, interval, last) == kept
        bank.run(f"UPDATE {table} SET at = '2024-01-01' WHERE id = 2")
        with pytest.raises(SourceChanged, match="a row that was loaded with 2024-03-01"):
            known_rows(connection, described, interval, last)
