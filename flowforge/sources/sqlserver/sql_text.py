"""Query text: pure functions from a table, its columns and an interval to T-SQL.

Guarantees: every identifier is quoted with ] doubled, every value is a parameter, and nothing here talks to a server.
"""

# ruff: noqa: S608 - composing SQL safely is what this module is for

import re
from collections.abc import Sequence
from typing import TypeGuard

from flowforge.domain.given import given
from flowforge.domain.interval import Interval, RowCondition
from flowforge.domain.source_columns import SourceColumn
from flowforge.sources.sqlserver.casts import cast_expression
from flowforge.sources.sqlserver.conditions import (
    all_of,
    bound_value,
    bounds_condition,
    interval_condition,
    row_condition,
    where,
)
from flowforge.sources.sqlserver.derived_columns import derived_expression
from flowforge.sources.sqlserver.packing import Cell, cells_of, line_expression
from flowforge.sources.sqlserver.query_text import read_query
from flowforge.sources.sqlserver.sql_types import (
    bound_type,
    convert_expression,
    parse_sql_type,
    print_expression,
    select_expression,
)
from flowforge.sources.sqlserver.statement import Relation, Statement, passing_locked, qualified, quote_identifier

# Of a graph table: the catalog's name of a column that statements are to name without its suffix.
_GRAPH = re.compile(r"(\$(?:node_id|edge_id|from_id|to_id))_[0-9A-F]{32}")
_NOW = "CONVERT(varchar(27), SYSUTCDATETIME(), 121)"
LINE = "_flowforge_line"  # what a cell with several columns is called
Source = Relation | str  # a table, or the text of a query


def select_statement(
    source: Source,
    columns: Sequence[SourceColumn],
    interval: Interval,
    top: int | None = None,
    within: Statement | None = None,
) -> Statement:
    """The extraction query: the columns in order, each in its transport form, of the rows in the interval.

    `within` is a further condition, such as a slice's. A query that needs no bound and no conversion is sent as it was
    written, so that it may use WITH and ORDER BY.
    """
    if top is None and goes_as_written(source, columns, interval):
        return Statement((_bare(source),))
    limit = f"TOP ({int(top)}) " if top is not None else ""
    shown = f"{limit}{', '.join(map(_selected, columns))}"
    return select_from(source, shown, interval_condition(interval), within)


def packed_statement(
    source: Source, columns: Sequence[SourceColumn], interval: Interval, within: Statement | None = None
) -> tuple[Statement, list[Cell]]:
    """The extraction query for a driver to which every cell is dear, and what is in its cells; see `packing`."""
    if goes_as_written(source, columns, interval):
        return Statement((_bare(source),)), [(position,) for position in range(len(columns))]
    cells = cells_of(columns)
    expressions = [_packed([columns[position] for position in cell]) for cell in cells]
    return select_from(source, ", ".join(expressions), interval_condition(interval), within), cells


def count_statement(source: Source, interval: Interval) -> Statement:
    """Counts the rows of the interval; its one column is `source_rows`."""
    return select_from(source, "COUNT_BIG(*) AS source_rows", interval_condition(interval))


def any_row_statement(relation: Relation, interval: Interval, pass_locked: bool = False) -> Statement:
    """Gives one row, `there`, where the interval of a table has any; `pass_locked` passes over rows that somebody is changing."""
    hint = passing_locked(relation) if pass_locked else ""
    text = f"SELECT TOP (1) 1 AS there FROM {qualified(relation)}{hint}"
    return Statement((text,)) + where(interval_condition(interval))


def dated_count_statement(source: Source, interval: Interval, within: Statement | None = None) -> Statement:
    """Counts the same rows as `select_statement` reads: `source_rows`, `counted_at` by the server's clock in UTC, and
    `with_cursor`, which leaves out rows without a cursor."""
    cursor = quote_identifier(interval.column) if interval.column else "*"
    counts = f"COUNT_BIG(*) AS source_rows, {_NOW} AS counted_at, COUNT_BIG({cursor}) AS with_cursor"
    return select_from(source, counts, interval_condition(interval), within)


def newest_statement(source: Source, column: str, sql_type: str) -> Statement:
    """Prints MAX of a cursor over the whole table, as `literal`; NULL when there is none."""
    newest = print_expression(f"MAX({quote_identifier(column)})", sql_type)
    return select_from(source, f"{newest} AS literal")


def null_count_statement(source: Source, column: str, conditions: Sequence[RowCondition] = ()) -> Statement:
    """Counts rows that fit the conditions and whose cursor is NULL, as `source_rows`."""
    missing = Statement((f"{quote_identifier(column)} IS NULL",))
    return select_from(source, "COUNT_BIG(*) AS source_rows", missing, *map(row_condition, conditions))


