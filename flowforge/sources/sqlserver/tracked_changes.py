"""The changes of a table since a version, by SQL Server's Change Tracking, as a query: the state of each changed key, and what
became of it.

Guarantees: pure text; one statement reads the log and the table. A key whose row is gone is a deletion, whatever the log calls
it. A key that has changed again above the interval is left to the next load, which reads its state of then.
"""

from collections.abc import Sequence
from typing import Protocol

from flowforge.domain.given import given
from flowforge.domain.interval import Interval
from flowforge.domain.own_columns import CHANGE_TYPE, CHANGE_VERSION, DELETE
from flowforge.domain.source_columns import SourceColumn
from flowforge.sources.sqlserver.conditions import row_condition, where
from flowforge.sources.sqlserver.description import TableDescription
from flowforge.sources.sqlserver.statement import Relation, Statement, qualified, quote_identifier

INSERT, UPDATE = "insert", "update"
LOG_ROWS = """SELECT SUM(p.rows) AS log_rows
FROM sys.internal_tables AS i JOIN sys.partitions AS p ON p.object_id = i.object_id AND p.index_id IN (0, 1)
WHERE i.parent_object_id = %s AND i.internal_type_desc = N'CHANGE_TRACKING'"""
CHANGE_COLUMNS = [
    SourceColumn(name=CHANGE_TYPE, type="text", sql_type="varchar(6)", nullable=False),
    SourceColumn(name=CHANGE_VERSION, type="bigint", sql_type="bigint", nullable=False),
]


class KeyedRelation(Relation, Protocol):
    """A table with its primary key."""

    @property
    def primary_key(self) -> list[str]:
        """The names of its columns, in order."""
        ...


def loaded_version(low: str | None) -> int:
    """The version that a lower bound stands for: all up to it is loaded."""
    return int(given(low)) - 1


def changes_text(
    table: KeyedRelation, columns: Sequence[SourceColumn], interval: Interval, within: Statement | None = None
) -> str:
    """The query of an interval's changes: `columns` as the source has them, then type and version of the change. A row that does
    not fit the interval's conditions is not there, as one that is gone. `within` is a slice's condition on the key."""
    names = list(dict.fromkeys(column.of or column.at_source for column in columns))
    key = {name.lower() for name in table.primary_key}
    shown = [_state(name, is_key=name.lower() in key) for name in names]
    first = quote_identifier(table.primary_key[0])
    same = " AND ".join(f"t.{name} = c.{name}" for name in map(quote_identifier, table.primary_key))
    kind = f"CASE WHEN t.{first} IS NULL THEN '{DELETE}' WHEN c.SYS_CHANGE_OPERATION = N'I' THEN '{INSERT}' ELSE '{UPDATE}' END"
    own = [f"{kind} AS {CHANGE_TYPE}", f"c.SYS_CHANGE_VERSION AS {CHANGE_VERSION}"]
    asked = (
        f"SELECT {', '.join([*shown, *own])}\nFROM {_changes(table, interval, within)} AS c\n"
        f"LEFT JOIN {_rows(table, names, interval)} AS t ON {same}"
    )
    # Within a cut the transaction's snapshot is the bound: leaving a row of it to the next load would tear the moment.
    return asked if interval.cut else f"{asked}\nWHERE c.SYS_CHANGE_VERSION < {int(given(interval.high))}"


def _changes(table: KeyedRelation, interval: Interval, within: Statement | None) -> str:
    log = f"CHANGETABLE(CHANGES {qualified(table)}, {loaded_version(interval.low)})"
    return log if within is None else f"(SELECT l.* FROM {log} AS l WHERE {within.inlined()})"  # noqa: S608


def _rows(table: KeyedRelation, names: Sequence[str], interval: Interval) -> str:
    if not interval.where:
        return qualified(table)
    needed = dict.fromkeys([*table.primary_key, *names])
    shown = ", ".join(map(quote_identifier, {name.lower(): name for name in needed}.values()))
    return f"(SELECT {shown} FROM {qualified(table)}{where(*map(row_condition, interval.where)).inlined()})"  # noqa: S608


def any_change_statement(table: TableDescription, version: int) -> Statement:
    """Gives one row where a key has changed since the version."""
    interval = Interval(low=str(version + 1))
    return Statement((f"SELECT TOP (1) c.SYS_CHANGE_VERSION AS version {_from(table, interval)}",))


def count_changes_statement(table: Relation, interval: Interval) -> Statement:
    """Counts the keys that have changed in the interval, as `source_rows`."""
    return Statement((f"SELECT COUNT_BIG(*) AS source_rows {changed_keys(table, interval)}",))


def changed_keys(table: Relation, interval: Interval) -> str:
    """FROM and WHERE of the keys that have changed in the interval."""
    return f"{_from(table, interval)} WHERE c.SYS_CHANGE_VERSION < {int(given(interval.high))}"


def _from(table: Relation, interval: Interval) -> str:
    return f"FROM CHANGETABLE(CHANGES {qualified(table)}, {loaded_version(interval.low)}) AS c"


def _state(name: str, *, is_key: bool) -> str:
    quoted = quote_identifier(name)
    return f"ISNULL(t.{quoted}, c.{quoted}) AS {quoted}" if is_key else f"t.{quoted}"
