"""Changes by Change Tracking as both drivers read them: types, keys of several columns, keys that are spelt anew."""

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from decimal import Decimal
from zlib import crc32

import pytest

from events.targets import SourceTable
from flowforge.domain.errors import ChangesLost, UnsupportedSource
from flowforge.domain.given import given
from flowforge.domain.interval import Interval
from flowforge.runtime.time_limit import within
from flowforge.sources.plans import LastRead, LoadedTable, Position, StandsStill, Wanted
from flowforge.sources.sqlserver.in_blocks import CLOSING_SECONDS
from flowforge.sources.sqlserver.source import SqlServer
from tests.helpers.waiting import wait_for

DRIVERS = ("pymssql", "mssql-python")
COLUMN = "_change_version"
ON = "IF NOT EXISTS (SELECT * FROM sys.change_tracking_databases) ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON"
REQUESTS = "SELECT cntr_value FROM sys.dm_os_performance_counters WHERE counter_name = 'Batch Requests/sec'"
COLUMNS = """region char(2) COLLATE Latin1_General_CI_AS NOT NULL, number bigint NOT NULL, amount decimal(12,2) NOT NULL,
note nvarchar(max), at datetime2(7), sent datetimeoffset(3), id uniqueidentifier, PRIMARY KEY (number, region)"""
ROW = """'ab', 1, 10.50, N'Zoë', '2024-01-01 10:00:00.1234567', '2024-01-01 10:00:00 +02:00',
'6F9619FF-8B86-D011-B42D-00C04FC964FF'"""


@pytest.fixture
def table(bank, scratch) -> str:
    name = scratch(COLUMNS)
    bank.run(ON)
    bank.run(f"ALTER TABLE {name} ENABLE CHANGE_TRACKING")
    bank.run(f"INSERT INTO {name} VALUES ({ROW})")
    return name


def wanted(table: str, **read) -> Wanted:
    return Wanted(
        SourceTable.model_validate({"table_name": table, "is_incremental": True, "change_tracking": True, **read})
    )


def read(server, table: str, driver: str, last: LastRead | None = None, **settings):
    """One load's rows, and what it leaves for the next."""
    source = SqlServer(server.reference.model_copy(update={"driver": driver}), server.credentials)
    with source.session() as session:
        description = session.describe(wanted(table, **settings))
        plan = session.plan(description, {COLUMN: last} if last else {})
    left = LastRead(Position(COLUMN, given(plan.interval.high), plan.interval.sql_type), plan.identity)
    if plan.nothing:
        return [], left
    interval = Interval.model_validate_json(plan.interval.model_dump_json())
    resumed = source.resume(interval, replace(description, identity=plan.identity), plan.splits)
    with source.open(resumed) as reader:
        return [row for batch in reader for row in batch.to_pylist()], left


@pytest.mark.parametrize("driver", DRIVERS)
def test_should_read_states_and_deletions_with_their_types(server, bank, table, driver):
    (first,), last = read(server, table, driver)
    bank.run(f"UPDATE {table} SET amount = 11.25")
    bank.run(f"INSERT INTO {table} (region, number, amount) VALUES ('cd', 2, -0.01), ('ef', 3, 1)")
    (changed, *added), last = read(server, table, driver, last)
    assert (changed["_change_type"], changed["amount"], first["amount"]) == (
        "update",
        Decimal("11.25"),
        Decimal("10.50"),
    )
    same = [name for name in first if name not in ("amount", "_change_type", COLUMN)]
    assert [changed[name] for name in same] == [first[name] for name in same]
    assert (changed["note"], changed["at"]) == ("Zoë", dt.datetime(2024, 1, 1, 10, 0, 0, 123456))
    assert sorted((row["number"], row["amount"], row["_change_type"]) for row in added) == [
        (2, Decimal("-0.01"), "insert"),
        (3, Decimal("1.00"), "insert"),
    ]
    bank.run(f"DELETE FROM {table} WHERE number = 1")
    (gone,), last = read(server, table, driver, last)
    assert (gone["region"], gone["number"], gone["_change_type"]) == ("ab", 1, "delete")
    assert {gone[name] for name in same if name not in ("region", "number")} == {None} and gone["amount"] is None
    assert read(server, table, driver, last) == ([], last)


