"""One client's session: its settings, variables and transaction, and the statements it runs.

`run_batch` walks a batch's statements; results go to a `Sink` (the wire in real life). Nothing here knows packets.
"""

from __future__ import annotations

import re
import threading
import time
from typing import TYPE_CHECKING, Protocol

import duckdb
import pyarrow as pa
from sqlglot import exp

from . import foreign_keys
from .catalog import Catalog, Table
from .changes import Change, compile_change
from .conversion import convert
from .definitions import Definitions, TokenReader
from .dialect import parse_expression, parse_one
from .errors import ClientGone, SqlError, deadlock, not_supported, translate_error
from .queries import Compiler
from .scopes import Output, Query, Scope
from .script import Block, If, Simple, While, parse_batch
from .transactions import Transaction
from .types import SqlType
from .values import INT, Typed, quote_text

if TYPE_CHECKING:
    from .login import Login
    from .server import Server

BATCH_ROWS = 16_384
_CONFLICT_PATIENCE_SECONDS = 20.0
_CONTINUES_AFTER = {2627, 2601, 515, 547, 3701, 544}
_SNAPSHOT_LEVELS = {"SNAPSHOT", "SERIALIZABLE", "REPEATABLE READ"}
_IGNORED_SETTINGS = {
    "NOCOUNT", "ARITHABORT", "ANSI_NULLS", "ANSI_PADDING", "ANSI_WARNINGS", "ANSI_DEFAULTS", "ANSI_NULL_DFLT_ON",
    "ANSI_NULL_DFLT_OFF", "QUOTED_IDENTIFIER", "CONCAT_NULL_YIELDS_NULL", "CURSOR_CLOSE_ON_COMMIT", "TEXTSIZE",
    "DATEFORMAT", "DATEFIRST", "LANGUAGE", "NUMERIC_ROUNDABORT", "XACT_ABORT", "DEADLOCK_PRIORITY", "QUERY_GOVERNOR_COST_LIMIT",
    "STATISTICS", "ROWCOUNT", "NO_BROWSETABLE", "FMTONLY", "CONTEXT_INFO",
}  # fmt: skip


class Sink(Protocol):
    """Where a session's results go."""

    def columns(self, outputs: tuple[Output, ...]) -> None: ...
    def rows(self, batch: pa.RecordBatch, types: list[SqlType]) -> None: ...
    def done(self, verb: str, count: int | None) -> None: ...
    def message(self, number: int, text: str, severity: int, state: int) -> None: ...
    def failed(self, error: SqlError) -> None: ...
    def transaction_changed(self, kind: str, number: int) -> None: ...
    def wait(self, seconds: float) -> None: ...


