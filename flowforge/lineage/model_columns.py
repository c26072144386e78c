"""Column lineage of a gold model, from its SQL and the columns of the tables that it reads.

Guarantees: pure. A model that sqlglot cannot take apart (a column that nobody has, SQL that it does not know) has no column
lineage; it never fails the event. Names of the result are those of the SQL in lower case: DuckDB does not tell them apart either.
"""

from collections.abc import Iterator, Mapping, Sequence

from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import Scope, build_scope

from flowforge.lineage.origins import (
    AGGREGATION,
    IDENTITY,
    INDIRECT,
    TRANSFORMATION,
    ColumnLineage,
    Origin,
    Role,
    decides,
)
from flowforge.sql_policy.statements import NotAllowed, one_query

MASKS = (exp.MD5, exp.MD5Digest, exp.SHA, exp.SHA2, exp.Count)
PASSES = (exp.Alias, exp.Paren)


def model_columns(sql: str, columns: Mapping[str, Sequence[str]]) -> ColumnLineage:
    """The origins of a query's columns; `columns` are those of the tables that it reads (silver.x, gold.y)."""
    try:
        query = qualify(
            one_query(sql), schema=_schema(columns), dialect="duckdb", validate_qualify_columns=False, identify=False
        )
        root = build_scope(query)
    except (SqlglotError, NotAllowed, RecursionError):
        return ColumnLineage()
    return _Trace().of(root) if root is not None else ColumnLineage()


def _schema(columns: Mapping[str, Sequence[str]]) -> dict[str, object]:
    schema: dict[str, dict[str, dict[str, str]]] = {}
    for name, present in columns.items():
        layer, _, table = name.partition(".")
        schema.setdefault(layer, {})[table] = dict.fromkeys(present, "VARCHAR")
    return {**schema}


class _Trace:
    """One walk through the scopes of a query; each output column of a scope is traced once."""

    def __init__(self) -> None:
        self.known: dict[tuple[int, str], set[Origin]] = {}
        self.deciding: dict[int, set[Origin]] = {}

    def of(self, root: Scope) -> ColumnLineage:
        fields = {name: frozenset(self.output(root, name)) for name in _outputs(root)}
        return ColumnLineage(fields, frozenset(self.rows(root)))

    def output(self, scope: Scope, name: str) -> set[Origin]:
        """The origins of one output column of a scope."""
        place = (id(scope), name.lower())
        if place not in self.known:
            self.known[place] = set()  # a query that reads itself adds nothing to what it begins with
            self.known[place] = self._output(scope, name)
        return self.known[place]

    def _output(self, scope: Scope, name: str) -> set[Origin]:
        if scope.set_operation_scopes:
            return {origin for branch, column in _branches(scope, name) for origin in self.output(branch, column)}
        if not isinstance(scope.expression, exp.Select):  # UNNEST and the like: what it is made of
            return set(self.expression(scope.expression, scope, TRANSFORMATION))
        found = [select for select in scope.expression.selects if select.alias_or_name.lower() == name.lower()]
        return {origin for select in found for origin in self.expression(select, scope, IDENTITY)}

    def expression(self, node: exp.Expr, scope: Scope, role: Role) -> Iterator[Origin]:
        """The origins of an expression in a scope."""
        if isinstance(node, exp.Column):
            for origin in self._column(node, scope):
                yield origin.within(role)
        elif isinstance(node, exp.Query):
            yield from self._nested(node, scope, role)
        else:
            for child, inner in _children(node):
                yield from self.expression(child, scope, inner.within(role))

    def _column(self, column: exp.Column, scope: Scope) -> set[Origin]:
        if not column.table and column.name.lower() in map(str.lower, _outputs(scope)):
            return self.output(scope, column.name)  # ORDER BY the name of a column of the result
        source, here = None, scope
        while here is not None and (source := here.sources.get(column.table)) is None:
            here = here.parent
        if isinstance(source, Scope):
            return self.output(source, column.name)
        if isinstance(source, exp.Table):
            return {Origin(f"{source.db}.{source.name}", column.name)}
        return set()

    def _nested(self, node: exp.Expr, scope: Scope, role: Role) -> Iterator[Origin]:
        inner = node.unnest() if isinstance(node, exp.Subquery) else node
        for nested in scope.subquery_scopes:
            if nested.expression is inner:
                for name in _outputs(nested):
                    for origin in self.output(nested, name):
                        yield origin.within(TRANSFORMATION).within(role)
                yield from (origin.within(role) for origin in decides("CONDITIONAL", self.rows(nested)))

    def rows(self, scope: Scope) -> set[Origin]:
        """What decides which rows a scope has: its own clauses, and those of what it reads."""
        if id(scope) not in self.deciding:
            self.deciding[id(scope)] = set()
            read = [source for _, source in scope.selected_sources.values() if isinstance(source, Scope)]
            found = {origin for source in [*scope.set_operation_scopes, *read] for origin in self.rows(source)}
            for how, node in _clauses(scope.expression):
                found |= decides(how, self.expression(node, scope, Role(INDIRECT, how)))
            self.deciding[id(scope)] = found
        return self.deciding[id(scope)]


def _outputs(scope: Scope) -> list[str]:
    query = scope.expression
    return [name for name in query.named_selects if name != "*"] if isinstance(query, exp.Query | exp.UDTF) else []


def _branches(scope: Scope, name: str) -> Iterator[tuple[Scope, str]]:
    """The columns of which a UNION makes its column `name`: those in its place, or of its name."""
    place = [one.lower() for one in _outputs(scope)].index(name.lower())
    for branch in scope.set_operation_scopes:
        names = _outputs(branch)
        if scope.expression.args.get("by_name"):
            yield from ((branch, one) for one in names if one.lower() == name.lower())
        elif place < len(names):
            yield branch, names[place]


def _children(node: exp.Expr) -> Iterator[tuple[exp.Expr, Role]]:
    """The parts of an expression, each with what it does for the whole."""
    if isinstance(node, exp.Window):
        deciding: tuple[str, ...] = ("partition_by", "order", "spec")
        how = "WINDOW"
    elif isinstance(node, exp.Filter):
        deciding, how = ("expression",), "FILTER"
    elif isinstance(node, exp.If | exp.Case):
        deciding, how = ("this",), "CONDITIONAL"
    else:
        deciding, how = (), ""
    direct = IDENTITY if isinstance(node, (*PASSES, exp.Window, exp.Filter)) else TRANSFORMATION
    if isinstance(node, exp.AggFunc):
        direct = AGGREGATION
    if isinstance(node, MASKS):
        direct = Role(direct.kind, direct.how, masking=True)
    for name, value in node.args.items():
        role = Role(INDIRECT, how) if name in deciding else direct
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, exp.Expr):
                yield child, role


def _clauses(query: exp.Expr) -> Iterator[tuple[str, exp.Expr]]:
    """The clauses of one SELECT that decide about its rows."""
    if not isinstance(query, exp.Select):
        return
    for name, how in (("where", "FILTER"), ("having", "FILTER"), ("qualify", "FILTER"), ("order", "SORT")):
        if (clause := query.args.get(name)) is not None:
            yield how, clause
    for join in query.args.get("joins") or []:
        if (condition := join.args.get("on")) is not None:
            yield "JOIN", condition
    for window in query.args.get("windows") or []:
        yield "WINDOW", window
    if (group := query.args.get("group")) is not None:
        yield "GROUP_BY", group
        if group.args.get("all"):
            yield from (("GROUP_BY", select) for select in query.selects if not select.find(exp.AggFunc))
