"""EXEC: the few system procedures that clients call in text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .dialect import is_symbol
from .errors import SqlError, not_supported
from .script import parse_batch
from .table_functions import description
from .token_reader import TokenReader
from .types import SqlType

if TYPE_CHECKING:
    from .script import Simple
    from .session import Session
    from .sink import Sink

_TEXT = SqlType("nvarchar", -1)


def execute(session: Session, statement: Simple, sink: Sink) -> None:
    """Runs EXEC name arguments. Raises 2812 for a procedure that does not exist."""
    reader = TokenReader(statement)
    reader.name()
    if is_symbol(reader.peek(), "("):
        text = session.evaluate(reader.rest(), _TEXT)
        run_text(session, str(text), {}, sink)
        return
    name = reader.qualified_name()[-1].lower()
    arguments = [] if reader.at_end() else _arguments(session, reader)
    if name == "sp_executesql":
        raise not_supported("EXEC sp_executesql in text; send it as a procedure call")
    if name == "sp_describe_first_result_set":
        describe(session, str(arguments[0]), str(arguments[1] or "") if len(arguments) > 1 else "", sink)
    elif name in ("sp_reset_connection", "sp_updatestats"):
        sink.done("EXEC", None)
    else:
        raise SqlError(2812, f"Could not find stored procedure '{name}'.")


def _arguments(session: Session, reader: TokenReader) -> list[object]:
    values = []
    while True:
        part = reader.until_comma()
        named = re.match(r"(?s)@[\w#$@]+\s*=\s*(.*)$", part)
        values.append(session.evaluate(named.group(1) if named else part, _TEXT))
        if not reader.accept_symbol(","):
            return values


def run_text(session: Session, sql: str, variables: dict, sink: Sink) -> None:
    """Runs dynamic SQL with variables of its own."""
    saved, session.variables = session.variables, dict(variables)
    try:
        for statement in parse_batch(sql):
            session.statements.run(statement, sink)
    finally:
        session.variables = saved


def describe(session: Session, sql: str, parameters: str, sink: Sink) -> None:
    """sp_describe_first_result_set: its columns as a result set, or its error as an error."""
    session.describe(sql, parameters)
    query = description(session, sql, parameters)
    result = session.cursor.execute(query.sql).to_arrow_table()
    sink.columns(query.outputs)
    for batch in result.to_batches():
        sink.rows(batch, [output.type for output in query.outputs])
    sink.done("SELECT", result.num_rows)
