"""Which rows a statement reads: the bounds of an interval and a request's conditions, as T-SQL."""

from collections.abc import Sequence

from flowforge.domain.given import given
from flowforge.domain.interval import Interval, RowCondition
from flowforge.sources.sqlserver.sql_types import STRINGS, bound_type, convert_expression, parse_sql_type
from flowforge.sources.sqlserver.statement import Statement, quote_identifier


def bound_value(literal: str, sql_type: str) -> Statement:
    """The expression that turns a printed bound back into the cursor's type."""
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
    return all_of([bounds_condition(interval), *map(row_condition, interval.where)])


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
            condition += bound_value(literal, bound_type(given(interval.sql_type), literal))
    if not condition.parameters:
        return None if interval.nulls else Statement((f"{name} IS NOT NULL",))
    return Statement(("(",)) + condition + f") OR {name} IS NULL" if interval.nulls else condition


def where(*conditions: Statement | None) -> Statement:
    """The WHERE clause of all conditions that there are; empty without any."""
    joined = all_of(conditions)
    return Statement((" WHERE ",)) + joined if joined else Statement(("",))


def all_of(conditions: Sequence[Statement | None]) -> Statement | None:
    """All conditions that there are, as one; None without any."""
    given = [condition for condition in conditions if condition is not None]
    if len(given) < 2:
        return given[0] if given else None
    clause = Statement(("(",)) + given[0] + ")"
    for condition in given[1:]:
        clause += Statement((" AND (",)) + condition + ")"
    return clause
