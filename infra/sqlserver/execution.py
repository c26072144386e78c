"""Queries and changes of one session: compiled, run in DuckDB, their rows handed to the sink."""

from __future__ import annotations

from itertools import chain, islice
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from flowforge.domain.given import given

from .changes import Change, compile_change
from .constraints import violated_key, violated_reference
from .definitions import Definitions
from .dialect import parse_shared
from .errors import SqlError, not_supported, snapshot_not_allowed
from .evaluation import assign
from .identities import identity_state
from .kept import Compiled, is_of_catalog
from .masks import masked
from .noted_changes import keep_before, note
from .queries import Compiler
from .scopes import Query
from .storage import Storage
from .tables import Column, Table
from .variables import wire_value
from .writing import Write

if TYPE_CHECKING:
    from .script import Simple
    from .session import Session
    from .sink import Sink

BATCH_ROWS = 16_384
_SNAPSHOT_LEVELS = {"SNAPSHOT", "SERIALIZABLE", "REPEATABLE READ"}


class Execution:
    """Runs the queries, changes and definitions of a session."""

    keeps_statements = True  # compiled ones, for whoever asks in the same words

    def __init__(self, session: Session):
        self._session = session

    def query_or_change(self, text: str, sink: Sink) -> None:
        """Runs a SELECT, INSERT, UPDATE or DELETE; its rows go to the sink."""
        if self.keeps_statements and (compiled := self._session.server.kept.compiled(text)):
            self._prepare(compiled.has_from, compiled.has_tables, sink)
            if compiled.holds_for(self._session):
                self._send(compiled.query, None, sink, is_lasting=True)
            else:
                self._compile(parse_shared(text), sink, text)
            return
        tree = parse_shared(text)
        if isinstance(tree, (exp.Insert, exp.Update, exp.Delete)):
            self._change(tree.copy(), sink)
        elif isinstance(tree, exp.Select) and tree.args.get("into"):
            self._select_into(tree.copy(), sink)
        elif isinstance(tree, exp.Select) and any(_assigned(item) for item in tree.expressions):
            self._select_into_variables(tree.copy(), sink)
        else:
            self._select(tree, sink, text)

    def _select(self, tree: exp.Expr, sink: Sink, text: str) -> None:
        self._prepare(bool(tree.args.get("from_")), tree.find(exp.Table) is not None, sink)
        self._compile(tree, sink, text)

    def _compile(self, tree: exp.Expr, sink: Sink, text: str) -> None:
        """Compiles and answers a SELECT, and keeps it if it may be used again."""
        compiler = Compiler(self._session)
        query = masked(compiler.query(tree, None))
        if compiler.is_lasting and self.keeps_statements:
            reads = bool(tree.args.get("from_")), tree.find(exp.Table) is not None
            self._session.server.kept.keep_compiled(text, Compiled(query, tuple(compiler.facts), *reads))
        self._send(query, compiler.used_binds(query.sql), sink, compiler.is_lasting)

    def _prepare(self, has_from: bool, has_tables: bool, sink: Sink) -> None:
        """Begins what a SELECT begins, under the session's isolation. Raises 3952 where snapshots are not allowed."""
        session = self._session
        if session.implicit_transactions and has_from:
            session.begin_implicit(sink)
        if session.isolation == "SNAPSHOT" and has_tables:
            if not session.server.allows_snapshot:
                raise snapshot_not_allowed(session.server.database)
            session.server.faults.check_snapshot(session.statement)
        if session.transaction is not None and has_tables:
            session.access_data()
        if session.transaction is not None and session.isolation in _SNAPSHOT_LEVELS:
            session.open_in_duckdb()

    def _send(self, query: Query, binds: dict[str, object] | None, sink: Sink, is_lasting: bool) -> None:
        """Sends the rows of a query."""
        session = self._session
        types = [output.type for output in query.outputs]
        kept, count = session.server.kept, 0
        batches = kept.answer(query.sql, session.catalog) if is_lasting else None
        if batches is None:
            batches = session.cursor.execute(query.sql, binds).to_arrow_reader(BATCH_ROWS)
            if is_lasting and is_of_catalog(query.sql):
                begun = list(islice(batches, 2))  # more than one batch is an answer that nobody keeps
                small = len(begun) < 2
                batches = kept.keep_answer(query.sql, begun, session.catalog) if small else chain(begun, batches)
        sink.columns(query.outputs)
        for batch in batches:
            if batch.num_rows:
                count += batch.num_rows
                sink.rows(batch, types)
        session.row_count = count
        sink.done("SELECT", count)

    def _select_into_variables(self, tree: exp.Select, sink: Sink) -> None:
        names = []
        for item in tree.expressions:
            name = _assigned(item)
            if name is None:
                raise SqlError(
                    141,
                    "A SELECT statement that assigns a value to a variable must not be combined with data-retrieval operations.",
                    15,
                )
            names.append(name)
            item.replace(exp.Alias(this=item.expression.copy(), alias=exp.to_identifier("v")))
        compiler = Compiler(self._session)
        query = compiler.query(tree, None)
        rows = self._session.cursor.execute(query.sql, compiler.used_binds(query.sql)).fetchall()
        for index, name in enumerate(names):
            if name not in self._session.variables:
                raise SqlError(137, f'Must declare the scalar variable "@{name}".', 15)
            if rows:
                value = wire_value(query.outputs[index].type, rows[-1][index])
                assigning = Compiler(self._session)
                assign(assigning, name, assigning.bind(query.outputs[index].type, value))
        self._session.row_count = len(rows)
        sink.done("SELECT", None)

    def _select_into(self, tree: exp.Select, sink: Sink) -> None:
        target = tree.args["into"].this
        if target.this.args.get("temporary"):
            raise not_supported("temporary tables")
        tree.set("into", None)
        outputs = Compiler(self._session).query(tree, None).outputs
        columns = tuple(Column(output.name, output.type, output.nullable) for output in outputs)
        if any(not column.name for column in columns):
            raise SqlError(1038, "An object or column name is missing or empty.", 15)
        table = Table(target.text("db") or "dbo", target.name, columns)
        with self._write() as write:
            write.run(lambda: Definitions(self._session).create(table))
        insert = exp.Insert(this=exp.to_table(f'"{table.schema}"."{table.name}"'), expression=tree)
        insert.this.set("this", exp.to_identifier(table.name, quoted=True))
        self._change(insert, sink)

    def _change(self, tree: exp.Expr, sink: Sink) -> None:
        target = given(tree.find(exp.Table))
        with self._write(sink, f"{target.text('db') or 'dbo'}.{target.name}") as write:
            change, rows, count = write.run(lambda: self._execute_change(tree))
        self._session.row_count = count
        if change.outputs:
            sink.columns(change.outputs)
            for batch in given(rows).to_batches():
                sink.rows(batch, [output.type for output in change.outputs])
        sink.done(change.verb, count)

    def _execute_change(self, tree: exp.Expr) -> tuple[Change, pa.Table | None, int]:
        compiler = Compiler(self._session)
        change = compile_change(compiler, tree.copy())
        if change.table.has_rowversion:
            self._session.server.rowversions.hold(self._session.open_transaction.number)
        moves_keys = keep_before(self._session, change)
        try:
            result = self._session.cursor.execute(change.sql, compiler.used_binds(change.sql))
            if not change.outputs and not change.returns_identity and not change.is_noted:
                count, rows = result.fetchall()[0][0], None
            else:
                rows = result.to_arrow_table()
                count = rows.num_rows
        except duckdb.ConstraintException as error:
            raise violated_key(error, change.table, self._session.server.database) from error
        self._check_foreign_keys(change)
        if change.returns_identity:
            self._note_identity(change.table, given(rows).column(len(change.outputs)))
        if change.is_noted:
            note(self._session, change, given(rows), moves_keys)
        return change, rows and rows.select(range(len(change.outputs))), count

    def _note_identity(self, table: Table, values: pa.ChunkedArray) -> None:
        """Keeps the last identity value for SCOPE_IDENTITY(); explicit values move the counter on."""
        if len(values) == 0:
            return
        self._session.last_identity = int(values[-1].as_py())
        if self._session.identity_insert == table.object_id:
            self._catch_up_identity(table, int(pc.call_function("max", [values]).as_py()))

    def _check_foreign_keys(self, change: Change) -> None:
        """Raises 547 when the change left a row without its parent; the transaction is then rolled back."""
        violated = violated_reference(
            self._session.cursor, self._session.catalog, change.table, change.verb, change.written
        )
        if violated is not None:
            self._session.open_transaction.is_doomed = True
            raise violated

    def _catch_up_identity(self, table: Table, highest: int) -> None:
        start, last = identity_state(self._session, table)
        upcoming = start if last is None else last + given(table.identity).increment
        if highest >= upcoming:
            Storage(self._session).restart_identity(table, highest + given(table.identity).increment)

    def define(self, statement: Simple, sink: Sink) -> None:
        """Runs a statement that defines, changes or drops something, in a transaction of its own where none is open. Raises
        3964 for those that a transaction under SNAPSHOT may not run (the documentation of error 3961 lists them)."""
        of_table = (statement.keyword, statement.word(1)) == ("ALTER", "TABLE")
        of_index = statement.keyword in ("CREATE", "DROP") and "INDEX" in map(statement.word, range(1, 4))
        if self._session.isolation == "SNAPSHOT" and self._session.transaction_count and (of_table or of_index):
            raise SqlError(
                3964,
                "Transaction failed because this DDL statement is not allowed inside a snapshot isolation transaction. Since "
                "metadata is not versioned, a metadata change can lead to inconsistency if mixed within snapshot isolation.",
            )
        with self._write(sink) as write:
            write.run(lambda: self._define(statement))
        sink.done(statement.keyword, None)

    def _define(self, statement: Simple) -> None:
        with self._session.catalog.defining():
            Definitions(self._session).run(statement)

    def _write(self, sink: Sink | None = None, table: str = "") -> Write:
        if self._session.implicit_transactions and sink is not None:
            self._session.begin_implicit(sink)
        return Write(self._session, table)


def _assigned(item: exp.Expr) -> str | None:
    """The variable that an item of SELECT assigns, if it does."""
    if (
        isinstance(item, exp.EQ)
        and isinstance(item.this, exp.Parameter)
        and not isinstance(item.this.this, exp.Parameter)
    ):
        return item.this.name.lower()
    return None