@pytest.mark.parametrize("driver", DRIVERS)
def test_should_read_a_key_that_is_spelt_anew_as_the_row_that_it_is(server, bank, table, driver):
    _, last = read(server, table, driver)
    bank.run(f"UPDATE {table} SET region = 'AB'")
    (row,), _ = read(server, table, driver, last)
    assert (row["region"], row["_change_type"]) == ("AB", "update")


@pytest.mark.parametrize("driver", DRIVERS)
def test_should_bring_derived_columns_of_states(server, bank, table, driver):
    _, last = read(server, table, driver, derived_columns=["offset"])
    bank.run(f"UPDATE {table} SET amount = 1")
    (row,), _ = read(server, table, driver, last, derived_columns=["offset"])
    assert row["sent_offset_minutes"] == 120


def test_should_not_take_changes_for_whole_that_clean_up_meets_while_they_are_read(server, faults, bank, table):
    driver = (
        "pymssql"  # the other one keeps the interpreter while the server says nothing, so nobody could clean up here
    )
    _, last = read(server, table, driver)
    bank.run(f"INSERT INTO {table} (region, number, amount) SELECT 'zz', 100 + number, 1 FROM {table}")
    bank.run(f"UPDATE {table} SET amount = 2")
    source = SqlServer(server.reference.model_copy(update={"driver": driver}), server.credentials)
    with source.session() as session:
        plan = session.plan(session.describe(wanted(table)), {COLUMN: last})

    def rows() -> int:
        with source.open(plan) as reader:
            return sum(batch.num_rows for batch in reader)

    bank.run(f"EXEC flowforge_fault 'stall', 1, 1, 'CHANGETABLE(CHANGES {table}'")
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(rows)
        running = "SELECT COUNT(*) AS n FROM sys.dm_exec_requests WHERE session_id <> @@SPID"
        wait_for(lambda: bank.scalar(running), "the read that stands still after its first row")
        bank.run(f"EXEC flowforge_tracking 'clean', '{table}', 999999")
        bank.run("EXEC flowforge_fault 'none'")
        with pytest.raises(ChangesLost, match="while its changes were read"):
            reading.result()


@pytest.mark.parametrize("driver", DRIVERS)
def test_should_end_without_rows_where_the_log_is_gone_when_it_is_read(server, faults, bank, table, driver):
    _, last = read(server, table, driver)
    bank.run(f"UPDATE {table} SET amount = 1")
    source = SqlServer(server.reference.model_copy(update={"driver": driver}), server.credentials)
    with source.session() as session:
        description = session.describe(wanted(table))
        plan = session.plan(description, {COLUMN: last})
    bank.run(f"EXEC flowforge_tracking 'clean', '{table}', 999999")
    with pytest.raises(ChangesLost, match="while its changes were read"), source.open(plan) as reader:
        list(reader)
    bank.run(f"ALTER TABLE {table} DISABLE CHANGE_TRACKING")
    with pytest.raises(ChangesLost, match="not tracked any more"), source.open(plan) as reader:
        list(reader)


def test_should_refuse_what_has_no_changes_of_its_own(server, bank, scratch):
    heap = scratch("id int")
    with pytest.raises(UnsupportedSource, match="no primary key"):
        read(server, heap, "pymssql")
    named = scratch("id int PRIMARY KEY, _change_type int")
    with pytest.raises(UnsupportedSource, match="'_change_type' has the name of one that changeTracking adds"):
        read(server, named, "pymssql")


MANY = 52  # more than one block of tables