def outside_statement(relation: Relation, interval: Interval, pass_locked: bool = False) -> Statement:
    """Counts the rows between the interval's bounds that do not fit its conditions, as `source_rows`."""
    hint = passing_locked(relation) if pass_locked else ""
    text = f"SELECT COUNT_BIG(*) AS source_rows FROM {qualified(relation)}{hint}"
    fits = all_of([row_condition(one) for one in interval.where])
    # A condition on a NULL is neither true nor false: such a row does not fit, and NOT (…) would not find it.
    misfit = Statement(("CASE WHEN ",)) + given(fits) + " THEN 0 ELSE 1 END = 1"
    return Statement((text,)) + where(bounds_condition(interval), misfit)


def is_empty_statement(low: str, high: str, sql_type: str) -> Statement:
    """Asks the server whether `high <= low`, as `is_empty` 1 or 0, compared in the cursor's type."""
    head, middle = Statement(("SELECT CASE WHEN ",)), Statement((" <= ",))
    first, last = (bound_value(literal, bound_type(sql_type, literal)) for literal in (low, high))
    return head + last + middle + first + " THEN 1 ELSE 0 END AS is_empty"


def normalise_statement(literal: str, sql_type: str) -> Statement:
    """Prints a literal (see `seeds`) or a stored bound as the column would, as `literal`; a server that cannot convert it
    refuses. Not by TRY_CONVERT: one that only speaks TDS gave other values by it than by CONVERT.

    A datetimeoffset is printed in UTC, so that bounds can be shifted as text.
    """
    value = convert_expression("\x00", sql_type)
    if parse_sql_type(sql_type).base == "datetimeoffset":
        value = f"SWITCHOFFSET({value}, '+00:00')"
    printed = print_expression("v.converted", sql_type)
    parts = tuple(f"SELECT {printed} AS literal FROM (SELECT {value} AS converted) AS v".split("\x00"))
    return Statement(parts, (literal,) * (len(parts) - 1))


def shift_statement(server_time: str, milliseconds: int) -> Statement:
    """Prints a server time moved by milliseconds, with seven digits, as `literal`. Seconds apart: DATEADD takes an
    int."""
    seconds, rest = divmod(abs(milliseconds), 1000)
    sign = "-" if milliseconds < 0 else ""
    moved = f"DATEADD(millisecond, {sign}{rest}, DATEADD(second, {sign}{seconds}, CONVERT(datetime2(7), "
    return Statement((f"SELECT CONVERT(varchar(27), {moved}", ", 121))), 121) AS literal"), (server_time,))


def _value(column: SourceColumn) -> str:
    if column.derivation and column.of:
        return derived_expression(column.derivation, quote_identifier(column.of))
    if pseudo := _GRAPH.fullmatch(column.at_source):
        return pseudo[1]
    value = quote_identifier(column.at_source)
    return cast_expression(value, column.at_source, column.cast_from, column.sql_type) if column.cast_from else value


def _selected(column: SourceColumn) -> str:
    name = quote_identifier(column.name)
    expression = select_expression(_value(column), column.sql_type)
    return name if expression == name else f"{expression} AS {name}"


def _packed(columns: Sequence[SourceColumn]) -> str:
    if len(columns) == 1:
        return _selected(columns[0])
    return f"{line_expression([(_value(c), c.sql_type) for c in columns])} AS {LINE}"


def goes_as_written(source: Source, columns: Sequence[SourceColumn], interval: Interval) -> TypeGuard[str]:
    """Whether a query is sent as it is: nothing has to be bounded or converted."""
    converted = any(_selected(column) != quote_identifier(column.name) for column in columns)
    return isinstance(source, str) and not converted and interval.column is None


def _bare(query: str) -> str:
    return read_query(query).written


def select_from(source: Source, shown: str, *conditions: Statement | None) -> Statement:
    """A SELECT of a table or query, with all conditions that there are.

    What a query's WITH defines stands before everything, its OPTION behind, and its ORDER BY is left out where it only orders:
    inside another query the server would refuse all three. Line breaks keep a comment at its end from swallowing the rest.
    """
    if not isinstance(source, str):
        return Statement((f"SELECT {shown} FROM {qualified(source)}",)) + where(*conditions)
    query = read_query(source)
    head = f"{query.prefix}SELECT {shown} FROM (\n{query.body}\n) AS q"
    return Statement((head,)) + where(*conditions) + (f"\n{query.option}" if query.option else "")
