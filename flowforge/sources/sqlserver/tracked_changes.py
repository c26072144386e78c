"""The changes of a table since a version, by SQL Server's Change Tracking, as a query: the state of each changed key, and what
became of it.

Guarantees: pure text; one statement reads the log and the table. A key whose row is gone is a deletion, whatever the log calls
it. A key that has changed again above the interval is left to the next load, which reads its state of then.
"""

from collections.abc import Sequence

from flowforge.domain.given import given
from flowforge.domain.interval import Interval
from flowforge.domain.own_columns import CHANGE_TYPE, CHANGE_VERSION, DELETE
from flowforge.domain.source_columns import SourceColumn
from flowforge.sources.sqlserver.description import TableDescription
from flowforge.sources.sqlserver.statement import Statement, qualified, quote_identifier

INSERT, UPDATE = "insert", "update"
CHANGE_COLUMNS = [
    SourceColumn(name=CHANGE_TYPE, type="text", sql_type="varchar(6)", nullable=False),
    SourceColumn(name=CHANGE_VERSION, type="bigint", sql_type="bigint", nullable=False),
]


def loaded_version(low: str | None) -> int:
    """The version that a lower bound stands for: all up to it is loaded."""
    return int(given(low)) - 1


def changes_text(table: TableDescription, columns: Sequence[SourceColumn], interval: Interval) -> str:
    """The query of an interval's changes: `columns` as the source has them, then type and version of the change."""
    names = list(dict.fromkeys(column.of or column.at_source for column in columns))
    key = {name.lower() for name in table.primary_key}
    shown = [_state(name, is_key=name.lower() in key) for name in names]
    first = quote_identifier(table.primary_key[0])
    same = " AND ".join(f"t.{name} = c.{name}" for name in map(quote_identifier, table.primary_key))
    kind = f"CASE WHEN t.{first} IS NULL THEN '{DELETE}' WHEN c.SYS_CHANGE_OPERATION = N'I' THEN '{INSERT}' ELSE '{UPDATE}' END"
    own = [f"{kind} AS {CHANGE_TYPE}", f"c.SYS_CHANGE_VERSION AS {CHANGE_VERSION}"]
    return (
        f"SELECT {', '.join([*shown, *own])}\n{_from(table, interval)}\nLEFT JOIN {qualified(table)} AS t ON {same}\n"
        f"WHERE c.SYS_CHANGE_VERSION < {int(given(interval.high))}"
    )


def any_change_statement(table: TableDescription, version: int) -> Statement:
    """Gives one row where a key has changed since the version."""
    interval = Interval(low=str(version + 1))
    return Statement((f"SELECT TOP (1) c.SYS_CHANGE_VERSION AS version {_from(table, interval)}",))


def count_changes_statement(table: TableDescription, interval: Interval) -> Statement:
    """Counts the keys that have changed in the interval, as `source_rows`."""
    where = f"WHERE c.SYS_CHANGE_VERSION < {int(given(interval.high))}"
    return Statement((f"SELECT COUNT_BIG(*) AS source_rows {_from(table, interval)} {where}",))


def _from(table: TableDescription, interval: Interval) -> str:
    return f"FROM CHANGETABLE(CHANGES {qualified(table)}, {loaded_version(interval.low)}) AS c"


def _state(name: str, *, is_key: bool) -> str:
    quoted = quote_identifier(name)
    return f"ISNULL(t.{quoted}, c.{quoted}) AS {quoted}" if is_key else f"t.{quoted}"
