"""What is wanted of a database, as its catalog has it now: which columns are read, what this login sees, and who the server is.

Guarantees: what no load could carry stops the table here, by name and with the remedy, before anything is claimed.
"""

from typing import NamedTuple

from events.names import split_table_name
from events.targets import SourceTable
from flowforge.domain.interval import Interval, RowCondition
from flowforge.domain.source_columns import SourceColumn
from flowforge.sources.plans import Description, Wanted
from flowforge.sources.protection import dropped_columns, protected_columns
from flowforge.sources.sqlserver.cast_columns import cast_columns
from flowforge.sources.sqlserver.catalog import TableDescription, describe_table, objects_named
from flowforge.sources.sqlserver.connection import SourceConnection
from flowforge.sources.sqlserver.database_facts import FORK, IDENTITY, consistencies, server_identity
from flowforge.sources.sqlserver.derived_columns import with_derived_columns, with_key_digits
from flowforge.sources.sqlserver.loadable import chosen_columns, left_out_columns, refuse_clashes, renamed_columns
from flowforge.sources.sqlserver.login_view import keys_and_cursors, view_of_query, view_of_table
from flowforge.sources.sqlserver.query_columns import check_statement, describe_query
from flowforge.sources.sqlserver.read_hints import loose_hints, told_hints
from flowforge.sources.sqlserver.row_conditions import checked_conditions
from flowforge.sources.sqlserver.row_filters import ROW_FILTERS, SEES_ROW_FILTERS
from flowforge.sources.sqlserver.sql_text import Source, goes_as_written, select_statement
from flowforge.sources.sqlserver.tracked_plan import tracked_columns
from flowforge.sources.sqlserver.writers import refuse_falling_numbers
from flowforge.state.table import query_name

ALONG = (ROW_FILTERS, SEES_ROW_FILTERS, FORK)  # of the questions that each table asks, those that a server may refuse


class Detail(NamedTuple):
    """What SQL Server's own part needs again of a description: `table` is None for a query, `relation` its text then.
    `offered` are the consistencies that a read asks for, the strongest first; `conditions` are the request's on the rows."""

    table: TableDescription | None
    relation: Source
    offered: list[str]
    conditions: tuple[RowCondition, ...] = ()


def own_columns(description: Description) -> list[SourceColumn]:
    """The columns without their derived columns: what the server knows by name."""
    return [column for column in description.columns if not column.derivation]


def inspect(connection: SourceConnection, wanted: Wanted) -> Description:
    """What the source says of the wanted table or query; raises UnknownTable, QueryRefused, UnsupportedSource."""
    name = wanted.read.table_name
    if name and not wanted.read.query:
        connection.ask_together(IDENTITY, objects_named(name), about=name)
    offered = consistencies(connection, wanted.read.snapshot_isolation)
    if wanted.read.query:
        return _query(connection, wanted, wanted.read.query, offered)
    return _table(connection, wanted, offered)


def _query(connection: SourceConnection, wanted: Wanted, query: str, offered: list[str]) -> Description:
    read = wanted.read
    columns, notes = view_of_query(connection, wanted, describe_query(connection, query), "the query")
    columns = with_derived_columns(columns, read.derived_columns, "the query")
    columns = with_key_digits(columns, _key_of(wanted, []), "the query")
    columns = protected_columns(columns, read, keys_and_cursors(wanted), "the query")
    refuse_clashes(columns, wanted.audited, "the query", is_query=True)
    if read.is_incremental or not goes_as_written(query, columns, Interval()):
        check_statement(connection, select_statement(query, columns, Interval(column=read.delta_column)))
    return Description(
        wanted,
        query_name(query),
        columns,
        parts=("", query_name(query)),
        identity=server_identity(connection),
        notes=notes + told_hints(loose_hints(query), "the query"),
        lacks=connection.lacks,
        detail=Detail(None, query, offered),
    )


def _table(connection: SourceConnection, wanted: Wanted, offered: list[str]) -> Description:
    read, table = wanted.read, describe_table(connection, wanted.read.table_name or "", ALONG)
    name, key = table.qualified_name, table.primary_key
    left_out = left_out_columns(table, read, [*key, *keys_and_cursors(wanted)])
    columns = chosen_columns(table, left_out)
    columns, notes = view_of_table(connection, wanted, table, columns)
    columns = with_derived_columns(columns, read.derived_columns, name)
    columns = with_key_digits(columns, _key_of(wanted, key), name)
    columns = cast_columns(connection, columns, read, [*key, *keys_and_cursors(wanted)], name)
    columns = protected_columns(columns, read, [*key, *keys_and_cursors(wanted)], name)
    columns = renamed_columns(columns, read, [*key, *keys_and_cursors(wanted)], name)
    refuse_clashes(columns, wanted.audited, name, is_query=False)
    if read.change_tracking:
        columns = tracked_columns(columns, table)
    conditions = tuple(checked_conditions(connection, table, read.where))
    identity = server_identity(connection, table)
    if read.is_incremental and read.delta_column:
        refuse_falling_numbers(table, read.delta_column, identity)
    return Description(
        wanted,
        name,
        columns,
        key,
        parts=(table.schema_name, table.name),
        written=split_table_name(table.synonym) if table.synonym else (table.schema_name, table.name),
        identity=identity | _not_read(read, left_out),
        notes=notes,
        lacks=connection.lacks,
        detail=Detail(table, table, offered, conditions),
    )


def _not_read(read: SourceTable, left_out: list[str]) -> dict[str, list[str]]:
    """What a batch tells of columns that it leaves out, and for which of them that is to protect their values."""
    dropped = dropped_columns(read)
    told = {"left_out": left_out, "dropped": [name for name in left_out if name.lower() in dropped]}
    return {fact: names for fact, names in told.items() if names}


def _key_of(wanted: Wanted, own: list[str]) -> list[str]:
    """The columns by which silver will tell rows apart; none where it only adds them."""
    return [] if wanted.adds_only else list(wanted.key) or own