class Session:
    """State and statements of one connection. Used by one thread at a time."""

    def __init__(self, server: Server, login: Login, spid: int):
        self.server, self.login, self.spid = server, login, spid
        self.login_time = server.now()
        self.cursor = server.new_cursor()
        self.catalog = Catalog(self.cursor, server.database)
        self.database = server.database
        self._gate = threading.Lock()
        self.is_running = False
        self.request_number = 0
        self.is_encrypted = False
        self.transaction: Transaction | None = None
        self.reset()

    def reset(self) -> None:
        """Back to a fresh session: what sp_reset_connection and pooled connections ask for."""
        self._roll_back()
        self.transaction_count = 0
        self.variables: dict[str, tuple[SqlType, object]] = {}
        self.last_identity: int | None = None
        self.identity_insert: int | None = None
        self.row_count = 0
        self.last_error = 0
        self.no_count = False
        self.implicit_transactions = False
        self.isolation = "READ COMMITTED"
        self.lock_timeout_ms = -1

    # --- running and being interrupted

    def begin_request(self) -> None:
        with self._gate:
            self.is_running = True
            self.request_number += 1

    def end_request(self) -> None:
        with self._gate:
            self.is_running = False

    def interrupt(self, request_number: int) -> None:
        """Stops this request, and no later one, while it computes. Called from another thread."""
        with self._gate:
            if self.is_running and self.request_number == request_number:
                self.cursor.interrupt()

    def close(self) -> None:
        self._roll_back()
        self.cursor.close()

    # --- batches

    def run_batch(self, sql: str, sink: Sink, variables: dict[str, tuple[SqlType, object]] | None = None) -> bool:
        """Runs a batch; errors go to the sink. Returns whether all of it ran."""
        self.variables = dict(variables or {})
        try:
            for statement in parse_batch(sql):
                self._run(statement, sink)
        except ClientGone:
            raise
        except Exception as error:  # whatever it was, it is the statement's failure, not the connection's
            self._fail(error, sink)
            return False
        return True

    def _fail(self, error: Exception, sink: Sink) -> SqlError:
        failure = translate_error(error)
        self.last_error = failure.number
        self._check_transaction(sink)
        sink.failed(failure)
        return failure

    def _run(self, statement, sink: Sink) -> None:
        if isinstance(statement, Block):
            for inner in statement.statements:
                self._run(inner, sink)
        elif isinstance(statement, If):
            if self._condition(statement.condition):
                self._run(statement.then, sink)
            elif statement.otherwise is not None:
                self._run(statement.otherwise, sink)
        elif isinstance(statement, While):
            while self._condition(statement.condition):
                self._run(statement.body, sink)
        else:
            self._run_simple(statement, sink)

    def _run_simple(self, statement: Simple, sink: Sink) -> None:
        self.catalog.forget()
        method = getattr(self, f"_do_{statement.keyword.lower()}", None)
        try:
            if method is not None:
                method(statement, sink)
            elif statement.keyword in ("SELECT", "WITH", "INSERT", "UPDATE", "DELETE", "(", "VALUES"):
                self._query_or_change(statement.text, sink)
            elif statement.keyword in ("CREATE", "ALTER", "DROP", "TRUNCATE"):
                self._define(statement, sink)
            elif statement.keyword in ("MERGE", "GRANT", "REVOKE", "DENY", "DBCC", "RETURN", "BREAK", "CONTINUE"):
                raise not_supported(statement.keyword)
            elif len(statement.tokens) == 1 or statement.tokens[0].text[0].isalpha():
                raise SqlError(2812, f"Could not find stored procedure '{statement.tokens[0].text}'.")
            else:
                raise SqlError(102, f"Incorrect syntax near '{statement.tokens[0].text}'.", 15)
        except ClientGone:
            raise
        except Exception as error:
            failure = translate_error(error)
            if failure.number not in _CONTINUES_AFTER:
                raise failure from error
            self._fail(failure, sink)
            return
        self.last_error = 0

    def _condition(self, text: str) -> bool:
        self.catalog.forget()
        tree = parse_one(f"SELECT 1 WHERE {text}")
        query = Compiler(self)
        compiled = query.query(tree, None)
        return bool(self.cursor.execute(compiled.sql, query.used_binds(compiled.sql)).fetchall())

    # --- queries and changes

    def _query_or_change(self, text: str, sink: Sink) -> None:
        tree = parse_one(text)
        if isinstance(tree, (exp.Insert, exp.Update, exp.Delete)):
            self._change(tree, sink)
        elif isinstance(tree, exp.Select) and tree.args.get("into"):
            self._select_into(tree, sink)
        elif isinstance(tree, exp.Select) and any(_assigned(item) for item in tree.expressions):
            self._select_into_variables(tree, sink)
        else:
            self._select(tree, sink)

    def _select(self, tree: exp.Expression, sink: Sink) -> None:
        if self.implicit_transactions and tree.args.get("from_"):
            self._begin_implicit(sink)
        if self.transaction is not None and self.isolation in _SNAPSHOT_LEVELS:
            self._open_in_duckdb()
        compiler = Compiler(self)
        query = compiler.query(tree, None)
        types = [output.type for output in query.outputs]
        reader = self.cursor.execute(query.sql, compiler.used_binds(query.sql)).to_arrow_reader(BATCH_ROWS)
        sink.columns(query.outputs)
        count = 0
        for batch in reader:
            if batch.num_rows:
                count += batch.num_rows
                sink.rows(batch, types)
        self.row_count = count
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
        compiler = Compiler(self)
        query = compiler.query(tree, None)
        rows = self.cursor.execute(query.sql, compiler.used_binds(query.sql)).fetchall()
        for index, name in enumerate(names):
            if name not in self.variables:
                raise SqlError(137, f'Must declare the scalar variable "@{name}".', 15)
            if rows:
                value = _wire_value(query.outputs[index].type, rows[-1][index])
                assigning = Compiler(self)
                self._assign(name, assigning, assigning.bind(query.outputs[index].type, value))
        self.row_count = len(rows)
        sink.done("SELECT", None)

    def _select_into(self, tree: exp.Select, sink: Sink) -> None:
        target = tree.args["into"].this
        if target.this.args.get("temporary"):
            raise not_supported("temporary tables")
        tree.set("into", None)
        outputs = Compiler(self).query(tree, None).outputs
        from .catalog import Column

        columns = tuple(Column(output.name, output.type, output.nullable) for output in outputs)
        if any(not column.name for column in columns):
            raise SqlError(1038, "An object or column name is missing or empty.", 15)
        table = Table(target.text("db") or "dbo", target.name, columns)
        with self._write() as write:
            write.run(lambda: Definitions(self).create(table))
        insert = exp.Insert(this=exp.to_table(f'"{table.schema}"."{table.name}"'), expression=tree)
        insert.this.set("this", exp.to_identifier(table.name, quoted=True))
        self._change(insert, sink)

    def _change(self, tree: exp.Expression, sink: Sink) -> None:
        with self._write(sink) as write:
            change, rows, count = write.run(lambda: self._execute_change(tree))
        self.row_count = count
        if change.outputs:
            sink.columns(change.outputs)
            for batch in rows.to_batches():
                sink.rows(batch, [output.type for output in change.outputs])
        sink.done(change.verb, count)

    def _execute_change(self, tree: exp.Expression) -> tuple[Change, pa.Table | None, int]:
        compiler = Compiler(self)
        change = compile_change(compiler, tree.copy())
        if change.table.has_rowversion:
            self.server.rowversions.hold(self.transaction.number)
        try:
            result = self.cursor.execute(change.sql, compiler.used_binds(change.sql))
            if change.outputs:
                rows = result.to_arrow_table()
                self._check_foreign_keys(change)
                return change, rows, rows.num_rows
            found = result.fetchall()
        except duckdb.ConstraintException as error:
            raise _constraint(error, change.table, self.server.database) from error
        self._check_foreign_keys(change)
        if not change.returns_identity:
            return change, None, found[0][0] if found else 0
        if found:
            self.last_identity = found[-1][0]
            if self.identity_insert == change.table.object_id:
                self._catch_up_identity(change.table, max(row[0] for row in found))
        return change, None, len(found)

    def _check_foreign_keys(self, change: Change) -> None:
        """Raises 547 when the change left a row without its parent; the transaction is then rolled back."""
        violated = foreign_keys.violated(self.cursor, self.catalog, change.table, change.verb)
        if violated is not None:
            self.transaction.is_doomed = True
            raise violated

    def _catch_up_identity(self, table: Table, highest: int) -> None:
        start, last = self._identity_state(table)
        upcoming = start if last is None else last + table.identity.increment
        if highest >= upcoming:
            Definitions(self).restart_identity(table, highest + table.identity.increment)

    def _define(self, statement: Simple, sink: Sink) -> None:
        with self._write(sink) as write:
            write.run(lambda: Definitions(self).run(statement))
        sink.done(statement.keyword, None)

    # --- transactions

    def _write(self, sink: Sink | None = None) -> _Write:
        if self.implicit_transactions and sink is not None:
            self._begin_implicit(sink)
        return _Write(self)

    def _begin_implicit(self, sink: Sink) -> None:
        if self.transaction is None:
            self.begin(sink)

    def begin(self, sink: Sink) -> None:
        """BEGIN TRANSACTION; nested ones only count."""
        self.transaction_count += 1
        if self.transaction is None:
            self.transaction = self.server.new_transaction()
            sink.transaction_changed("begin", self.transaction.number)

    def commit(self, sink: Sink) -> None:
        if self.transaction is None:
            raise SqlError(3902, "The COMMIT TRANSACTION request has no corresponding BEGIN TRANSACTION.")
        self.transaction_count -= 1
        if self.transaction_count == 0:
            number = self.transaction.number
            try:
                self.end_transaction("COMMIT")
            except duckdb.Error as error:
                sink.transaction_changed("rollback", number)
                raise translate_error(error) from error
            sink.transaction_changed("commit", number)

    def rollback(self, sink: Sink) -> None:
        if self.transaction is None:
            raise SqlError(3903, "The ROLLBACK TRANSACTION request has no corresponding BEGIN TRANSACTION.")
        number = self.transaction.number
        self._roll_back()
        sink.transaction_changed("rollback", number)

    def _roll_back(self) -> None:
        self.transaction_count = 0
        if self.transaction is not None:
            self.end_transaction("ROLLBACK")

    def end_transaction(self, word: str) -> None:
        """Ends the DuckDB transaction, if it was opened, and forgets ours. After a failed COMMIT all is rolled back."""
        transaction, self.transaction = self.transaction, None
        try:
            if transaction.is_open_in_duckdb:
                self.cursor.execute(word)
        except duckdb.Error:
            self.transaction_count = 0
            try:
                self.cursor.execute("ROLLBACK")
            except duckdb.Error:
                pass  # DuckDB has rolled back already
            if word == "COMMIT":
                raise
        finally:
            self.server.rowversions.release(transaction.number)

    def _open_in_duckdb(self) -> None:
        if not self.transaction.is_open_in_duckdb:
            self.cursor.execute("BEGIN TRANSACTION")
            self.transaction.is_open_in_duckdb = True

    def open_for_write(self) -> None:
        self._open_in_duckdb()
        self.transaction.has_written = True
        self.transaction.log_records += 1

    def _check_transaction(self, sink: Sink) -> None:
        """After an error: DuckDB may have given the transaction up; then it is rolled back here too."""
        if self.transaction is None or not self.transaction.is_open_in_duckdb:
            return
        doomed = self.transaction.is_doomed
        try:
            self.cursor.execute("SELECT 1").fetchall()
        except duckdb.Error:
            doomed = True
        if doomed:
            number = self.transaction.number
            self._roll_back()
            sink.transaction_changed("rollback", number)

    # --- statements by keyword

    def _do_begin(self, statement: Simple, sink: Sink) -> None:
        self.begin(sink)
        sink.done("BEGIN", None)

    def _do_commit(self, statement: Simple, sink: Sink) -> None:
        self.commit(sink)
        sink.done("COMMIT", None)

    def _do_rollback(self, statement: Simple, sink: Sink) -> None:
        if len(statement.tokens) > 2:
            raise not_supported("savepoints")
        self.rollback(sink)
        sink.done("ROLLBACK", None)

    def _do_save(self, statement: Simple, sink: Sink) -> None:
        raise not_supported("savepoints")

    def _do_use(self, statement: Simple, sink: Sink) -> None:
        name = statement.tokens[1].text
        if name.lower() not in (self.server.database.lower(), "master"):
            raise SqlError(911, f"Database '{name}' does not exist. Make sure that the name is entered correctly.")
        sink.message(5701, f"Changed database context to '{name}'.", 0, 2)
        sink.done("USE", None)

    def _do_print(self, statement: Simple, sink: Sink) -> None:
        value = self.evaluate(statement.text[5:], SqlType("nvarchar", -1))
        sink.message(0, str(value or " "), 0, 1)
        sink.done("PRINT", None)

    def _do_raiserror(self, statement: Simple, sink: Sink) -> None:
        found = re.match(r"(?is)raiserror\s*\(\s*N?'((?:[^']|'')*)'\s*,\s*(\d+)\s*,\s*(\d+)", statement.text)
        if not found:
            raise not_supported("this form of RAISERROR")
        raise SqlError(50000, found.group(1).replace("''", "'"), int(found.group(2)), int(found.group(3)))

    def _do_throw(self, statement: Simple, sink: Sink) -> None:
        found = re.match(r"(?is)throw\s+(\d+)\s*,\s*N?'((?:[^']|'')*)'\s*,\s*(\d+)", statement.text)
        if not found:
            raise not_supported("this form of THROW")
        raise SqlError(int(found.group(1)), found.group(2).replace("''", "'"), 16, int(found.group(3)))

    def _do_waitfor(self, statement: Simple, sink: Sink) -> None:
        found = re.match(r"(?is)waitfor\s+delay\s+'(\d+):(\d+)(?::(\d+(?:\.\d+)?))?'", statement.text)
        if not found:
            raise not_supported("this form of WAITFOR")
        hours, minutes, seconds = found.groups()
        sink.wait(int(hours) * 3600 + int(minutes) * 60 + float(seconds or 0))
        sink.done("WAITFOR", None)

    def _do_kill(self, statement: Simple, sink: Sink) -> None:
        text = statement.word(1)
        if not text.isdigit() or not self.server.kill(int(text)):
            raise SqlError(6106, f"Process ID {text} is not an active process ID.")
        sink.done("KILL", None)

    def _do_set(self, statement: Simple, sink: Sink) -> None:
        first = statement.word(1)
        if first.startswith("@") or first == "@":
            self._set_variable(statement.text)
        elif first == "TRANSACTION":
            self.isolation = (
                re.sub(r"(?is)^set\s+transaction\s+isolation\s+level\s+", "", statement.text).strip().upper()
            )
        elif first == "IDENTITY_INSERT":
            self._set_identity_insert(statement)
        elif first == "LOCK_TIMEOUT":
            self.lock_timeout_ms = int("".join(token.text for token in statement.tokens[2:]))
        elif first == "IMPLICIT_TRANSACTIONS":
            self.implicit_transactions = statement.word(2) == "ON"
        elif first in _IGNORED_SETTINGS:
            self._setting(first, statement)
        else:
            raise SqlError(195, f"'{first}' is not a recognized SET option.")
        sink.done("SET", None)

    def _setting(self, name: str, statement: Simple) -> None:
        if name == "NOCOUNT":
            self.no_count = statement.word(2) == "ON"
        if name == "FMTONLY" and statement.word(2) == "ON":
            raise not_supported("SET FMTONLY ON")
        if name == "ROWCOUNT" and statement.word(2) != "0":
            raise not_supported("SET ROWCOUNT")

    def _set_identity_insert(self, statement: Simple) -> None:
        reader = TokenReader(statement)
        reader.expect("SET", "IDENTITY_INSERT")
        parts = reader.qualified_name()
        table = self.catalog.find(parts[-2] if len(parts) > 1 else "dbo", parts[-1])
        if table is None:
            raise SqlError(
                1088, f'Cannot find the object "{parts[-1]}" because it does not exist or you do not have permissions.'
            )
        if table.identity is None:
            raise SqlError(
                8106, f"Table '{table.name}' does not have the identity property. Cannot perform SET operation."
            )
        self.identity_insert = table.object_id if reader.accept("ON") else None

    def _do_declare(self, statement: Simple, sink: Sink) -> None:
        reader = TokenReader(statement)
        reader.expect("DECLARE")
        while True:
            if reader.accept_symbol("@"):
                name = reader.name().lower()
            else:
                name = reader.name().lstrip("@").lower()
            reader.accept("AS")
            if (token := reader.peek()) is not None and token.text.upper() in ("TABLE", "CURSOR"):
                raise not_supported(f"variables of type {token.text}")
            kind = reader.sql_type()
            self.variables[name] = (kind, None)
            if reader.accept_symbol("="):
                self._assign_text(name, reader.until_comma())
            if not reader.accept_symbol(","):
                break
        sink.done("DECLARE", None)

    def _set_variable(self, text: str) -> None:
        found = re.match(r"(?is)set\s+@([\w#$@]+)\s*=\s*(.*)$", text)
        if not found:
            raise not_supported(f"this assignment: {text[:60]}")
        name = found.group(1).lower()
        if name not in self.variables:
            raise SqlError(137, f'Must declare the scalar variable "@{name}".', 15)
        self._assign_text(name, found.group(2))

    def _assign(self, name: str, compiler: Compiler, value: Typed) -> None:
        kind = self.variables[name][0]
        sql = f"SELECT {convert(value, kind).sql}"
        found = self.cursor.execute(sql, compiler.used_binds(sql)).fetchone()[0]
        self.variables[name] = (kind, _wire_value(kind, found))

    def _assign_text(self, name: str, text: str) -> None:
        compiler = Compiler(self)
        self._assign(name, compiler, compiler.expressions.value(parse_expression(text), Scope()))

    def evaluate(self, text: str, kind: SqlType) -> object:
        """The value of an expression, converted to `kind`."""
        compiler = Compiler(self)
        sql = f"SELECT {convert(compiler.expressions.value(parse_expression(text), Scope()), kind).sql}"
        return _wire_value(kind, self.cursor.execute(sql, compiler.used_binds(sql)).fetchone()[0])

    def _do_exec(self, statement: Simple, sink: Sink) -> None:
        from . import procedures

        procedures.execute(self, statement, sink)

    _do_execute = _do_exec

    # --- facts that expressions ask

    def check_database(self, name: str, shown: str) -> None:
        """Raises 208 when a three-part name leaves the database."""
        if name and name.lower() not in (self.server.database.lower(), "master"):
            raise SqlError(208, f"Invalid object name '{name}.{shown}'.")

    def server_variable(self, name: str) -> Typed:
        """The value of @@name."""
        numbers = {
            "rowcount": self.row_count, "trancount": self.transaction_count, "error": self.last_error,
            "max_precision": 38, "lock_timeout": self.lock_timeout_ms, "nestlevel": 0, "options": 5496,
            "fetch_status": -1, "procid": 0, "datefirst": 7, "langid": 0, "textsize": 2147483647,
        }  # fmt: skip
        if name in numbers:
            return Typed(str(numbers[name]), INT, False)
        if name == "spid":
            return Typed(str(self.spid), SqlType("smallint"), False)
        if name == "dbts":
            return Typed(f"rowversion_of({self.server.rowversions.last_used()})", SqlType("varbinary", 8), False)
        if name == "identity":
            text = "NULL" if self.last_identity is None else str(self.last_identity)
            return Typed(f"CAST({text} AS DECIMAL(38,0))", SqlType("decimal", 0, 38, 0))
        texts = {
            "version": self.server.version,
            "servername": self.server.name,
            "servicename": "MSSQLSERVER",
            "language": "us_english",
        }
        if name in texts:
            return Typed(quote_text(texts[name]), SqlType("nvarchar", 300), False, texts[name])
        raise SqlError(137, f'Must declare the scalar variable "@@{name}".', 15)

    def object_id(self, text: str, kind: str | None) -> int | None:
        """OBJECT_ID('schema.name', 'U')."""
        parts = _split_name(text)
        schema = (parts[-2] if len(parts) > 1 else "") or "dbo"
        number = self.catalog.object_id(schema, parts[-1])
        if number is None or not kind:
            return number
        query = "SELECT 1 FROM meta.objects WHERE object_id = ? AND type = ?"
        return number if self.cursor.execute(query, [number, kind.strip().upper()]).fetchone() else None

    def current_identity(self, text: str) -> int | None:
        """IDENT_CURRENT('table')."""
        parts = _split_name(text)
        table = self.catalog.find(parts[-2] if len(parts) > 1 else "dbo", parts[-1])
        return None if table is None or table.identity is None else self.current_identity_of(table)

    def current_identity_of(self, table: Table) -> int:
        """The last identity value that the table gave out; its seed when there was none yet."""
        start, last = self._identity_state(table)
        if last is not None:
            return last
        return start if start == table.identity.seed else start - table.identity.increment

    def _identity_state(self, table: Table) -> tuple[int, int | None]:
        query = (
            "SELECT start_value, last_value FROM duckdb_sequences() WHERE schema_name = 'meta' AND sequence_name = ?"
        )
        return self.cursor.execute(query, [f"identity_{table.object_id}"]).fetchone()

    def compile_view(self, compiler: Compiler, table: Table) -> Query:
        """The query of a view, compiled where it is used."""
        return compiler.query(parse_one(table.definition), None)

    def describe(self, sql: str, parameters: str) -> tuple[Output, ...]:
        """The columns of the first result set of `sql`, without running it."""
        saved = self.variables
        self.variables = saved | declared_parameters(parameters)
        try:
            for statement in parse_batch(sql):
                if isinstance(statement, Simple) and statement.keyword in ("SELECT", "WITH", "("):
                    tree = parse_one(statement.text)
                    compiler = Compiler(self)
                    query = compiler.query(tree, None)
                    names = {name: None for name in re.findall(r"\$(ff_bind_\d+)", query.sql)}
                    self.cursor.execute(
                        f"EXPLAIN {query.sql}", {name: compiler.binds[name] for name in names} or None
                    ).fetchall()
                    return query.outputs
        finally:
            self.variables = saved
        return ()


