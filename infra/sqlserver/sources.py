"""FROM: tables, views, derived tables, functions and CTEs, and the joins between them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sqlglot import exp

from . import table_functions
from .dialect import parse_shared
from .errors import SqlError, invalid_object, not_supported, syntax_error
from .scopes import Output, Scope, Source
from .snapshots import check_read_past, find_table
from .system_views import find_view
from .tables import quote

if TYPE_CHECKING:
    from .compiling import Compiling, ShownView
    from .tables import Table
    from .view_text import SystemView


class Sources:
    """Compiles FROM clauses; every source found is added to the scope."""

    def __init__(self, compiler: Compiling):
        self._compiler = compiler

    def clause(self, node: exp.Expr, scope: Scope) -> str:
        """The DuckDB text of a FROM clause with its joins; empty where there is none."""
        from_ = node.args.get("from_")
        if from_ is None:
            return ""
        sql = "FROM " + self.joined(from_.this, scope)
        for join in node.args.get("joins") or []:
            sql += self._join(join, scope)
        return sql

    def joined(self, node: exp.Expr, scope: Scope) -> str:
        """A source with the joins that hang on it."""
        joins = node.args.get("joins") or []
        sql = self._source(node, scope)
        for join in joins:
            sql += self._join(join, scope)
        return sql

    def _join(self, join: exp.Join, scope: Scope) -> str:
        side, kind = (join.side or "").upper(), (join.kind or "").upper()
        if isinstance(join.this, exp.Lateral):
            return self._apply(join.this, scope)
        source = self.joined(join.this, scope)
        condition = join.args.get("on")
        if condition is None:
            return f", {source}" if not kind and not side else f" CROSS JOIN {source}"
        words = " ".join(word for word in (side, kind if kind != "OUTER" else "", "JOIN") if word)
        return f" {words} {source} ON {self._compiler.expressions.predicate(condition, scope)}"

    def _apply(self, lateral: exp.Lateral, scope: Scope) -> str:
        query = self._compiler.query(lateral.this, scope)
        alias = lateral.args["alias"]
        outputs = renamed(query.outputs, [item.name for item in alias.columns], alias.name)
        scope.sources.append(Source(alias.name, outputs))
        join = "CROSS JOIN" if lateral.args.get("cross_apply") else "LEFT JOIN"
        tail = "" if lateral.args.get("cross_apply") else " ON true"
        return f" {join} LATERAL ({query.sql}) AS {quote(alias.name)}({names_of(outputs)}){tail}"

    def _source(self, node: exp.Expr, scope: Scope) -> str:
        if isinstance(node, (exp.Subquery, exp.Values)):
            alias = node.args.get("alias")
            if alias is None or not alias.name:
                raise syntax_error(")")
            if isinstance(node, exp.Subquery):
                refuse_in_subquery(node.this)
            query = (
                self._compiler.values(node, scope)
                if isinstance(node, exp.Values)
                else self._compiler.query(node.this, Scope(scope.parent, ctes=scope.ctes))
            )
            outputs = renamed(query.outputs, [item.name for item in alias.columns], alias.name)
            scope.sources.append(Source(alias.name, outputs))
            return f"({query.sql}) AS {quote(alias.name)}({names_of(outputs)})"
        if not isinstance(node, exp.Table):
            raise not_supported(f"this source: {node.sql('tsql')[:80]}")
        if isinstance(node.this, exp.Anonymous):
            return self._function_source(node, scope)
        return self._table(node, scope)

    def _function_source(self, node: exp.Table, scope: Scope) -> str:
        if node.this.name.upper() == "CHANGETABLE" and not node.alias:
            raise SqlError(22104, "A table returned by the CHANGETABLE function must be aliased.")
        query = table_functions.call(node.this.name, node.this.expressions, self._compiler, scope)
        alias = node.alias or node.this.name
        names = [item.name for item in node.args["alias"].columns] if node.args.get("alias") else []
        outputs = renamed(query.outputs, names, alias)
        scope.sources.append(Source(alias, outputs))
        return f"({query.sql}) AS {quote(alias)}({names_of(outputs)})"

    def _table(self, node: exp.Table, scope: Scope) -> str:
        schema, name, alias = node.text("db"), node.name, node.alias or node.name
        asked = self._compiler
        catalog, shown = node.text("catalog"), f"{schema or 'dbo'}.{name}"
        asked.fact(lambda session: session.check_database(catalog, shown))
        if not schema and (outputs := scope.cte(name)) is not None:
            scope.sources.append(Source(alias, outputs))
            return f"{quote(name)} AS {quote(alias)}"
        if (view := find_view(schema, name, asked.release)) is not None:
            return self._view(view, f"{schema}.{name}".lower(), alias, schema, scope)
        table = asked.fact(lambda session: find_table(session, schema or "dbo", name))
        if table is None and (base := asked.fact(lambda session: session.catalog.synonym(schema or "dbo", name))):
            asked.fact(lambda session: session.check_database(base[-3] if len(base) > 2 else "", ".".join(base)))
            table = asked.fact(lambda session: find_table(session, base[-2] if len(base) > 1 else "dbo", base[-1]))
        if table is None:
            raise invalid_object(f"{schema}.{name}" if schema else name)
        if table.definition is not None:
            query = self._compiler.query(parse_shared(table.definition), None)
            masks = [output.mask for output in query.outputs]
        else:
            masks = asked.fact(lambda session: [session.mask_of(table, column) for column in table.columns])
        if (hints := _hints(node)) and "READPAST" in hints:
            asked.fact(lambda session: check_read_past(session, hints))
        outputs = tuple(
            Output(c.name, c.type, c.nullable, c.seed is not None, mask, c.traits.is_hidden)
            for c, mask in zip(table.columns, masks, strict=True)
        )
        scope.sources.append(Source(alias, outputs, table.schema))
        if table.definition is not None:
            return f"({query.sql}) AS {quote(alias)}({names_of(outputs)})"
        return f"{self._shown(table, outputs)} AS {quote(alias)}"

    def _shown(self, table: Table, outputs: tuple[Output, ...]) -> str:
        """The rows of a table that its security policies let through; all of them where it has none."""
        judges = self._compiler.fact(lambda session: session.server.policies.judging(table, "judged"))
        if not judges:
            return table.storage
        scope = Scope(sources=[Source("judged", outputs)])
        tests = " AND ".join(f"EXISTS ({self._compiler.query(judge, scope).sql})" for judge in judges)
        return f"(SELECT * FROM {table.storage} AS judged WHERE {tests})"

    def _view(self, view: SystemView, key: str, alias: str, schema: str, scope: Scope) -> str:
        """A system view, with the columns that the server's profile has."""
        asked = self._compiler
        asked.profile.check_view(key)
        if key not in asked.shown_views:
            asked.shown_views[key] = _shown_view(view, asked)
        outputs, columns, names, listed = asked.shown_views[key]
        scope.sources.append(Source(alias, outputs, schema))
        return f"(SELECT {columns} FROM ({asked.fact(view.sql)}) AS v({names})) AS {quote(alias)}({listed})"


