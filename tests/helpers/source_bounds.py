"""Intervals planned on a live server, and a login that may not see open transactions."""

from typing import Any

from events.targets import SourceTable
from flowforge.domain.errors import UnknownTable
from flowforge.domain.interval import Interval
from flowforge.sources.sqlserver.bounds import PlannedInterval, plan_interval
from flowforge.sources.sqlserver.catalog import describe_table
from flowforge.sources.sqlserver.connection import SourceConnection
from flowforge.sources.sqlserver.sql_text import count_statement

TIMESTAMPS = [
    *("date", "smalldatetime", "datetime", "datetime2(0)", "datetime2(3)", "datetime2(7)"),
    *("datetimeoffset(0)", "datetimeoffset(7)"),
]


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
