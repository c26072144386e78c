"""Query text: pure functions from a table, its columns and an interval to T-SQL.

Guarantees: every identifier is quoted with ] doubled, every value is a parameter, and nothing here talks to a server.
A statement keeps its text in parts between parameters, so that each driver can be given its own form: markers for
mssql-python, quoted literals for pymssql, whose own substitution trips over a percent sign in a name.
"""

# ruff: noqa: S608 - composing SQL safely is what this module is for

import re
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, TypeGuard

from flowforge.domain.given import given
from flowforge.domain.interval import Interval, RowCondition
from flowforge.domain.source_columns import SourceColumn
from flowforge.sources.sqlserver.derived_columns import derived_expression
from flowforge.sources.sqlserver.packing import Cell, cells_of, line_expression
from flowforge.sources.sqlserver.query_text import read_query
from flowforge.sources.sqlserver.sql_types import (
    STRINGS,
    bound_type,
    convert_expression,
    parse_sql_type,
    print_expression,
    select_expression,
)


class Statement(NamedTuple):
    """SQL text cut at its parameters: there is one part more than parameters."""

    parts: tuple[str, ...]
    parameters: tuple[str | int, ...] = ()

    @property
    def text(self) -> str:
        """The text with a `?` for each parameter."""
        return "?".join(self.parts)

    def inlined(self) -> str:
        """The text with each parameter as a quoted T-SQL literal."""
        values = [quote_literal(value) for value in self.parameters]
        return "".join(piece for pair in zip(self.parts, [*values, ""], strict=True) for piece in pair)

    def __add__(self, other: "Statement | str") -> "Statement":
        """This statement followed by another."""
        parts, parameters = (other.parts, other.parameters) if isinstance(other, Statement) else ((other,), ())
        joined = (*self.parts[:-1], self.parts[-1] + parts[0], *parts[1:])
        return Statement(joined, (*self.parameters, *parameters))


class Relation(Protocol):
    """A table or view as the catalog names it."""

    @property
    def schema_name(self) -> str:
        """The schema, as the catalog spells it."""
        ...

    @property
    def name(self) -> str:
        """The name in that schema."""
        ...


# Of a graph table: the catalog's name of a column that statements are to name without its suffix.
_GRAPH = re.compile(r"(\$(?:node_id|edge_id|from_id|to_id))_[0-9A-F]{32}")
_NOW = "CONVERT(varchar(27), SYSUTCDATETIME(), 121)"
LINE = "flowforge_line"  # what a cell with several columns is called
Source = Relation | str  # a table, or the text of a query


def quote_identifier(name: str) -> str:
    """`[name]` with ] doubled. Raises ValueError for what can never be an identifier: empty, a NUL, above 128
    characters."""
    if not name or "\x00" in name or len(name) > 128:
        raise ValueError(f"{name[:40]!r} cannot be an identifier: expected 1 to 128 characters without NUL")
    return "[" + name.replace("]", "]]") + "]"


def quote_literal(value: str | int | None) -> str:
    """A value as a T-SQL literal: text as N'…' with ' doubled, NULL for None.

    A backslash before a line break would join the lines, so such a text is cut there.
    """
    if value is None:
        return "NULL"
    if isinstance(value, int):
        return str(int(value))
    text = value.replace("'", "''")
    joined = text.replace("\\\r", "\\' + N'\r").replace("\\\n", "\\' + N'\n")
    return f"N'{text}'" if joined == text else f"(N'{joined}')"


def parametrised(text: str, parameters: Sequence[Any] = ()) -> Statement:
    """A statement from text with `%s` for each parameter. Raises ValueError when their numbers differ."""
    if not parameters:
        return Statement((text,))
    parts = tuple(text.split("%s"))
    if len(parts) != len(parameters) + 1:
        raise ValueError(f"{len(parts) - 1} markers for {len(parameters)} parameters")
    return Statement(parts, tuple(parameters))