def _hints(node: exp.Table) -> list[str]:
    """The table's hints, in capitals."""
    return [word.name.upper() for hint in node.args.get("hints") or [] for word in hint.expressions]


def _shown_view(view: SystemView, asked: Compiling) -> ShownView:
    """The columns of a system view that this server has: typed, as they are selected from `v`, all of `v`, and by name."""
    kept = [(name, kind) for name, kind, since in view.columns if since <= asked.release]
    # Names are compared as the database compares text.
    kinds = [(name, replace(kind, collation=asked.collation) if kind.is_character else kind) for name, kind in kept]
    outputs = tuple(Output(name, kind) for name, kind in kinds)
    names = ", ".join(quote(name) for name, _, _ in view.columns)
    columns = ", ".join(asked.profile.shown(name, kind.base) for name, kind in kept)
    return outputs, columns, names, names_of(outputs)


def refuse_in_subquery(node: exp.Expr) -> None:
    """What SQL Server takes of a statement and not of a derived table, a view or a WITH."""
    if node.args.get("order") and not node.args.get("limit") and not node.args.get("offset"):
        raise SqlError(
            1033,
            "The ORDER BY clause is invalid in views, inline functions, derived tables, subqueries, and common table "
            "expressions, unless TOP, OFFSET or FOR XML is also specified.",
        )
    if node.args.get("with_"):
        raise SqlError(156, "Incorrect syntax near the keyword 'WITH'.", 15)
    if node.args.get("options"):
        raise SqlError(156, "Incorrect syntax near the keyword 'OPTION'.", 15)


def names_of(outputs: tuple[Output, ...]) -> str:
    """The quoted names of outputs, as a list of columns."""
    return ", ".join(quote(output.name) for output in outputs)


def renamed(outputs: tuple[Output, ...], names: list[str], alias: str) -> tuple[Output, ...]:
    """The outputs of a derived table, under the names its alias gives; every column must have one."""
    if names and len(names) != len(outputs):
        raise SqlError(
            8158,
            f"'{alias}' has {'more' if len(outputs) > len(names) else 'fewer'} columns than were specified in the column list.",
        )
    named = tuple(
        Output(names[i] if names else output.name, output.type, output.nullable, mask=output.mask)
        for i, output in enumerate(outputs)
    )
    for position, output in enumerate(named, 1):
        if not output.name:
            raise SqlError(8155, f"No column name was specified for column {position} of '{alias}'.")
        if output.name.lower() in [before.name.lower() for before in named[: position - 1]]:
            raise SqlError(8156, f"The column '{output.name}' was specified multiple times for '{alias}'.")
    return named
