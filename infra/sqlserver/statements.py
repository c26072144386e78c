"""What each T-SQL statement does to a session, by its first word, and the flow of IF, WHILE and BEGIN ... END."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from . import procedures
from .assignments import written_out
from .dialect import parse_shared
from .errors import ClientGone, SqlError, not_supported, translate_error
from .evaluation import assign_text, evaluate
from .execution import Execution
from .queries import Compiler
from .script import Block, If, Simple, While
from .token_reader import TokenReader
from .tracking_settings import alter_database
from .types import SqlType

if TYPE_CHECKING:
    from .session import Session
    from .sink import Sink

_CONTINUES_AFTER = {2627, 2601, 515, 547, 3701, 544}  # a batch goes on after these, as on SQL Server
_IGNORED_SETTINGS = {
    "NOCOUNT", "ARITHABORT", "ANSI_NULLS", "ANSI_PADDING", "ANSI_WARNINGS", "ANSI_DEFAULTS", "ANSI_NULL_DFLT_ON",
    "ANSI_NULL_DFLT_OFF", "QUOTED_IDENTIFIER", "CONCAT_NULL_YIELDS_NULL", "CURSOR_CLOSE_ON_COMMIT", "TEXTSIZE",
    "DATEFORMAT", "DATEFIRST", "LANGUAGE", "NUMERIC_ROUNDABORT", "XACT_ABORT", "DEADLOCK_PRIORITY", "QUERY_GOVERNOR_COST_LIMIT",
    "STATISTICS", "ROWCOUNT", "NO_BROWSETABLE", "FMTONLY", "CONTEXT_INFO",
}  # fmt: skip


class Statements:
    """Runs the statements of a session; results go to the sink."""

    def __init__(self, session: Session, execution: Execution | None = None):
        self._session = session
        self._execution = execution or Execution(session)

    def run(self, statement, sink: Sink) -> None:
        """Runs one statement: of a block each, of IF and WHILE as their conditions say."""
        if isinstance(statement, Block):
            for inner in statement.statements:
                self.run(inner, sink)
        elif isinstance(statement, If):
            if self._condition(statement.condition):
                self.run(statement.then, sink)
            elif statement.otherwise is not None:
                self.run(statement.otherwise, sink)
        elif isinstance(statement, While):
            while self._condition(statement.condition):
                self.run(statement.body, sink)
        else:
            self._run_simple(statement, sink)

    def _run_simple(self, statement: Simple, sink: Sink) -> None:
        self._session.catalog.begin_statement()
        self._session.statement = statement.text
        method = getattr(self, f"_do_{statement.keyword.lower()}", None)
        try:
            if method is not None:
                method(statement, sink)
            elif statement.keyword in ("SELECT", "WITH", "INSERT", "UPDATE", "DELETE", "(", "VALUES"):
                text = written_out(statement.text) if statement.keyword in ("UPDATE", "WITH") else statement.text
                self._execution.query_or_change(text, sink)
            elif statement.keyword == "ALTER" and statement.word(1) == "DATABASE":
                self._alter_database(statement, sink)
            elif statement.keyword in ("CREATE", "ALTER", "DROP", "TRUNCATE"):
                self._execution.define(statement, sink)
            elif statement.keyword in ("MERGE", "DENY", "DBCC", "RETURN", "BREAK", "CONTINUE"):
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
            self._session.fail(failure, sink)
            return
        self._session.last_error = 0

    def _condition(self, text: str) -> bool:
        self._session.catalog.begin_statement()
        tree = parse_shared(f"SELECT 1 WHERE {text}")
        query = Compiler(self._session)
        compiled = query.query(tree, None)
        return bool(self._session.cursor.execute(compiled.sql, query.used_binds(compiled.sql)).fetchall())

    def _alter_database(self, statement: Simple, sink: Sink) -> None:
        """Change Tracking, and the two options that decide what a reader sees."""
        server, option = self._session.server, statement.word(4)
        if self._session.transaction is not None:
            raise SqlError(226, "ALTER DATABASE statement not allowed within multi-statement transaction.")
        if statement.word(3) == "SET" and option == "CHANGE_TRACKING":
            alter_database(self._session, statement)
            sink.done("ALTER DATABASE", None)
            return
        if statement.word(3) != "SET" or option not in ("ALLOW_SNAPSHOT_ISOLATION", "READ_COMMITTED_SNAPSHOT"):
            raise not_supported(f"this form of ALTER DATABASE: {statement.text[:60]}")
        if option == "ALLOW_SNAPSHOT_ISOLATION":
            server.allows_snapshot = statement.word(5) == "ON"
        else:
            server.reads_versions = statement.word(5) == "ON"
        sink.done("ALTER DATABASE", None)

    def _do_grant(self, statement: Simple, sink: Sink) -> None:
        self._session.server.rights.change(statement)
        sink.done(statement.keyword, None)

    _do_revoke = _do_grant

    def _do_begin(self, statement: Simple, sink: Sink) -> None:
        self._session.begin(sink, *(token.text for token in statement.tokens[2:3]))
        sink.done("BEGIN", None)

    def _do_commit(self, statement: Simple, sink: Sink) -> None:
        self._session.commit(sink)
        sink.done("COMMIT", None)

    def _do_rollback(self, statement: Simple, sink: Sink) -> None:
        if len(statement.tokens) > 2:
            raise not_supported("savepoints")
        self._session.rollback(sink)
        sink.done("ROLLBACK", None)

    def _do_save(self, statement: Simple, sink: Sink) -> None:
        raise not_supported("savepoints")

    def _do_use(self, statement: Simple, sink: Sink) -> None:
        name = statement.tokens[1].text
        if not self._session.server.profile.enters_databases and name.lower() != self._session.database.lower():
            raise SqlError(40508, "USE statement is not supported to switch between databases.")
        if name.lower() not in (self._session.server.database.lower(), "master"):
            raise SqlError(911, f"Database '{name}' does not exist. Make sure that the name is entered correctly.")
        sink.message(5701, f"Changed database context to '{name}'.", 0, 2)
        sink.done("USE", None)

    def _do_print(self, statement: Simple, sink: Sink) -> None:
        value = evaluate(self._session, statement.text[5:], SqlType("nvarchar", -1))
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
        if not text.isdigit() or not self._session.server.kill(int(text)):
            raise SqlError(6106, f"Process ID {text} is not an active process ID.")
        sink.done("KILL", None)

    def _do_set(self, statement: Simple, sink: Sink) -> None:
        first = statement.word(1)
        if first.startswith("@") or first == "@":
            self._set_variable(written_out(statement.text))
        elif first == "TRANSACTION":
            self._session.isolation = (
                re.sub(r"(?is)^set\s+transaction\s+isolation\s+level\s+", "", statement.text).strip().upper()
            )
        elif first == "IDENTITY_INSERT":
            self._set_identity_insert(statement)
        elif first == "LOCK_TIMEOUT":
            self._session.lock_timeout_ms = int("".join(token.text for token in statement.tokens[2:]))
        elif first == "IMPLICIT_TRANSACTIONS":
            self._session.implicit_transactions = statement.word(2) == "ON"
        elif first in _IGNORED_SETTINGS:
            self._setting(first, statement)
        else:
            raise SqlError(195, f"'{first}' is not a recognized SET option.")
        sink.done("SET", None)

    def _setting(self, name: str, statement: Simple) -> None:
        if name == "NOCOUNT":
            self._session.no_count = statement.word(2) == "ON"
        if name == "FMTONLY" and statement.word(2) == "ON":
            raise not_supported("SET FMTONLY ON")
        if name == "ROWCOUNT" and statement.word(2) != "0":
            raise not_supported("SET ROWCOUNT")

    def _set_identity_insert(self, statement: Simple) -> None:
        reader = TokenReader(statement)
        reader.expect("SET", "IDENTITY_INSERT")
        parts = reader.qualified_name()
        table = self._session.catalog.find(parts[-2] if len(parts) > 1 else "dbo", parts[-1])
        if table is None:
            raise SqlError(
                1088, f'Cannot find the object "{parts[-1]}" because it does not exist or you do not have permissions.'
            )
        if table.identity is None:
            raise SqlError(
                8106, f"Table '{table.name}' does not have the identity property. Cannot perform SET operation."
            )
        self._session.identity_insert = table.object_id if reader.accept("ON") else None

    def _do_declare(self, statement: Simple, sink: Sink) -> None:
        reader = TokenReader(statement)
        reader.expect("DECLARE")
        while True:
            reader.accept_symbol("@")
            name = reader.name().lstrip("@").lower()
            reader.accept("AS")
            if (token := reader.peek()) is not None and token.text.upper() in ("TABLE", "CURSOR"):
                raise not_supported(f"variables of type {token.text}")
            kind = reader.sql_type()
            self._session.variables[name] = (kind, None)
            if reader.accept_symbol("="):
                assign_text(self._session, name, reader.until_comma())
            if not reader.accept_symbol(","):
                break
        sink.done("DECLARE", None)

    def _set_variable(self, text: str) -> None:
        found = re.match(r"(?is)set\s+@([\w#$@]+)\s*=\s*(.*)$", text)
        if not found:
            raise not_supported(f"this assignment: {text[:60]}")
        name = found.group(1).lower()
        if name not in self._session.variables:
            raise SqlError(137, f'Must declare the scalar variable "@{name}".', 15)
        assign_text(self._session, name, found.group(2))

    def _do_exec(self, statement: Simple, sink: Sink) -> None:
        procedures.execute(self._session, statement, sink, self.run)

    _do_execute = _do_exec
