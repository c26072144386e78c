"""SELECT: sources, joins, grouping, order and limits, compiled to DuckDB with the type of every output column.

Output columns are named c1, c2, ... inside DuckDB, so that unnamed, repeated or odd names never matter; references
between queries go by alias lists.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from flowforge.domain.given import given

from .asked import Asked
from .conversion import convert
from .dialect import parse_one
from .errors import SqlError, not_supported, syntax_error
from .expressions import Expressions
from .masks import mask_of
from .predicates import ordered
from .scopes import Output, Query, Scope
from .script import Simple, parse_batch
from .sources import Sources, names_of, refuse_in_subquery, renamed
from .tables import quote
from .types import SqlType
from .values import INT, Typed, common_type
from .variables import declared_parameters

if TYPE_CHECKING:
    from .session import Session

_KNOWN_ARGUMENTS = {
    "expressions", "from_", "joins", "where", "group", "having", "order", "limit", "offset", "distinct", "with_", "options",
    "kind", "operation_modifiers", "into", "hint",
}  # fmt: skip


class Compiler(Asked):
    """Compiles the queries of one statement, with the session's parameters and clock."""

    def __init__(self, session: Session):
        super().__init__(session)
        self.expressions = Expressions(self)
        self.sources = Sources(self)

    def describe(self, sql: str, parameters: str) -> tuple[Output, ...]:
        """The columns of the first result set of `sql`, without running it."""
        session = self.session
        saved = session.variables
        session.variables = saved | declared_parameters(parameters)
        try:
            for statement in parse_batch(sql):
                if isinstance(statement, Simple) and statement.keyword in ("SELECT", "WITH", "("):
                    compiler = Compiler(session)
                    query = compiler.query(parse_one(statement.text), None)
                    session.cursor.execute(f"EXPLAIN {query.sql}", compiler.used_binds(query.sql)).fetchall()
                    return query.outputs
        finally:
            session.variables = saved
        return ()

    # --- queries

    def query(self, node: exp.Expr, parent: Scope | None) -> Query:
        """Compiles a SELECT, a set operation, VALUES, or one of these in parentheses."""
        if isinstance(node, exp.Subquery):
            if node.args.get("order") or node.args.get("limit"):
                raise not_supported("ORDER BY on a query in parentheses")
            return self.query(node.this, parent)
        if isinstance(node, exp.SetOperation):
            return self._set_operation(node, parent)
        if isinstance(node, exp.Values):
            return self.values(node, Scope(parent))
        if not isinstance(node, exp.Select):
            raise syntax_error(node.sql("tsql")[:30])
        return self._select(node, parent)

    def _with(self, node: exp.Expr, scope: Scope) -> str:
        with_ = node.args.get("with_")
        if with_ is None:
            return ""
        parts = []
        for cte in with_.expressions:
            refuse_in_subquery(cte.this)
            query = self.query(cte.this, scope)
            outputs = renamed(query.outputs, [item.name for item in cte.args["alias"].columns], cte.alias)
            scope.ctes[cte.alias.lower()] = outputs
            parts.append(f"{quote(cte.alias)}({names_of(outputs)}) AS ({query.sql})")
        return f"WITH {', '.join(parts)} "

    def _select(self, node: exp.Select, parent: Scope | None) -> Query:
        for name, value in node.args.items():
            if value and name not in _KNOWN_ARGUMENTS:
                raise not_supported(f"{name.strip('_').upper()} in a SELECT")
        scope = Scope(parent)
        prefix = self._with(node, scope)
        from_sql = self.sources.clause(node, scope)
        columns = [item for projection in node.expressions for item in self.projection(projection, scope)]
        masks = [mask for projection in node.expressions for mask in _masks(projection, scope)]
        if not columns:
            raise syntax_error("SELECT")
        parts = [", ".join(f"{value.sql} AS c{i}" for i, (_, value) in enumerate(columns, 1))]
        if node.args.get("distinct"):
            parts[0] = "DISTINCT " + parts[0]
        parts.append(from_sql)
        parts += self._filters(node, scope)
        parts.append(self._order(node, scope, columns))
        parts.append(self._limit(node, scope))
        sql = f"{prefix}SELECT {' '.join(part for part in parts if part)}"
        outputs = (
            Output(name, value.kind, value.nullable, mask=mask)
            for (name, value), mask in zip(columns, masks, strict=True)
        )
        return Query(sql, tuple(outputs))

    def projection(self, node: exp.Expr, scope: Scope) -> list[tuple[str, Typed]]:
        if isinstance(node, exp.Star):
            return [(output.name, value) for output, value in scope.star()]
        if isinstance(node, exp.Column) and isinstance(node.this, exp.Star):
            return [(output.name, value) for output, value in scope.star(node.table)]
        name = node.alias if isinstance(node, exp.Alias) else node.name if isinstance(node, exp.Column) else ""
        if name.upper() == "CURRENT_TIMESTAMP" and not isinstance(node, exp.Alias):
            name = ""
        value = self.expressions.value(node.this if isinstance(node, exp.Alias) else node, scope)
        if value.type is None:
            value = Typed("CAST(NULL AS INTEGER)", INT)
        return [(name, value)]

    def _filters(self, node: exp.Select, scope: Scope) -> list[str]:
        parts = []
        if where := node.args.get("where"):
            parts.append(f"WHERE {self.expressions.predicate(where.this, scope)}")
        if group := node.args.get("group"):
            if any(value for name, value in group.args.items() if name != "expressions"):
                raise not_supported("ROLLUP, CUBE and GROUPING SETS")
            keys = [self.expressions.value(item, scope).sql for item in group.expressions]
            parts.append("GROUP BY " + ", ".join(keys))
        if having := node.args.get("having"):
            parts.append(f"HAVING {self.expressions.predicate(having.this, scope)}")
        return parts

    def _order(self, node: exp.Expr, scope: Scope, columns: list[tuple[str, Typed]], by_position: bool = False) -> str:
        order = node.args.get("order")
        if order is None:
            return ""
        by_position = by_position or bool(node.args.get("distinct") and isinstance(node, exp.Select))
        items = []
        for item in order.expressions:
            key, descending = item.this, bool(item.args.get("desc"))
            index = _position(key, columns)
            if index is None and by_position:
                raise SqlError(
                    104,
                    "ORDER BY items must appear in the select list if the statement contains a set operator or DISTINCT.",
                )
            value = self.expressions.value(key, scope) if index is None else columns[index][1]
            if index is not None and by_position:
                value = Typed(f"c{index + 1}", value.type)
            if value.type is not None:
                items.append(ordered(value, descending))
        return "ORDER BY " + ", ".join(items) if items else ""

    def _limit(self, node: exp.Expr, scope: Scope) -> str:
        limit, offset, parts = node.args.get("limit"), node.args.get("offset"), []
        if limit is not None:
            options = limit.args.get("limit_options")
            if options is not None and (options.args.get("percent") or options.args.get("with_ties")):
                raise not_supported("TOP with PERCENT or WITH TIES")
            count = limit.args.get("count") if isinstance(limit, exp.Fetch) else limit.expression
            parts.append(f"LIMIT {convert(self.expressions.value(given(count), scope), SqlType('bigint')).sql}")
        if offset is not None:
            parts.append(f"OFFSET {convert(self.expressions.value(offset.expression, scope), SqlType('bigint')).sql}")
        return " ".join(parts)

    # --- set operations and VALUES

    def _set_operation(self, node: exp.SetOperation, parent: Scope | None) -> Query:
        scope = Scope(parent)
        prefix = self._with(node, scope)
        left, right = self.query(node.this, scope), self.query(node.expression, scope)
        if len(left.outputs) != len(right.outputs):
            raise SqlError(
                205,
                "All queries combined using a UNION, INTERSECT or EXCEPT operator "
                "must have an equal number of expressions in their target lists.",
            )
        outputs = tuple(
            Output(
                first.name,
                given(common_type(first.type, second.type)),
                first.nullable or second.nullable,
                mask=first.mask or second.mask,
            )
            for first, second in zip(left.outputs, right.outputs, strict=True)
        )
        word = {exp.Union: "UNION", exp.Except: "EXCEPT", exp.Intersect: "INTERSECT"}[type(node)]
        word += "" if node.args.get("distinct") else " ALL"
        sql = f"{_recast(left, outputs)} {word} {_recast(right, outputs)}"
        columns = [(output.name, Typed(f"c{i}", output.type)) for i, output in enumerate(outputs, 1)]
        tail = [self._order(node, scope, columns, by_position=True), self._limit(node, scope)]
        return Query(prefix + " ".join(part for part in [sql, *tail] if part), outputs)

    def values(self, node: exp.Values, scope: Scope) -> Query:
        rows = [[self.expressions.value(item, scope) for item in row.expressions] for row in node.expressions]
        if len({len(row) for row in rows}) != 1:
            raise SqlError(10709, "The number of columns for each row in a table value constructor must be the same.")
        columns = [self.expressions.unite(list(column)) for column in zip(*rows, strict=True)]
        text = ", ".join("(" + ", ".join(column[i].sql for column in columns) + ")" for i in range(len(rows)))
        names = ", ".join(f"c{i}" for i in range(1, len(columns) + 1))
        outputs = tuple(Output("", column[0].kind, any(item.nullable for item in column)) for column in columns)
        return Query(f"SELECT {names} FROM (VALUES {text}) AS v({names})", outputs)


