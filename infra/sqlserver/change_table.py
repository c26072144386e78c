"""CHANGETABLE(CHANGES table, version): each key that has changed since, once, with what became of it in all.

What it gives is what a SQL Server 2025 gave, by tests that others have published: a key that was not there at the version is I,
whatever happened since; one that was there and is, U; one that is not there any more, D. A version below what clean-up has left
is not refused: what is gone is missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from flowforge.domain.given import given

from .conversion import convert
from .errors import SqlError, invalid_object, syntax_error
from .scopes import Output, Query, Scope
from .snapshots import find_table
from .tables import quote
from .tracked_tables import RIGHT, key_names, may_see
from .tracking import side_of
from .types import SqlType
from .values import BIGINT
from .variables import split_name

if TYPE_CHECKING:
    from .compiling import Compiling
    from .tables import Table

_COLUMNS = (
    Output("SYS_CHANGE_VERSION", BIGINT), Output("SYS_CHANGE_CREATION_VERSION", BIGINT),
    Output("SYS_CHANGE_OPERATION", SqlType("nchar", 1)), Output("SYS_CHANGE_COLUMNS", SqlType("varbinary", 4100)),
    Output("SYS_CHANGE_CONTEXT", SqlType("varbinary", 128)),
)  # fmt: skip


def changes(arguments: list[exp.Expr], compiler: Compiling, scope: Scope) -> Query:
    """Compiles CHANGETABLE; its first argument is the table's name as `dialect` has left it."""
    if len(arguments) != 2:
        raise syntax_error(")")
    table = _tracked(arguments[0].name, compiler)
    since = arguments[1]
    plain = isinstance(since, (exp.Parameter, exp.Null)) or _is_integer(since)
    if not plain:
        raise syntax_error(since.sql("tsql")[:30])
    version = convert(compiler.expressions.value(since, scope), BIGINT).sql
    keys = [given(table.column(name)) for name in key_names(table)]
    names = ", ".join(quote(column.name) for column in keys)
    first_cleaned = compiler.session.server.tracking.cleaned(table.object_id)
    logged = (
        f"SELECT s.*, c.version FROM {side_of(table.object_id)} s JOIN meta.commits c USING (xdes)"
        f" WHERE c.version > {first_cleaned} AND c.version > coalesce({version}, 0) AND coalesce({version}, 0) >= 0"
    )
    last, first = "last(op ORDER BY place)", "first(op ORDER BY place)"
    operation = f"CASE WHEN {last} = 'D' THEN 'D' WHEN {first} = 'I' THEN 'I' ELSE 'U' END"
    created = "max(version) FILTER (op = 'I')"
    spelled = ", ".join(f"first({quote(column.name)} ORDER BY place)" for column in keys)
    sql = (
        f"SELECT max(version), {created}, {operation}, CAST(NULL AS BLOB), CAST(NULL AS BLOB), {spelled}"
        f" FROM ({logged}) GROUP BY {names}"
    )
    return Query(sql, (*_COLUMNS, *(Output(column.name, column.type, False) for column in keys)))


def _is_integer(node: exp.Expr) -> bool:
    inner = node.this if isinstance(node, exp.Neg) else node
    return isinstance(inner, exp.Literal) and not inner.is_string and str(inner.this).isdigit()


def _tracked(written: str, compiler: Compiling) -> Table:
    session = compiler.session
    *place, name = split_name(written)
    table = find_table(session, place[-1] if place else "dbo", name)
    shown = written.replace("[", "").replace("]", "")
    if table is None:
        raise invalid_object(shown)
    if table.definition is not None:
        text = "is of a data type that is not supported by the CHANGETABLE function. The object must be a user-defined table."
        raise SqlError(22107, f"Object '{shown}' {text}")
    if not table.is_tracked:
        raise SqlError(22105, f"Change tracking is not enabled on table '{shown}'.")
    if not may_see(session, table):
        where = f"on the object '{table.name}', database '{session.server.database}', schema '{table.schema}'."
        raise SqlError(229, f"The {RIGHT} permission was denied {where}", 14, 5)
    return table
