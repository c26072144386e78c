"""INSERT, UPDATE, DELETE and TRUNCATE, compiled so that every stored value has its column's exact type.

Values are converted on the way in (text that does not fit raises 2628, datetime is rounded to its grid, char is padded);
defaults, identity and rowversion columns are filled here rather than by DuckDB defaults, so that their counters can be
restarted.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlglot import exp

from flowforge.domain.given import given

from .conversion import convert
from .dialect import parse_expression
from .errors import SqlError, invalid_column, invalid_object, not_supported, syntax_error
from .queries import Compiler
from .scopes import Output, Scope, Source
from .tables import Column, Table, quote
from .tracked_tables import key_names
from .values import Typed


@dataclass(frozen=True)
class Change:
    """A compiled change: DuckDB text, the table, the statement's verb, and the columns of OUTPUT.

    With `returns_identity` the result has the identity of each row behind `outputs`; the last columns are `keys`, of a table
    under Change Tracking. `written` names the columns that an UPDATE sets, in lower case; None means all.
    """

    sql: str
    table: Table
    verb: str
    outputs: tuple[Output, ...] = ()
    returns_identity: bool = False
    written: frozenset[str] | None = None
    keys: tuple[str, ...] = ()


class _Bare(Source):
    """The columns of the changed row, as RETURNING names them."""

    def reference(self, output: Output) -> Typed:
        return Typed(quote(output.name), output.type, output.nullable)


class Changes:
    """Compiles one changing statement."""

    def __init__(self, compiler: Compiler):
        self._compiler = compiler
        self._session = compiler.session
        self._expressions = compiler.expressions

    def _table(self, node: exp.Table) -> Table:
        schema = node.text("db") or "dbo"
        self._session.check_database(node.text("catalog"), f"{schema}.{node.name}")
        table = self._session.catalog.find(schema, node.name)
        if table is None:
            raise invalid_object(f"{node.text('db')}.{node.name}" if node.text("db") else node.name)
        if table.definition is not None:
            raise not_supported("changes through a view")
        return table

    def _place(self, table: Table, column: Column) -> str:
        return f"table '{self._session.server.database}.{table.schema}.{table.name}', column '{column.name}'"

    def _stored(self, value: Typed, table: Table, column: Column) -> str:
        return convert(value, column.type, storing=self._place(table, column)).sql

    def _default(self, column: Column) -> Typed:
        if column.default is None:
            return Typed("NULL", None)
        return self._expressions.value(parse_expression(column.default), Scope())

    def _generated(self, table: Table, column: Column) -> str:
        if column.seed is not None:
            return f"CAST(nextval('{table.identity_sequence}') AS {column.type.duckdb})"
        return "rowversion_of(nextval('meta.rowversions'))"

    # --- INSERT

    def insert(self, node: exp.Insert) -> Change:
        """INSERT … VALUES, SELECT or DEFAULT VALUES."""
        target = node.this
        table = self._table(target.this if isinstance(target, exp.Schema) else target)
        names = [item.name for item in target.expressions] if isinstance(target, exp.Schema) else None
        columns = [] if node.args.get("default") else self._insert_columns(table, names)
        filled = [column for column in table.columns if column not in columns]
        all_names = ", ".join(quote(column.name) for column in [*columns, *filled])
        source = node.expression
        if source is None and node.args.get("default"):
            rows = "SELECT " + ", ".join(self._fill(table, column) for column in filled)
        elif isinstance(source, exp.Values):
            rows = self._insert_values(source, table, columns, filled)
        elif isinstance(source, (exp.Query, exp.Subquery)):
            rows = self._insert_query(node, source, table, columns, filled)
        else:
            raise not_supported("this form of INSERT")
        sql = f"INSERT INTO {table.storage} ({all_names}) {rows}"
        return self._with_output(sql, node, table, "INSERT", "inserted")

    def _insert_columns(self, table: Table, names: list[str] | None) -> list[Column]:
        explicit_identity = self._session.identity_insert == table.object_id
        if names is None:
            return [c for c in table.columns if not c.is_generated or (c.seed is not None and explicit_identity)]
        columns = []
        for name in names:
            column = table.column(name)
            if column is None:
                raise invalid_column(name)
            if column.seed is not None and not explicit_identity:
                raise SqlError(
                    544,
                    f"Cannot insert explicit value for identity column in table '{table.name}' "
                    f"when IDENTITY_INSERT is set to OFF.",
                )
            if column.type.base == "rowversion":
                raise SqlError(
                    273,
                    "Cannot insert an explicit value into a timestamp column. "
                    "Use INSERT with a column list to exclude the timestamp column, "
                    "or insert a DEFAULT into the timestamp column.",
                )
            if column in columns:
                raise SqlError(
                    264,
                    f"The column name '{name}' is specified more than once in the SET clause or column list of an INSERT.",
                )
            columns.append(column)
        return columns

    def _fill(self, table: Table, column: Column) -> str:
        return (
            self._generated(table, column)
            if column.is_generated
            else self._stored(self._default(column), table, column)
        )

    def _insert_values(self, source: exp.Values, table: Table, columns: list[Column], filled: list[Column]) -> str:
        tail = [self._fill(table, column) for column in filled]
        rows = []
        for row in source.expressions:
            cells = row.expressions if isinstance(row, exp.Tuple) else [row]
            if len(cells) != len(columns):
                raise SqlError(213, "Column name or number of supplied values does not match table definition.")
            values = [self._cell(cell, table, column) for cell, column in zip(cells, columns, strict=True)]
            rows.append("(" + ", ".join([*values, *tail]) + ")")
        return "VALUES " + ", ".join(rows)

    def _cell(self, cell: exp.Expr, table: Table, column: Column) -> str:
        is_default = isinstance(cell, exp.Var) and cell.name.upper() == "DEFAULT"
        value = self._default(column) if is_default else self._expressions.value(cell, Scope())
        return self._stored(value, table, column)

    def _insert_query(self, node: exp.Insert, source, table: Table, columns: list[Column], filled: list[Column]) -> str:
        with_ = node.args.get("with_")
        if with_ is not None:
            (source.this if isinstance(source, exp.Subquery) else source).set("with_", with_)
        query = self._compiler.query(source, None)
        if len(query.outputs) != len(columns):
            raise SqlError(
                120 if len(query.outputs) < len(columns) else 121,
                "The select list for the INSERT statement does not contain the same number of items as the insert list.",
            )
        names = ", ".join(f"c{i}" for i in range(1, len(columns) + 1))
        values = [
            self._stored(Typed(f"src.c{i}", output.type, output.nullable), table, column)
            for i, (output, column) in enumerate(zip(query.outputs, columns, strict=True), 1)
        ]
        tail = [self._fill(table, column) for column in filled]
        return f"SELECT {', '.join([*values, *tail])} FROM ({query.sql}) AS src({names})"

    def _with_output(
        self, sql: str, node: exp.Expr, table: Table, verb: str, row: str, written: frozenset[str] | None = None
    ) -> Change:
        returning = node.args.get("returning")
        keys = key_names(table) if table.is_tracked else ()
        identity = table.identity if verb == "INSERT" else None
        behind = [quote(name) for name in ([identity.name] if identity else []) + list(keys)]
        if returning is None:
            text = f"{sql} RETURNING {', '.join(behind)}" if behind else sql
            return Change(text, table, verb, (), identity is not None, written, keys)
        if returning.args.get("into"):
            raise not_supported("OUTPUT INTO")
        outputs = tuple(Output(c.name, c.type, c.nullable) for c in table.columns)
        scope = Scope(sources=[_Bare(row, outputs)])
        items = [item for projection in returning.expressions for item in self._compiler.projection(projection, scope)]
        text = ", ".join([*(f"{value.sql} AS c{i}" for i, (_, value) in enumerate(items, 1)), *behind])
        shown = tuple(Output(name, value.kind, value.nullable) for name, value in items)
        return Change(f"{sql} RETURNING {text}", table, verb, shown, identity is not None, written, keys)

    # --- UPDATE and DELETE

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
        """DELETE, also TOP and FROM other tables."""
        targets = node.args.get("tables") or []
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
    changes = Changes(compiler)
    if isinstance(node, exp.Insert):
        return changes.insert(node)
    if isinstance(node, exp.Update):
        return changes.update(node)
    if isinstance(node, exp.Delete):
        return changes.delete(node)
    raise syntax_error(node.sql("tsql")[:30])