def _masks(node: exp.Expr, scope: Scope) -> list[str | None]:
    """The mask of each column that a projection gives."""
    if isinstance(node, exp.Star):
        return [output.mask for output, _ in scope.star()]
    if isinstance(node, exp.Column) and isinstance(node.this, exp.Star):
        return [output.mask for output, _ in scope.star(node.table)]
    return [mask_of(node, scope)]


def _recast(query: Query, outputs: tuple[Output, ...]) -> str:
    """The query with its columns converted to these outputs' types."""
    if all(a.type == b.type for a, b in zip(query.outputs, outputs, strict=True)):
        return f"({query.sql})"
    columns = [
        f"{convert(Typed(f'u.c{i}', source.type), target.type).sql} AS c{i}"
        for i, (source, target) in enumerate(zip(query.outputs, outputs, strict=True), 1)
    ]
    names = ", ".join(f"c{i}" for i in range(1, len(outputs) + 1))
    return f"(SELECT {', '.join(columns)} FROM ({query.sql}) AS u({names}))"


def _position(key: exp.Expr, columns: list[tuple[str, Typed]]) -> int | None:
    """The output column that an ORDER BY item means: a number, or an output's name."""
    if isinstance(key, exp.Literal) and not key.is_string:
        if not 1 <= int(key.name) <= len(columns):
            raise SqlError(
                108,
                f"The ORDER BY position number {key.name} is out of range of the number of items in the select list.",
            )
        return int(key.name) - 1
    if isinstance(key, exp.Column) and not key.table:
        return next((i for i, (name, _) in enumerate(columns) if name.lower() == key.name.lower()), None)
    return None
