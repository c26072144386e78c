"""Conditions that users write as SQL: what may be in one.

Guarantees: pure. One expression over the row's own columns passes, which gives one value for each row; a query, a table, an
aggregate, `*` and COLUMNS, unnest, and any function that could read, write or reveal something else do not. DuckDB's own
reading is compared before it is judged (`second_reading.check_condition`), and the connection that evaluates it is confined
besides.
"""

from sqlglot import exp

from flowforge.sql_policy.functions import OF_ONE_ROW, ROWS_REMEDY, check_known, check_of_a_row, check_reach
from flowforge.sql_policy.parsing import NotAllowed, parse
from flowforge.sql_policy.statements import names_of, written_name

NOT_OF_A_ROW = (
    exp.Query,
    exp.Subquery,
    exp.Table,
    exp.AggFunc,
    exp.Window,
    exp.Placeholder,
    exp.PositionalColumn,
    exp.Parameter,
    exp.Command,
    exp.Star,
    exp.Columns,
    exp.UDTF,
    exp.Explode,
)


def check_expression(sql: str) -> str:
    """The expression in parentheses, ready to stand in a SELECT; raises NotAllowed with what is in the way."""
    text = f"({sql}\n)"  # the line break ends a comment
    found = parse(text)
    if len(found) != 1 or not isinstance(found[0], exp.Paren) or isinstance(found[0].this, exp.Alias):
        raise NotAllowed("expected one condition over the row's columns")
    for node in found[0].walk():
        if isinstance(node, NOT_OF_A_ROW):
            name = isinstance(node, exp.Func) and written_name(node, text)
            raise NotAllowed(f"{name or node.key} is not allowed: {OF_ONE_ROW}", None, ROWS_REMEDY)
        if isinstance(node, exp.Func):
            for name in names_of(node, text):
                check_reach(name)
                check_of_a_row(name)
            check_known(written_name(node, text))
    return text
