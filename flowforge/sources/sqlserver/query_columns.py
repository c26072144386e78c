"""The columns of a query, as the server's own analysis has them; the query is not run."""

from typing import Any

from flowforge.domain.errors import FlowForgeError, QueryRefused, UnsupportedSource
from flowforge.domain.source_columns import SourceColumn
from flowforge.sources.sqlserver import catalog_sql
from flowforge.sources.sqlserver.connection import SourceConnection
from flowforge.sources.sqlserver.failures import described, is_lacking
from flowforge.sources.sqlserver.neutral_types import neutral_fields
from flowforge.sources.sqlserver.optional import optional_rows, refused
from flowforge.sources.sqlserver.query_text import read_query
from flowforge.sources.sqlserver.sql_types import parse_sql_type
from flowforge.sources.sqlserver.statement import Statement

NO_PROCEDURE = 2812
INSIDE = {
    1033: "the query is read inside another one: leave ORDER BY out, or give it TOP",
    8155: "name every column with AS",
    8156: "give each column a name of its own",
}


def describe_query(connection: SourceConnection, sql: str) -> list[SourceColumn]:
    """The columns that a query returns, as the server's own analysis has them; the query is not run.

    Raises UnknownTable, UnknownColumn or QueryRefused for what the server refuses, UnsupportedSource for columns
    without a name or with the same name.
    """
    rows = _described(connection, read_query(sql).written)
    names = [row["name"] for row in rows]
    if not all(names):
        at = [str(n + 1) for n, name in enumerate(names) if not name]
        raise UnsupportedSource(f"the query's columns {', '.join(at)} have no name", "name them with AS")
    twice = sorted({n for n in names if [m.lower() for m in names].count(n.lower()) > 1})
    if twice:
        raise UnsupportedSource(
            f"the query returns {', '.join(twice)} more than once", "give each column a name of its own"
        )
    columns = []
    for row in rows:
        sql_type = row["system_type_name"] or row["user_type_name"] or "?"
        declared = _known_type(sql_type, row["name"], "the query")
        described = {"nullable": bool(row["is_nullable"]), "collation": row.get("collation_name")}
        columns.append(SourceColumn(name=row["name"], sql_type=declared, **neutral_fields(declared), **described))
    return columns


def check_statement(connection: SourceConnection, statement: Statement) -> None:
    """Lets the server describe the very statement that will read a query. Raises QueryRefused for what only shows inside another
    query: an ORDER BY, a column without a name or with another's."""
    _described(connection, statement.inlined())


def _described(connection: SourceConnection, sql: str) -> list[dict[str, Any]]:
    rows = _first_result_set(connection, sql)
    failed = next((r for r in rows if r["error_number"]), None)
    if failed or not rows:
        _refuse_query(connection, failed)
    return rows


def _first_result_set(connection: SourceConnection, sql: str) -> list[dict[str, Any]]:
    """What the server says of a query's columns, by its function, or where it has none by its procedure.

    The procedure raises what is wrong with the query, where the function describes it.
    """
    found = optional_rows(connection, catalog_sql.DESCRIBE, (sql,), about="the query")
    if found is not None:
        return found
    try:
        rows = connection.rows(catalog_sql.DESCRIBE_BY_PROCEDURE, (sql,), about="the query")
    except FlowForgeError as error:
        if error.number == NO_PROCEDURE or (is_lacking(error) and "describe_first_result_set" in str(error)):
            raise refused(connection, "sp_describe_first_result_set", error, "load a table or a view") from error
        raise
    return [{**row, "error_number": None} for row in rows if not row["is_hidden"]]


def _known_type(sql_type: str, column: str, where: str) -> str:
    try:
        parsed = parse_sql_type(sql_type)
    except UnsupportedSource as error:
        raise UnsupportedSource(f"{where}, column {column!r}: {error}", error.remedy) from error
    return sql_type if sql_type.lower().startswith("numeric") else parsed.declaration


def _refuse_query(connection: SourceConnection, failed: dict[str, Any] | None) -> None:
    if failed is None:
        raise QueryRefused(f"the query returns no columns at {connection.where}", "give one SELECT that returns rows")
    error = described(failed["error_number"], failed["error_message"], f"the query at {connection.where}")
    error.remedy = INSIDE.get(failed["error_number"], error.remedy)
    raise error