def qualified(relation: Relation) -> str:
    """`[schema].[name]`."""
    return f"{quote_identifier(relation.schema_name)}.{quote_identifier(relation.name)}"


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
    hint = " WITH (READPAST)" if pass_locked else ""
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
    hint = " WITH (READPAST)" if pass_locked else ""
    text = f"SELECT COUNT_BIG(*) AS source_rows FROM {qualified(relation)}{hint}"
    fits = _joined([row_condition(one) for one in interval.where])
    # A condition on a NULL is neither true nor false: such a row does not fit, and NOT (…) would not find it.
    misfit = Statement(("CASE WHEN ",)) + given(fits) + " THEN 0 ELSE 1 END = 1"
    return Statement((text,)) + where(bounds_condition(interval), misfit)


def is_empty_statement(low: str, high: str, sql_type: str) -> Statement:
    """Asks the server whether `high <= low`, as `is_empty` 1 or 0, compared in the cursor's type."""
    wide = max((bound_type(sql_type, low), bound_type(sql_type, high)), key=len)
    head, middle = Statement(("SELECT CASE WHEN ",)), Statement((" <= ",))
    return head + _bound(high, wide) + middle + _bound(low, wide) + " THEN 1 ELSE 0 END AS is_empty"


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
    return quote_identifier(column.at_source)


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


def _bound(literal: str, sql_type: str) -> Statement:
    before, after = convert_expression("\x00", sql_type).split("\x00")
    return Statement((before, after), (literal,))


def typed_value(literal: str, sql_type: str, collation: str | None = None) -> Statement:
    """The expression that turns a printed value back into its column's type."""
    kind = parse_sql_type(sql_type)
    if kind.base in ("decimal", "uniqueidentifier", "bit", "money", "smallmoney", *STRINGS):
        # A text goes through the code page of its collation: that of the column, or letters would be lost in the database's own.
        page = f" COLLATE {collation}" if kind.base in ("char", "varchar") and (collation or "").isidentifier() else ""
        return Statement((f"CONVERT({kind.declaration}, ", f"{page})"), (literal,))
    before, after = convert_expression("\x00", sql_type).split("\x00")
    return Statement((before, after), (literal,))


def row_condition(condition: RowCondition) -> Statement:
    """A condition on one column, its values as parameters."""
    name, operator = quote_identifier(condition.column), condition.operator.upper()
    if not condition.values:
        return Statement((f"{name} {operator}",))
    listed = operator.endswith("IN")
    found = Statement((f"{name} {operator} {'(' if listed else ''}",))
    for n, value in enumerate(condition.values):
        found = (found + ", " if n else found) + typed_value(value, condition.sql_type, condition.collation)
    return found + ")" if listed else found


def interval_condition(interval: Interval) -> Statement | None:
    """The condition of an interval: its bounds and what the request wants of its rows; None when it lets every row through.

    Every statement that reads or counts rows of a batch gets its condition here, so all of them see the same rows.
    """
    return _joined([bounds_condition(interval), *map(row_condition, interval.where)])


def bounds_condition(interval: Interval) -> Statement | None:
    """The condition of an interval's bounds alone; None where it has none."""
    if interval.column is None:
        return None
    name = quote_identifier(interval.column)
    condition = Statement(("",))
    for operator, literal in ((">=", interval.low), ("<", interval.high)):
        if literal is not None:
            joint = " AND " if condition.parameters else ""
            condition += f"{joint}{name} {operator} "
            condition += _bound(literal, bound_type(given(interval.sql_type), literal))
    if not condition.parameters:
        return None if interval.nulls else Statement((f"{name} IS NOT NULL",))
    return Statement(("(",)) + condition + f") OR {name} IS NULL" if interval.nulls else condition


def where(*conditions: Statement | None) -> Statement:
    """The WHERE clause of all conditions that there are; empty without any."""
    joined = _joined(conditions)
    return Statement((" WHERE ",)) + joined if joined else Statement(("",))


def _joined(conditions: Sequence[Statement | None]) -> Statement | None:
    """All conditions that there are, as one; None without any."""
    given = [condition for condition in conditions if condition is not None]
    if len(given) < 2:
        return given[0] if given else None
    clause = Statement(("(",)) + given[0] + ")"
    for condition in given[1:]:
        clause += Statement((" AND (",)) + condition + ")"
    return clause
