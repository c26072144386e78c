"""Bounds stay below what an open transaction may still commit, whether the login sees such transactions or not."""

import datetime as dt

from flowforge.domain.given import given as present
from flowforge.runtime.settings import settings
from tests.helpers.source_bounds import BlindConnection, counted, plan


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


def _until(attempt, good, seconds: float = 20):
    """Repeats an attempt until its result is good; the server's own clock has to move on in between."""
    deadline = dt.datetime.now() + dt.timedelta(seconds=seconds)
    while dt.datetime.now() < deadline:
        result = attempt()
        if good(result):
            return result
    raise AssertionError(f"still not after {seconds} s: {result}")
