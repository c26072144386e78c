"""INSERT, UPDATE and DELETE, compiled so that every stored value has its column's exact type.

Values are converted on the way in (text that does not fit raises 2628, datetime is rounded to its grid, char is padded);
defaults, identity and rowversion columns are filled here rather than by DuckDB defaults, so that their counters can be
restarted.
"""

from __future__ import annotations

from sqlglot import exp

from flowforge.domain.given import given

from .changing import Change, Changing
from .errors import SqlError, invalid_column, invalid_object, not_supported, syntax_error
from .inserts import Inserts
from .queries import Compiler
from .scopes import Output, Scope, Source
from .tables import Column, Table, quote


class Changes(Changing):
    """Compiles one UPDATE or DELETE."""

    def update(self, node: exp.Update) -> Change:
        """UPDATE, also FROM other tables."""
        from_ = node.args.get("from_")
        if from_ is None and not node.this.args.get("joins"):
            table, scope = self._alone(node.this)
            sets = self._assignments(node, table, scope)
            text = ", ".join(f"{quote(column.name)} = {value}" for column, value in sets)
            sql = f"UPDATE {table.storage} AS {quote(node.this.alias or node.this.name)} SET {text}{self._where(node, scope)}"
            return self._with_output(sql, node, table, "UPDATE", "inserted", _names_of(sets))
        table, scope, from_sql, alias = self._joined_target(node.this, given(from_).this)
        sets = self._assignments(node, table, scope)
        values = ", ".join(f"{value} AS v{i}" for i, (_, value) in enumerate(sets))
        inner = f"SELECT {quote(alias)}.rowid AS rid, {values} FROM {from_sql}{self._where(node, scope)}"
        text = ", ".join(f"{quote(column.name)} = u.v{i}" for i, (column, _) in enumerate(sets))
        one_each = f"SELECT * FROM ({inner}) QUALIFY row_number() OVER (PARTITION BY rid) = 1"
        sql = f"UPDATE {table.storage} AS target SET {text} FROM ({one_each}) AS u WHERE target.rowid = u.rid"
        return self._with_output(sql, node, table, "UPDATE", "inserted", _names_of(sets))

    def _assignments(self, node: exp.Update, table: Table, scope: Scope) -> list[tuple[Column, str]]:
        sets = []
        for item in node.expressions:
            if not isinstance(item, exp.EQ) or not isinstance(item.this, exp.Column):
                raise not_supported(f"this assignment: {item.sql('tsql')[:80]}")
            column = table.column(item.this.name)
            if column is None:
                raise invalid_column(item.this.name)
            if column.seed is not None:
                raise SqlError(8102, f"Cannot update identity column '{column.name}'.")
            if column.type.base == "rowversion":
                raise SqlError(272, "Cannot update a timestamp column.")
            is_default = (
                isinstance(item.expression, exp.Column)
                and item.expression.name.upper() == "DEFAULT"
                and not item.expression.table
            )
            value = self._default(column) if is_default else self._expressions.value(item.expression, scope)
            sets.append((column, self._stored(value, table, column)))
        sets += [
            (column, self._generated(table, column)) for column in table.columns if column.type.base == "rowversion"
        ]
        return sets

    def delete(self, node: exp.Delete) -> Change:
        """DELETE, also TOP, without FROM, and FROM other tables."""
        targets = node.args.get("tables") or []
        if not node.this:  # DELETE name: FROM may be left out
            node.set("this", targets.pop(0))
        limit = ""
        if targets and targets[0].name.upper() == "TOP" and targets[0].args.get("alias"):
            limit = f" LIMIT {int(targets[0].args['alias'].columns[0].name)}"
            targets = []
        if not targets and not node.this.args.get("joins"):
            table, scope = self._alone(node.this)
            alias = quote(node.this.alias or node.this.name)
            where = self._where(node, scope)
            if limit:
                where = f" WHERE rowid IN (SELECT rowid FROM {table.storage} AS {alias}{where}{limit})"
            return self._with_output(f"DELETE FROM {table.storage} AS {alias}{where}", node, table, "DELETE", "deleted")
        table, scope, from_sql, alias = self._joined_target(targets[0] if targets else node.this, node.this)
        inner = f"SELECT {quote(alias)}.rowid FROM {from_sql}{self._where(node, scope)}"
        sql = f"DELETE FROM {table.storage} WHERE rowid IN ({inner})"
        return self._with_output(sql, node, table, "DELETE", "deleted")

    def _alone(self, node: exp.Table) -> tuple[Table, Scope]:
        table = self._table(node)
        outputs = tuple(Output(c.name, c.type, c.nullable) for c in table.columns)
        return table, Scope(sources=[Source(node.alias or node.name, outputs, table.schema)])

    def _joined_target(self, target: exp.Table, from_node: exp.Expr) -> tuple[Table, Scope, str, str]:
        """The changed table inside a FROM clause: found by its alias there, or by its name."""
        scope = Scope()
        from_sql = self._compiler.sources.joined(from_node, scope)
        for item in from_node.find_all(exp.Table):
            if target.name.lower() in (item.alias.lower(), item.name.lower()):
                return self._table(item), scope, from_sql, item.alias or item.name
        raise invalid_object(target.name)

    def _where(self, node: exp.Expr, scope: Scope) -> str:
        where = node.args.get("where")
        return f" WHERE {self._expressions.predicate(where.this, scope)}" if where else ""


def _names_of(sets: list[tuple[Column, str]]) -> frozenset[str]:
    return frozenset(column.name.lower() for column, _ in sets)


def compile_change(compiler: Compiler, node: exp.Expr) -> Change:
    """Compiles INSERT, UPDATE or DELETE."""
    if isinstance(node, exp.Insert):
        return Inserts(compiler).insert(node)
    if isinstance(node, exp.Update):
        return Changes(compiler).update(node)
    if isinstance(node, exp.Delete):
        return Changes(compiler).delete(node)
    raise syntax_error(node.sql("tsql")[:30])
