"""SQL that users write over the lake: what may be in it, and which tables it reads.

Guarantees: pure. Only one query passes (SELECT, WITH, UNION …), only over tables written as layer.table; anything that could
read, write or reveal something else (ATTACH, COPY, PRAGMA, read_parquet and all other table functions, settings) is refused by
name. DuckDB's own reading is compared before the text runs (`second_reading`), and the connection that runs it is confined
besides (`storage.confine`), so this is the first wall, not the only one.
"""

from sqlglot import exp

from events.names import DESTINATION
from flowforge.domain.names import TableName
from flowforge.sql_policy.functions import check_known, check_reach
from flowforge.sql_policy.parsing import NotAllowed, parse

HARMLESS_SOURCES = (exp.GenerateSeries, exp.Unnest)


def tables_read(sql: str, layers: tuple[str, ...]) -> list[TableName]:
    """The tables that a query reads, each once, in alphabetical order; raises as `table_lines` does."""
    return sorted(table_lines(sql, layers))


def table_lines(sql: str, layers: tuple[str, ...]) -> dict[TableName, int | None]:
    """The tables that a query reads, each with the line (from 1) that names it first.

    Raises NotAllowed when it is not one query, reads anything but tables of `layers`, or calls a function that reaches out.
    """
    query = one_query(sql)
    for function in query.find_all(exp.Func):
        _check_function(function, sql)
    common = {cte.alias.lower() for cte in query.find_all(exp.CTE)}
    found: dict[TableName, int | None] = {}
    for table in query.find_all(exp.Table, bfs=False):
        name = table_name(table, common, layers)
        if name is not None:
            found[name] = min(filter(None, (found.get(name), line_of(table))), default=None)
    return found


def _check_function(function: exp.Func, sql: str) -> None:
    try:
        for name in names_of(function, sql):
            check_reach(name)
        check_known(written_name(function, sql))
    except NotAllowed as error:  # only now: a line is looked for in all that the function holds
        raise NotAllowed(str(error), line_of(function), error.remedy) from error


def names_of(function: exp.Func, sql: str) -> list[str]:
    """The name by which `sql` calls a function, where it has one, and the one under which sqlglot knows it."""
    written = written_name(function, sql)
    return [name for name in (written, "" if isinstance(function, exp.Anonymous) else function.sql_name()) if name]


def written_name(function: exp.Func, sql: str) -> str:
    """The name by which `sql` calls a function; empty where it is written in another way (CAST, ::, ||, CASE)."""
    if isinstance(function, exp.Anonymous):
        return function.name
    start, end = function.meta.get("start"), function.meta.get("end")
    found = sql[start : end + 1].strip('"') if start is not None and end is not None else ""
    return found if found.isidentifier() else ""


def one_query(sql: str) -> exp.Query:
    """The syntax tree of a text that is one SELECT, WITH or UNION; raises NotAllowed for any other."""
    statements = parse(sql)
    if len(statements) != 1:
        raise NotAllowed(f"expected one query, found {len(statements)} statements")
    if not isinstance(statements[0], exp.Query):
        word = statements[0].sql(dialect="duckdb").split()[0].upper()
        raise NotAllowed(f"{word} is not allowed: expected one SELECT or WITH query")
    return statements[0]


def line_of(expression: exp.Expr) -> int | None:
    """The first line (from 1) on which something of an expression stands, where the parser noted it."""
    lines = (node.meta.get("line") for node in expression.walk())
    return min((line for line in lines if line is not None), default=None)


def table_name(table: exp.Table, common: set[str], layers: tuple[str, ...]) -> TableName | None:
    """The lake's table that a FROM names; None for a common table expression and for sources that hold their own rows."""
    if isinstance(table.this, HARMLESS_SOURCES):
        return None
    if not isinstance(table.this, exp.Identifier):
        name = table.this.name if isinstance(table.this, exp.Anonymous) else table.this.sql_name()
        raise NotAllowed(f"the table function {name.lower()} is not allowed: a query reads tables only", line_of(table))
    if not table.db and table.name.lower() in common:
        return None
    if table.catalog or table.db.lower() not in layers:
        written = ".".join(part for part in (table.catalog, table.db, table.name) if part)
        choices = " or ".join(f"{layer}.<table>" for layer in layers)
        raise NotAllowed(f"the table {written!r} is not known here: write {choices}", line_of(table))
    if not DESTINATION.fullmatch(table.name):
        raise NotAllowed(
            f"{table.name!r} names no table of the lake: letters, digits, _ and -, not a path", line_of(table)
        )
    return TableName(table.db.lower(), table.name)
