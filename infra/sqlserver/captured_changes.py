"""cdc.fn_cdc_get_all_changes_<capture instance>(from, to, 'all' | 'all update old'): the captured rows of a range of commits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from flowforge.domain.given import given

from .capture import LSN
from .conversion import convert
from .errors import SqlError, invalid_object, not_supported
from .scopes import Output, Query, Scope
from .tables import quote
from .types import SqlType
from .values import quote_text

if TYPE_CHECKING:
    from .compiling import Compiling

ALL, NET = "fn_cdc_get_all_changes_", "fn_cdc_get_net_changes_"


def captured_changes(name: str, arguments: list[exp.Expr], compiler: Compiling, scope: Scope) -> Query:
    """Compiles the function. A range out of what the log holds raises 313, as the real one does for want of another way."""
    session, instance = compiler.session, name[len(ALL) :]
    session.server.capture.check(f"cdc.{name}")
    if name.lower().startswith(NET):
        raise not_supported("net changes")
    found = session.cursor.execute(
        "SELECT capture_instance, start_lsn FROM meta.captures WHERE lower(capture_instance) = lower(?)", [instance]
    ).fetchone()
    if found is None:
        raise invalid_object(f"cdc.{name}")
    refusal = f"An insufficient number of arguments were supplied for the procedure or function cdc.{ALL}"
    if len(arguments) != 3:
        raise SqlError(313, f"{refusal}{found[0]}.", 16, 3)
    table = given(session.catalog.find("cdc", f"{found[0]}_CT"))
    low, high = (convert(compiler.expressions.value(item, scope), LSN).sql for item in arguments[:2])
    asked = convert(compiler.expressions.value(arguments[2], scope), SqlType("nvarchar", 30)).sql
    option = f"lower(trim({asked}))"
    first, last = f"lsn_bytes({found[1]})", "(SELECT lsn_bytes(max(lsn)) FROM meta.lsns)"
    in_range = f"{low} >= {first} AND {high} <= {last} AND {low} <= {high}"
    is_told = f"coalesce({in_range} AND {option} IN ('all', 'all update old'), false)"
    columns = [column for column in table.columns if column.name != "__$end_lsn"]
    names = ", ".join(quote(column.name) for column in columns)
    nothing = ", ".join(f"CAST(NULL AS {column.type.duckdb})" for column in columns)
    # A branch of its own, so that it is asked where there are no rows, too.
    checked = (
        f"SELECT {nothing} WHERE CASE WHEN {is_told} THEN false ELSE error({quote_text(f'#313#{refusal} ... .')}) END"
    )
    rows = (
        f'SELECT {names} FROM {table.storage} WHERE "__$start_lsn" BETWEEN {low} AND {high}'
        f" AND (\"__$operation\" <> 3 OR {option} = 'all update old')"
    )
    return Query(f"{checked} UNION ALL {rows}", tuple(Output(column.name, column.type) for column in columns))
