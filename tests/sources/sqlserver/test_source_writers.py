"""Which open transactions hold a bound back, by how the values of its cursor come about."""

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pymssql
import pytest

from events.targets import SourceTable
from flowforge.domain.errors import UnsupportedSource
from flowforge.domain.given import given as present
from flowforge.domain.interval import Interval
from flowforge.runtime.settings import settings
from flowforge.sources.plans import Wanted
from flowforge.sources.sqlserver.bounds import PlannedInterval, plan_interval
from flowforge.sources.sqlserver.catalog import describe_table
from flowforge.sources.sqlserver.connection import SourceConnection
from flowforge.sources.sqlserver.inspection import inspect
from flowforge.sources.sqlserver.query_columns import describe_query
from flowforge.sources.sqlserver.sql_text import any_row_statement, count_statement
from flowforge.sources.sqlserver.statement import PASSING_LOCKED
from tests.helpers.source_server import Server

NOW = "SELECT CONVERT(varchar(27), SYSUTCDATETIME(), 121) AS now"


def incremental(table: str, column: str, **more: Any) -> SourceTable:
    return SourceTable(table_name=table, is_incremental=True, delta_column=column, **more)


def plan(connection, table, column, low=None, samples=None, **more: Any) -> PlannedInterval:
    described = describe_table(connection, table)
    return plan_interval(connection, described, incremental(table, column, **more), low, samples)


