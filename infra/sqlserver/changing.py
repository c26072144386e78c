"""What INSERT, UPDATE and DELETE share: the table, its stored and generated values, and OUTPUT."""

from __future__ import annotations

from dataclasses import dataclass

from sqlglot import exp

from .conversion import convert
from .dialect import parse_expression
from .errors import invalid_object, not_supported
from .queries import Compiler
from .scopes import Output, Scope, Source
from .tables import Column, Table, quote
from .tracked_tables import key_names
from .values import Typed


@dataclass(frozen=True)
class Change:
    """A compiled change: DuckDB text, the table, the statement's verb, and the columns of OUTPUT.

    With `returns_identity` the result has the identity of each row behind `outputs`; the last columns are `keys`, of a table
    under Change Tracking, and then all columns (`images`) of one under Change Data Capture. `written` names the columns that
    an UPDATE sets, in lower case; None means all.
    """

    sql: str
    table: Table
    verb: str
    outputs: tuple[Output, ...] = ()
    returns_identity: bool = False
    written: frozenset[str] | None = None
    keys: tuple[str, ...] = ()
    images: tuple[str, ...] = ()

    @property
    def is_noted(self) -> bool:
        """Whether a log wants to know of its rows."""
        return bool(self.keys or self.images)


class _Bare(Source):
    """The columns of the changed row, as RETURNING names them."""

    def reference(self, output: Output) -> Typed:
        return Typed(quote(output.name), output.type, output.nullable)


class Changing:
    """Compiles statements that change rows, for one session."""

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

    def _with_output(
        self, sql: str, node: exp.Expr, table: Table, verb: str, row: str, written: frozenset[str] | None = None
    ) -> Change:
        returning = node.args.get("returning")
        keys = key_names(table) if table.is_tracked else ()
        images = tuple(column.name for column in table.columns) if table.is_captured else ()
        identity = table.identity if verb == "INSERT" else None
        behind = [quote(name) for name in ([identity.name] if identity else []) + [*keys, *images]]
        if returning is None:
            text = f"{sql} RETURNING {', '.join(behind)}" if behind else sql
            return Change(text, table, verb, (), identity is not None, written, keys, images)
        if returning.args.get("into"):
            raise not_supported("OUTPUT INTO")
        outputs = tuple(Output(c.name, c.type, c.nullable) for c in table.columns)
        scope = Scope(sources=[_Bare(row, outputs)])
        items = [item for projection in returning.expressions for item in self._compiler.projection(projection, scope)]
        text = ", ".join([*(f"{value.sql} AS c{i}" for i, (_, value) in enumerate(items, 1)), *behind])
        shown = tuple(Output(name, value.kind, value.nullable) for name, value in items)
        return Change(f"{sql} RETURNING {text}", table, verb, shown, identity is not None, written, keys, images)