class _Write:
    """Runs one changing statement in the session's transaction, or in one of its own."""

    def __init__(self, session: Session):
        self._session = session
        self._is_own = session.transaction is None

    def __enter__(self) -> _Write:
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_own and self._session.transaction is not None:
            self._session.end_transaction("ROLLBACK")

    def run(self, action):
        """Runs `action`, again after a conflict with another writer if nothing is lost by that."""
        session = self._session
        deadline = time.monotonic() + (
            _CONFLICT_PATIENCE_SECONDS if session.lock_timeout_ms < 0 else session.lock_timeout_ms / 1000
        )
        pause = 0.005
        while True:
            first_write = self._is_own or not session.transaction.is_open_in_duckdb
            if self._is_own:
                session.transaction = session.server.new_transaction()
            try:
                session.open_for_write()
                result = action()
                if self._is_own:
                    session.end_transaction("COMMIT")
                return result
            except duckdb.Error as error:
                if not _is_conflict(error):
                    raise
                self._give_up_or_wait(first_write, deadline, error)
                time.sleep(pause)
                pause = min(0.1, pause * 1.5)

    def _give_up_or_wait(self, first_write: bool, deadline: float, error: Exception) -> None:
        session = self._session
        if not first_write:
            raise deadlock() from error
        if self._is_own:
            if session.transaction is not None:
                session.end_transaction("ROLLBACK")
        else:
            try:
                session.cursor.execute("ROLLBACK")
            except duckdb.Error:
                pass  # DuckDB has rolled back already
            session.transaction.is_open_in_duckdb = False
        if time.monotonic() > deadline:
            if session.lock_timeout_ms >= 0:
                raise SqlError(1222, "Lock request time out period exceeded.") from error
            raise deadlock() from error
        session.catalog.forget()


