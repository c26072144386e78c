"""EXEC: the few system procedures that clients call in text."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from .alterations import Alterations
from .captured_tables import enable_database, enable_table, refuse_new_shape
from .dialect import is_symbol
from .errors import SqlError, not_supported
from .evaluation import arguments, evaluate
from .queries import Compiler
from .script import parse_batch
from .table_functions import description
from .token_reader import TokenReader
from .types import SqlType
from .variables import declared_parameters, split_name
from .writing import Write

if TYPE_CHECKING:
    from .script import Simple
    from .session import Session
    from .sink import Sink

_TEXT = SqlType("nvarchar", -1)


def execute(session: Session, statement: Simple, sink: Sink, run: Callable[[object, Sink], None]) -> None:
    """Runs EXEC name arguments, and dynamic SQL by `run`. Raises 2812 for a procedure that does not exist."""
    reader = TokenReader(statement)
    reader.name()
    if is_symbol(reader.peek(), "("):
        text = evaluate(session, reader.rest(), _TEXT)
        _run_text(session, str(text), sink, run)
        return
    name = reader.qualified_name()[-1].lower()
    if name == "sp_executesql":
        _execute_sql(session, reader, sink, run)
        return
    named = [] if reader.at_end() else _arguments(session, reader)
    values = [value for _, value in named]
    if name == "sp_describe_first_result_set":
        describe(session, str(values[0]), str(values[1] or "") if len(values) > 1 else "", sink)
    elif name == "sp_rename":
        _rename(session, values, sink)
    elif name == "flowforge_clock":
        session.server.clock.set(values)
        sink.done("EXEC", None)
    elif name == "flowforge_replica":
        session.server.replicas.set(values)
        session.server.properties["servername"] = session.server.replicas.name
        sink.done("EXEC", None)
    elif name in ("flowforge_tracking", "sp_flush_ct_internal_table_on_demand"):
        _track(session, name, values)
        sink.done("EXEC", None)
    elif name == "flowforge_fault":
        session.server.faults.set(values)
        sink.done("EXEC", None)
    elif name in ("sp_cdc_enable_db", "sp_cdc_enable_table"):
        enable_database(session) if name.endswith("_db") else enable_table(session, named)
        sink.done("EXEC", None)
    elif name in ("sp_reset_connection", "sp_updatestats"):
        sink.done("EXEC", None)
    else:
        raise SqlError(2812, f"Could not find stored procedure '{name}'.")


def _arguments(session: Session, reader: TokenReader) -> list[tuple[str, object]]:
    """Each argument's name, '' where it has none, and its value."""
    values = []
    while True:
        part = reader.until_comma()
        named = re.match(r"(?s)@([\w#$@]+)\s*=\s*(.*)$", part)
        name, text = (named.group(1).lower(), named.group(2)) if named else ("", part)
        values.append((name, evaluate(session, text, _TEXT)))
        if not reader.accept_symbol(","):
            return values


def _track(session: Session, name: str, arguments: list[object]) -> None:
    """Clean-up of Change Tracking by the clock, or by a version; or its log as it was at one."""
    tracking = session.server.tracking
    word, *rest = ["expire", *arguments] if name.startswith("sp_") else arguments
    if word == "rewind" and len(rest) == 1:
        tracking.rewind(int(str(rest[0])))
        return
    *place, table_name = split_name(str(rest[0])) if rest else [""]
    table = session.catalog.find(place[-1] if place else "dbo", table_name)
    if table is None or not table.is_tracked:
        raise SqlError(22105, f"Change tracking is not enabled on table '{table_name}'.")
    if word == "expire":
        tracking.expire(table, session.server.clock.utc_ticks())
    elif word == "clean" and len(rest) == 2:
        tracking.clean(table, int(str(rest[1])))
    else:
        raise SqlError(50000, "flowforge_tracking: expected clean, a table and a version, or rewind and a version.")


