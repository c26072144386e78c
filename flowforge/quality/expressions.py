"""Conditions that users write as SQL: what may be in one.

Guarantees: pure. One expression over the row's own columns passes; a query, a table, an aggregate, and any function that could
read, write or reveal something else do not. The connection that evaluates it is confined besides (`storage.confine`).
"""

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from flowforge.lake.statements import REVEALING, NotAllowed

NOT_OF_A_ROW = (
    exp.Query,
    exp.Subquery,
    exp.Table,
    exp.AggFunc,
    exp.Window,
    exp.Placeholder,
    exp.Parameter,
    exp.Command,
)


def check_expression(sql: str) -> str:
    """The expression in parentheses, ready to stand in a SELECT; raises NotAllowed with what is in the way."""
    text = f"({sql}\n)"  # the line break ends a comment
    try:
        found = [statement for statement in sqlglot.parse(text, dialect="duckdb") if statement is not None]
    except SqlglotError as error:
        raise NotAllowed(f"it cannot be read as SQL: {str(error).splitlines()[0]}") from error
    if len(found) != 1 or not isinstance(found[0], exp.Paren) or isinstance(found[0].this, exp.Alias):
        raise NotAllowed("expected one condition over the row's columns")
    for node in found[0].walk():
        if isinstance(node, NOT_OF_A_ROW):
            raise NotAllowed(f"{node.key} is not allowed: a rule looks at one row at a time")
        if isinstance(node, exp.Func):
            name = node.name if isinstance(node, exp.Anonymous) else node.sql_name()
            if REVEALING.fullmatch(name):
                raise NotAllowed(f"the function {name.lower()} is not allowed: a rule looks at its row only")
    return text