def _is_conflict(error: Exception) -> bool:
    return isinstance(error, duckdb.TransactionException) and "onflict" in str(error)


def _assigned(item: exp.Expression) -> str | None:
    """The variable that an item of SELECT assigns, if it does."""
    if (
        isinstance(item, exp.EQ)
        and isinstance(item.this, exp.Parameter)
        and not isinstance(item.this.this, exp.Parameter)
    ):
        return item.this.name.lower()
    return None


def _split_name(text: str) -> list[str]:
    return [
        part.replace("]]", "]").replace('""', '"')
        for part in re.findall(r"\[((?:[^\]]|\]\])*)\]|\"((?:[^\"]|\"\")*)\"|([^.\[\]\"]+)|(?<=\.)(?=\.)", text)
        for part in ["".join(part)]
    ]


def declared_parameters(text: str) -> dict[str, tuple[SqlType, object]]:
    """`@a int, @b nvarchar(50)` as variables without values."""
    from .types import parse_type

    found = {}
    for part in re.split(r",(?![^(]*\))", text or ""):
        if part.strip():
            name, _, kind = part.strip().partition(" ")
            kind = re.sub(r"(?i)\s+(output|out|readonly)\s*$", "", re.sub(r"(?i)^\s*as\s+", "", kind))
            found[name.lstrip("@").lower()] = (parse_type(kind.split("=")[0]), None)
    return found