def _rename(session: Session, arguments: list[object], sink: Sink) -> None:
    """sp_rename of a column, 'schema.table.column', 'new name', 'COLUMN'. Keys follow it; the rows stay."""
    if len(arguments) != 3 or str(arguments[2]).upper() != "COLUMN":
        raise not_supported("sp_rename of anything but a column")
    *place, old = split_name(str(arguments[0]))
    table = session.catalog.find(place[-2] if len(place) > 1 else "dbo", place[-1] if place else "")
    column = table.column(old) if table is not None else None
    if table is None or column is None:
        raise SqlError(15248, "Either the parameter @objname is ambiguous or the claimed @objtype (COLUMN) is wrong.")
    columns = tuple(
        replace(item, name=str(arguments[1])) if item.name == column.name else item for item in table.columns
    )
    refuse_new_shape(table)
    names = {column.name.lower(): str(arguments[1])}
    keys = tuple(
        replace(key, columns=tuple(names.get(item.lower(), item) for item in key.columns)) for key in table.keys
    )
    renamed = replace(table, columns=columns, keys=keys)
    with Write(session) as write:
        write.run(lambda: Alterations(session).rebuild(table, renamed))
    sink.done("EXEC", None)


def _execute_sql(session: Session, reader: TokenReader, sink: Sink, run: Callable[[object, Sink], None]) -> None:
    """EXEC sp_executesql N'statement', N'@name type, …', @name = value, …"""
    parts = [reader.until_comma()]
    while reader.accept_symbol(","):
        parts.append(reader.until_comma())
    if re.search(r"(?i)\bout(put)?\s*$", parts[-1]):
        raise not_supported("output parameters")
    sql, declaration, *_ = [*arguments(session, parts[:2], [_TEXT] * len(parts[:2])), None]
    declared = declared_parameters(str(declaration or ""))
    texts = _by_name(parts[2:], list(declared))
    if missing := next((name for name in declared if name not in texts), None):
        text = f"The parameterized query '({declaration}){sql}' expects the parameter '@{missing}', which was not supplied."
        raise SqlError(8178, text)
    kinds = [declared[name][0] for name in texts]
    values = arguments(session, list(texts.values()), kinds) if texts else []
    _run_text(session, str(sql or ""), sink, run, dict(zip(texts, zip(kinds, values, strict=True), strict=True)))


def _by_name(parts: list[str], declared: list[str]) -> dict[str, str]:
    """Each parameter's text, given by its name or in the order in which they are declared."""
    found = {}
    for place, part in enumerate(parts):
        named = re.match(r"(?s)@([\w#$@]+)\s*=\s*(.*)$", part)
        if not named and place >= len(declared):
            raise SqlError(8144, "Procedure or function sp_executesql has too many arguments specified.")
        name, text = (named.group(1).lower(), named.group(2)) if named else (declared[place], part)
        if name not in declared:
            raise SqlError(8145, f"@{name} is not a parameter for procedure sp_executesql.")
        found[name] = text
    return found


def _run_text(
    session: Session,
    sql: str,
    sink: Sink,
    run: Callable[[object, Sink], None],
    variables: dict[str, tuple[SqlType, object]] | None = None,
) -> None:
    """Runs dynamic SQL with variables of its own."""
    saved, session.variables = session.variables, variables or {}
    try:
        for statement in parse_batch(sql):
            run(statement, sink)
    finally:
        session.variables = saved


def describe(session: Session, sql: str, parameters: str, sink: Sink) -> None:
    """sp_describe_first_result_set: its columns as a result set, or its error as an error."""
    compiler = Compiler(session)
    compiler.describe(sql, parameters)
    query = description(compiler, sql, parameters)
    result = session.cursor.execute(query.sql).to_arrow_table()
    sink.columns(query.outputs)
    for batch in result.to_batches():
        sink.rows(batch, [output.type for output in query.outputs])
    sink.done("SELECT", result.num_rows)
