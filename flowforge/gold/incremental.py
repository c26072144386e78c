"""Which models may be built incrementally, decided from their text; any other is refused with the line and the reason.

A model is rebuilt for some keys only, when its *driving* table changed and no other input did. That is right exactly when every
row of the result depends on those rows of the driving table that have the row's own key, and on no others. It is so when

    the model is one SELECT whose FROM is the driving table, read once, joined by INNER, LEFT or CROSS JOIN to other tables
    each key column is a column of the driving table, as it is
    GROUP BY and every window's PARTITION BY contain all key columns
    there is no LIMIT, DISTINCT ON, UNION, WITH, WINDOW, SAMPLE, PIVOT, and nothing that differs from one moment to the next

Guarantees: pure. What changed in the driving table is the difference between two of its Delta versions, not a list of batches: a
batch that comes twice, late or not at all cannot mislead it, and neither can a row that went from one key to another.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlglot import exp

from flowforge.domain.given import given
from flowforge.domain.names import TableName
from flowforge.sql_policy.statements import NotAllowed, line_of, one_query, table_name

LAYERS = ("silver", "gold")
MOVING = {
    "random", "rand", "setseed", "uuid", "gen_random_uuid", "uuidv4", "uuidv7", "now", "today", "current_date",
    "current_time", "current_timestamp", "localtime", "localtimestamp", "get_current_time", "get_current_timestamp",
    "transaction_timestamp", "nextval", "currval", "txid_current", "current_localtime", "current_localtimestamp", "age",
}  # fmt: skip
CLAUSES = {
    "with_": "WITH",
    "limit": "LIMIT",
    "offset": "OFFSET",
    "sample": "USING SAMPLE",
    "windows": "WINDOW",
    "pivots": "PIVOT",
    "laterals": "LATERAL",
}


@dataclass(frozen=True)
class Driving:
    """The table whose changes are followed: `key` maps the model's key columns to the table's columns; `columns` are those
    that the model reads, in lower case (None: all)."""

    table: TableName
    key: dict[str, str]
    columns: frozenset[str] | None


def driving_table(sql: str, key: Sequence[str]) -> Driving:
    """The driving table of an incremental model. Raises NotAllowed, with the line, when the model is not of that kind."""
    select = one_query(sql)
    if not isinstance(select, exp.Select):
        raise _refused("it is not a single SELECT", select)
    if not key:
        raise _refused("primaryKey is missing: the columns that tell its rows apart", select)
    for argument, clause in CLAUSES.items():
        if found := select.args.get(argument):
            raise _refused(f"it has {clause}", found if isinstance(found, exp.Expr) else select)
    if (distinct := select.args.get("distinct")) is not None and distinct.args.get("on"):
        raise _refused("it has DISTINCT ON", distinct)
    _refuse_moving(select)
    table = _from_table(select)
    name = table_name(table, set(), LAYERS)
    _refuse_other_reads(select, table, name)
    columns = _key_columns(select, table, key)
    _check_groups(select, table, columns)
    _check_windows(select, table, columns)
    return Driving(given(name), columns, _columns_read(select))


def _refused(reason: str, at: exp.Expr) -> NotAllowed:
    return NotAllowed(f"buildStrategy incremental would be wrong: {reason}; use full", line_of(at))


def _refuse_moving(select: exp.Select) -> None:
    for function in select.find_all(exp.Func):
        name = (function.name if isinstance(function, exp.Anonymous) else function.sql_name()).lower()
        if name in MOVING:
            raise _refused(f"{name} differs from one build to the next", function)


def _from_table(select: exp.Select) -> exp.Table:
    source = select.args.get("from_")
    if source is None or not isinstance(source.this, exp.Table) or not source.this.db:
        raise _refused("its FROM does not begin with a table of silver or gold", source or select)
    if any(source.this.args.get(part) for part in ("pivots", "sample", "joins", "laterals", "version", "when")):
        raise _refused(f"it takes {source.this.name} in another form than it is stored", source)
    for join in select.args.get("joins") or []:
        side, kind, method = (str(join.args.get(part) or "").upper() for part in ("side", "kind", "method"))
        if side not in ("", "LEFT") or kind not in ("", "INNER", "CROSS", "OUTER") or method:
            raise _refused(f"it has a {' '.join(filter(None, (method, side, kind)))} JOIN", join)
        if not isinstance(join.this, exp.Table | exp.Subquery):
            raise _refused("it joins something that is not a table or a subquery", join)
    return source.this


def _refuse_other_reads(select: exp.Select, driving: exp.Table, name: TableName | None) -> None:
    common = {cte.alias.lower() for cte in select.find_all(exp.CTE)}
    for table in select.find_all(exp.Table):
        if table is not driving and table_name(table, common, LAYERS) == name:
            raise _refused(f"it reads {name} more than once", table)


def _key_columns(select: exp.Select, driving: exp.Table, key: Sequence[str]) -> dict[str, str]:
    """Each key column of the result with the driving table's column that it is."""
    outputs = {item.alias_or_name.lower(): item for item in select.expressions}
    found = {}
    for column in key:
        item = outputs.get(column.lower())
        if item is None:
            raise _refused(f"its SELECT does not name the key column {column}", select.expressions[0])
        source = _own_column(item.unalias(), select, driving)
        if source is None:
            raise _refused(f"the key column {column} is not simply a column of {driving.name}", item)
        found[column] = source
    return found