@contextmanager
def _idle_since(server: Server) -> Iterator[str]:
    """An application's transaction that has written nothing and waits for its client: the server's time after it began."""
    reference, login = server.reference, server.credentials
    secret, port = login.password.get_secret_value(), str(reference.port)
    with (
        pymssql.connect(
            reference.host, login.username, secret, reference.database, port=port, autocommit=True, appname="payments"
        ) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("BEGIN TRANSACTION")
        cursor.execute(NOW)
        yield str(present(cursor.fetchone())[0])
        cursor.execute("ROLLBACK TRANSACTION")


def _pass_by(bank: SourceConnection, began: str) -> None:
    """Asks until a fifth of a second has gone by at the server."""
    since = dt.datetime.fromisoformat(began[:26])
    while dt.datetime.fromisoformat(bank.scalar(NOW)[:26]) < since + dt.timedelta(milliseconds=200):
        pass


def _is_below_begin(planned: PlannedInterval, began: str) -> bool:
    bound = dt.datetime.fromisoformat(present(planned.interval.high)[:26]) + dt.timedelta(
        seconds=settings().guard_seconds
    )
    return bound < dt.datetime.fromisoformat(began[:26]) + dt.timedelta(milliseconds=100)


def test_should_not_let_an_idle_transaction_without_changes_hold_the_bound(bank, server, scratch):
    table = scratch("id int IDENTITY NOT NULL PRIMARY KEY, at datetime2(7) DEFAULT SYSDATETIME()")
    bank.run(f"INSERT INTO {table} DEFAULT VALUES")
    with _idle_since(server):
        assert plan(bank, table, "id").interval.high == "2"
        assert plan(bank, table, "at").blocker is None


def test_should_wait_for_a_number_that_an_idle_transaction_may_have_drawn_before_it_writes(bank, server, scratch):
    """As of a sequence: NEXT VALUE FOR, then something else, then the INSERT."""
    table = scratch("id int NOT NULL PRIMARY KEY")
    bank.run(f"INSERT INTO {table} VALUES (1)")
    first = plan(bank, table, "id")
    with _idle_since(server):
        bank.run(f"INSERT INTO {table} VALUES (3)")
        held = plan(bank, table, "id", low=first.interval.high, samples=first.samples)
        assert held.empty and "holds the bound back" in present(held.blocker)
        before = [{name: sample[name] for name in ("max", "at")} | {"open": []} for sample in held.samples]
        assert plan(bank, table, "id", low=first.interval.high, samples=before).empty  # a version before listed fewer
        query = SourceTable(query=f"SELECT id FROM {table}", is_incremental=True, delta_column="id")
        described: Any = SimpleNamespace(columns=describe_query(bank, present(query.query)), primary_key=[])
        assert plan_interval(bank, described, query, None, []).interval.high is None
    freed = plan(bank, table, "id", low=first.interval.high, samples=held.samples)
    assert (freed.interval.high, bank.scalar(count_statement(describe_table(bank, table), freed.interval))) == ("4", 1)


def test_should_bound_a_period_below_the_begin_of_every_open_transaction(bank, server, scratch):
    """The server stamps a period with the begin of the transaction, in UTC whatever the request says of the clock."""
    period = "since datetime2(7) GENERATED ALWAYS AS ROW START, until datetime2(7) GENERATED ALWAYS AS ROW END"
    table = scratch(f"id int NOT NULL PRIMARY KEY, {period}, PERIOD FOR SYSTEM_TIME (since, until)")
    with _idle_since(server) as began:
        _pass_by(bank, began)
        held = plan(bank, table, "since", cursor_clock="local")
        assert _is_below_begin(held, began)


def test_should_bound_a_history_as_the_periods_that_it_keeps(bank, server, scratch):
    table = scratch("id int NOT NULL, until datetime2(7) NOT NULL")
    described = describe_table(bank, table)
    described = described.model_copy(update={"facts": described.facts | {"temporal_type": 1}})
    with _idle_since(server) as began:
        _pass_by(bank, began)
        asked = incremental(table, "until", cursor_clock="utc")
        assert _is_below_begin(plan_interval(bank, described, asked, None, []), began)


@pytest.mark.parametrize(
    ("fact", "hint"), [("is_memory_optimized", ""), ("is_external", ""), ("temporal_type", PASSING_LOCKED)]
)
def test_should_pass_over_locked_rows_only_where_there_are_locks(bank, scratch, fact, hint):
    """A memory-optimized table refuses the hint (10794), and no load of what is new ended."""
    described = describe_table(bank, scratch("id int IDENTITY NOT NULL PRIMARY KEY"))
    described = described.model_copy(update={"facts": {fact: True}})
    interval = Interval(column="id", sql_type="int", low="1", high="9")
    assert any_row_statement(described, interval, True).text.split("]")[2].split(" WHERE")[0] == hint


class Narrow(SourceConnection):
    """The same connection, as of a login that may read a view and does not see what it reads."""

    def __init__(self, seeing: SourceConnection):
        super().__init__(seeing._connection, seeing.reference, seeing._credentials, seeing._limit)

    def rows(self, sql: Any, params: Any = (), about: str = "") -> list[dict[str, Any]]:
        return [{"n": 0}] if "VIEW DEFINITION" in str(sql) else super().rows(sql, params, about)


def test_should_take_what_a_login_does_not_see_behind_a_view_for_temporal(bank, server, scratch):
    table = scratch("id int NOT NULL, at datetime2(7)")
    asked = SourceTable(query=f"SELECT at FROM {table}", is_incremental=True, delta_column="at", cursor_clock="utc")
    described: Any = SimpleNamespace(columns=describe_query(bank, present(asked.query)), primary_key=[])
    with _idle_since(server) as began:
        _pass_by(bank, began)
        assert _is_below_begin(plan_interval(Narrow(bank), described, asked, None, []), began)
        assert not _is_below_begin(plan_interval(bank, described, asked, None, []), began)


class InMemory(SourceConnection):
    """The same connection, to a database with so many natively compiled procedures at work: the stand-in knows none."""

    def __init__(self, seeing: SourceConnection, natives: int):
        super().__init__(seeing._connection, seeing.reference, seeing._credentials, seeing._limit)
        self.natives = natives

    def rows(self, sql: Any, params: Any = (), about: str = "") -> list[dict[str, Any]]:
        return [{"n": self.natives}] if "dm_db_xtp_transactions" in str(sql) else super().rows(sql, params, about)


def test_should_know_that_memory_optimized_tables_log_nothing_before_the_commit(bank, server, scratch):
    table = scratch("id int IDENTITY NOT NULL PRIMARY KEY, at datetime2(7) DEFAULT SYSUTCDATETIME()")
    described = describe_table(bank, table)
    described = described.model_copy(update={"facts": described.facts | {"is_memory_optimized": True}})

    def planned(connection, column) -> PlannedInterval:
        return plan_interval(connection, described, incremental(table, column, cursor_clock="utc"), None, [])

    quiet, busy = InMemory(bank, 0), InMemory(bank, 1)
    assert "exact" in planned(quiet, "at").interval.promise
    assert "natively compiled procedure is at work" in planned(busy, "at").interval.promise
    assert planned(busy, "id").wait_seconds == settings().cursor_lag_seconds + 1
    assert "VIEW DATABASE STATE" in planned(bank, "at").interval.promise  # a server that does not tell
    with _idle_since(server) as began:
        _pass_by(bank, began)
        assert _is_below_begin(planned(quiet, "at"), began)
        bank.run(f"INSERT INTO {table} DEFAULT VALUES")
        assert planned(quiet, "id").interval.high is None


class Elsewhere(SourceConnection):
    """The same connection, to a server that tells that a query's columns are another database's; the stand-in has one."""

    def __init__(self, seeing: SourceConnection):
        super().__init__(seeing._connection, seeing.reference, seeing._credentials, seeing._limit)

    def rows(self, sql: Any, params: Any = (), about: str = "") -> list[dict[str, Any]]:
        if "source_database" in str(sql):
            return [{"source_server": None, "source_database": "ledger", "here": "bank"}]
        return super().rows(sql, params, about)


def test_should_refuse_a_row_version_of_another_database(bank, scratch):
    table = scratch("id int NOT NULL PRIMARY KEY, v rowversion")
    query = SourceTable(query=f"SELECT id, v FROM {table}", is_incremental=True, delta_column="v")
    described: Any = SimpleNamespace(columns=describe_query(bank, present(query.query)), primary_key=[])
    assert plan_interval(bank, described, query, None, []).interval.high
    with pytest.raises(UnsupportedSource, match="the rowversion 'v' is of ledger"):
        plan_interval(Elsewhere(bank), described, query, None, [])


def test_should_refuse_an_identity_that_counts_down(bank, scratch):
    table = scratch("id int IDENTITY(-1,-1) NOT NULL PRIMARY KEY, at datetime2(7) DEFAULT SYSDATETIME()")
    with pytest.raises(UnsupportedSource, match=r"'id' is an IDENTITY with increment -1"):
        inspect(bank, Wanted(incremental(table, "id"), "b"))
    assert inspect(bank, Wanted(incremental(table, "at"), "b")).columns
