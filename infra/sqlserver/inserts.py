"""INSERT, with VALUES, a SELECT or DEFAULT VALUES: every column gets a value, given, default or generated."""

from __future__ import annotations

from sqlglot import exp

from .changing import Change, Changing
from .errors import SqlError, invalid_column, not_supported
from .scopes import Scope
from .tables import Column, Table, quote
from .values import Typed


class Inserts(Changing):
    """Compiles one INSERT."""

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