def _own_column(item: exp.Expr, select: exp.Select, driving: exp.Table) -> str | None:
    """The driving table's column that an expression is; without its table's name only where there is no other table."""
    if not isinstance(item, exp.Column) or isinstance(item.this, exp.Star):
        return None
    if not item.table:
        return None if select.args.get("joins") else item.name
    return item.name if item.table.lower() == driving.alias_or_name.lower() else None


def _check_groups(select: exp.Select, driving: exp.Table, key: dict[str, str]) -> None:
    group = select.args.get("group")
    if group is None or group.args.get("all") is True:
        return
    outputs = {item.alias_or_name.lower(): item.unalias() for item in select.expressions}
    items = [_resolved(item, select, outputs) for item in group.expressions]
    _contains_key("GROUP BY", items, select, driving, key, group)


def _resolved(item: exp.Expr, select: exp.Select, outputs: dict[str, exp.Expr]) -> exp.Expr:
    """What a position or an alias in GROUP BY stands for. A column of that name comes first, as in DuckDB."""
    if isinstance(item, exp.Literal) and item.is_int and 1 <= int(item.name) <= len(select.expressions):
        return select.expressions[int(item.name) - 1].unalias()
    if isinstance(item, exp.Column) and not item.table:
        named = outputs.get(item.name.lower())
        return named if isinstance(named, exp.Column) and named.name.lower() == item.name.lower() else item
    return item


def _check_windows(select: exp.Select, driving: exp.Table, key: dict[str, str]) -> None:
    for window in select.find_all(exp.Window):
        if window.args.get("alias"):
            raise _refused("it has a named window", window)
        if window.find_ancestor(exp.Select) is select:
            _contains_key("PARTITION BY", window.args.get("partition_by") or [], select, driving, key, window)


def _contains_key(
    clause: str, items: Iterable[exp.Expr], select: exp.Select, driving: exp.Table, key: dict[str, str], at: exp.Expr
) -> None:
    present = {(_own_column(item, select, driving) or "").lower() for item in items}
    missing = [column for column, source in key.items() if source.lower() not in present]
    if missing:
        raise _refused(f"{clause} does not contain the key column {', '.join(missing)}", at)


def _columns_read(select: exp.Select) -> frozenset[str] | None:
    """Names of all columns in the text (too many do no harm); None where a star or a whole row brings in more."""
    for star in select.find_all(exp.Star):
        if not isinstance(star.parent, exp.Count):
            return None
    if select.find(exp.Columns):
        return None
    columns = list(select.find_all(exp.Column))
    tables = {table.alias_or_name.lower() for table in select.find_all(exp.Table)}
    if any(not column.table and column.name.lower() in tables for column in columns):
        return None
    named = {part.name.lower() for column in columns for part in column.parts}
    joined = {name.name.lower() for join in select.find_all(exp.Join) for name in join.args.get("using") or []}
    return frozenset(named | joined)