def _wire_value(kind: SqlType, value: object) -> object:
    """A value that DuckDB returned, as `Compiler.bind` takes it."""
    if value is None:
        return None
    if kind.base == "datetimeoffset":
        return value["ticks"], value["off"]
    return str(value) if kind.base == "uniqueidentifier" else value


def _constraint(error: Exception, table: Table, database: str) -> SqlError:
    """2627, 2601 or 515 from DuckDB's words."""
    text = str(error)
    if found := re.search(r"NOT NULL constraint failed: .*?\.?([^.]+)$", text.splitlines()[0]):
        name = found.group(1).strip('"')
        return SqlError(
            515,
            f"Cannot insert the value NULL into column '{name}', table '{database}.{table.schema}.{table.name}'; column does not allow nulls. INSERT fails.",
        )
    found = re.search(r'uplicate key "(.*)"(?: violates|$)', text, re.DOTALL)
    if not found:
        return translate_error(error)
    parts = found.group(1).split(", ")
    values = ", ".join(part.partition(": ")[2] or part for part in parts)
    names = [part.partition(": ")[0].lower() for part in parts]
    unique = [item for item in table.keys if item.is_unique]
    key = next(
        (item for item in unique if [name.lower() for name in item.columns] == names), unique[0] if unique else None
    )
    where = f"object '{table.schema}.{table.name}'. The duplicate key value is ({values})."
    if key is not None and not key.is_constraint:
        return SqlError(
            2601,
            f"Cannot insert duplicate key row in {where.replace('. The', f' with unique index {quote_text(key.name)}. The')}",
            14,
        )
    kind = "PRIMARY" if key is None or key.is_primary else "UNIQUE"
    return SqlError(
        2627,
        f"Violation of {kind} KEY constraint '{key.name if key else ''}'. Cannot insert duplicate key in {where}",
        14,
    )


__all__ = ["Session", "Sink", "declared_parameters"]
