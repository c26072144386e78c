"""SQL that users write over the lake: what may be in it, and which tables it reads.

Guarantees: pure. Only one query passes (SELECT, WITH, UNION …), only over tables written as layer.table; anything that could
read, write or reveal something else (ATTACH, COPY, PRAGMA, read_parquet and all other table functions, settings) is refused by
name. The connection that runs it is confined besides (`storage.confine`), so this is the first wall, not the only one.
"""

import re

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from flowforge.lake.names import TableName

HARMLESS_SOURCES = (exp.GenerateSeries, exp.Unnest)
REVEALING = re.compile(
    r"(read|duckdb|pragma|parquet|sniff|iceberg|delta|sqlite|postgres|mysql)_.*|.*_scan|glob|query|query_table|"
    r"getenv|getvariable|current_setting|which_secret",
    re.IGNORECASE,
)


class NotAllowed(ValueError):
    """The text is not one query over the lake's tables; the message says what is in the way."""


def tables_read(sql: str, layers: tuple[str, ...]) -> list[TableName]:
    """The tables that a query reads, each once, in alphabetical order.

    Raises NotAllowed when it is not one query, reads anything but tables of `layers`, or calls a function that reaches out.
    """
    query = _one_query(sql)
    for function in query.find_all(exp.Func):
        name = function.name if isinstance(function, exp.Anonymous) else function.sql_name()
        if REVEALING.fullmatch(name):
            raise NotAllowed(f"the function {name.lower()} is not allowed: a query reads tables only")
    common = {cte.alias.lower() for cte in query.find_all(exp.CTE)}
    found = {_table(table, common, layers) for table in query.find_all(exp.Table)}
    return sorted(name for name in found if name is not None)


def _one_query(sql: str) -> exp.Query:
    try:
        statements = [statement for statement in sqlglot.parse(sql, dialect="duckdb") if statement is not None]
    except SqlglotError as error:
        raise NotAllowed(f"it cannot be read as SQL: {str(error).splitlines()[0]}") from error
    if len(statements) != 1:
        raise NotAllowed(f"expected one query, found {len(statements)} statements")
    if not isinstance(statements[0], exp.Query):
        word = statements[0].sql(dialect="duckdb").split()[0].upper()
        raise NotAllowed(f"{word} is not allowed: expected one SELECT or WITH query")
    return statements[0]


def _table(table: exp.Table, common: set[str], layers: tuple[str, ...]) -> TableName | None:
    if isinstance(table.this, HARMLESS_SOURCES):
        return None
    if not isinstance(table.this, exp.Identifier):
        name = table.this.name if isinstance(table.this, exp.Anonymous) else table.this.sql_name()
        raise NotAllowed(f"the table function {name.lower()} is not allowed: a query reads tables only")
    if not table.db and table.name.lower() in common:
        return None
    if table.catalog or table.db.lower() not in layers:
        written = ".".join(part for part in (table.catalog, table.db, table.name) if part)
        choices = " or ".join(f"{layer}.<table>" for layer in layers)
        raise NotAllowed(f"the table {written!r} is not known here: write {choices}")
    return TableName(table.db.lower(), table.name)