def test_should_ask_many_tables_together_and_leave_those_of_a_question_that_fails(server, faults, bank, scratch):
    first = scratch("id int PRIMARY KEY, v int")
    names = [f"together_{n:02}" for n in range(MANY)]
    bank.run(f"{ON}; ALTER TABLE {first} ENABLE CHANGE_TRACKING")
    for name in names:
        scratch("id int PRIMARY KEY, v int", name)
    bank.run("; ".join(f"ALTER TABLE dbo.{name} ENABLE CHANGE_TRACKING" for name in names))
    version = bank.scalar("SELECT CHANGE_TRACKING_CURRENT_VERSION() AS v")
    read = SourceTable(change_tracking=True)
    last = LastRead(Position(COLUMN, str(version + 1), "bigint"))
    tables = [LoadedTable(("dbo", name), read, (), last) for name in names]

    def asked(times: int = MANY, seconds: float | None = None) -> tuple[set[int], int, str]:
        """The places of the tables that stand still, how many requests the server has got for it, and which were not asked."""
        with SqlServer(server.reference, server.credentials).session() as session:
            before = bank.scalar(REQUESTS)
            with within(seconds) if seconds else nullcontext():
                found = given(session.standing_still(tables[:times]))
            return set(found.tables), bank.scalar(REQUESTS) - before - 1, found.unasked

    everywhere = set(range(MANY))
    assert asked()[0] == everywhere  # at the version of the database, by no question to the tables
    bank.run(f"INSERT INTO {first} VALUES (1, 1)")
    still, requests, unasked = asked()
    assert (still, unasked) == (everywhere, "")
    assert requests - asked(times=1)[1] < 12  # two blocks, asked by a connection of their own, and not each table
    bank.run("INSERT INTO dbo.together_07 VALUES (1, 1); INSERT INTO dbo.together_41 VALUES (1, 1)")
    assert asked()[0] == everywhere - {7, 41}
    bank.run("EXEC flowforge_fault 'snapshot 3961', 0, 1, '[together_20]'")
    still, _, unasked = asked()
    left = int(unasked.partition(" tables: ")[0])
    assert 20 not in still and MANY - left - 2 <= len(still) <= MANY - left < MANY
    assert "Snapshot isolation transaction failed" in unasked
    still, _, unasked = asked(seconds=CLOSING_SECONDS / 2)
    assert (still, unasked) == (set(), f"{MANY} tables: no time was left for them")
    in_first = {n for n, name in enumerate(names) if crc32(f"dbo.{name}".encode()) % 2 == 0}
    last = next(n for n in everywhere - in_first)
    bank.run(f"INSERT INTO dbo.{names[last]} VALUES (2, 1); EXEC flowforge_fault 'reset', 0, 1, '[{names[last]}]'")
    still, _, unasked = asked()  # what was answered holds
    assert still == in_first - {7, 41} and unasked.startswith(f"{MANY - len(in_first)} tables: ")


def test_should_keep_the_answers_of_one_kind_of_tables_where_another_kind_has_none(server, faults, bank, scratch):
    scratch("id int PRIMARY KEY, v int", "of_its_kind")
    bank.run(f"{ON}; ALTER TABLE dbo.of_its_kind ENABLE CHANGE_TRACKING")
    version = bank.scalar("SELECT CHANGE_TRACKING_CURRENT_VERSION() AS v")
    tracked = LoadedTable(
        ("dbo", "of_its_kind"),
        SourceTable(change_tracking=True),
        (),
        LastRead(Position(COLUMN, str(version + 1), "bigint")),
    )
    by_time = LastRead(Position("at", "2024-01-01 00:00:00.000", "datetime2(3)"), {"object_id": 1})
    dated = LoadedTable(("dbo", "gone"), SourceTable(delta_column="at"), (), by_time)

    def asked(matching: str) -> StandsStill:
        bank.run(f"EXEC flowforge_fault 'deadlock', 0, 1, '{matching}'")
        with SqlServer(server.reference, server.credentials).session() as session:
            return given(session.standing_still([dated, tracked]))

    found = asked("SYSUTCDATETIME")
    assert set(found.tables) == {1} and found.unasked.startswith("1 tables: ") and found.position
    found = asked("o.object_id = t.object_id")
    assert found.tables == {} and found.unasked.startswith("1 tables: ")
