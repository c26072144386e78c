"""CREATE and ALTER, and the way to `drops`: read from tokens, because SQL Server's DDL says more than a generic parser keeps.

Reading and doing are apart: `TableReader` turns tokens into a `catalog.Table`; `Definitions` makes the storage and the
catalog rows. What is read but has no effect here (file groups, clustering, fill factors) is skipped; what would change
results (CHECK constraints, computed columns, triggers) is refused.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from flowforge.domain.given import given

from .alterations import Alterations
from .dialect import is_symbol, parse_one
from .drops import Drops
from .errors import SqlError, not_supported
from .objects import Objects
from .queries import Compiler
from .table_reader import TableReader
from .tables import Column, Key, Table
from .token_reader import TokenReader

if TYPE_CHECKING:
    from .script import Simple

_KINDS = ("TABLE", "VIEW", "SCHEMA", "FUNCTION", "SECURITY", "SYNONYM", "INDEX", "UNIQUE", "CLUSTERED", "NONCLUSTERED")


class Definitions(Objects):
    """Runs one DDL statement in the session's transaction."""

    def run(self, statement: Simple) -> None:
        """Runs one statement that defines, changes or drops something."""
        reader = TokenReader(statement)
        verb = reader.name().upper()
        kind = reader.accept_any(*_KINDS)
        if kind in ("UNIQUE", "CLUSTERED", "NONCLUSTERED"):
            is_unique = kind == "UNIQUE"
            reader.accept_any("CLUSTERED", "NONCLUSTERED")
            reader.expect("INDEX")
            self._create_index(reader, is_unique)
            return
        doer = Drops(self._session) if verb in ("DROP", "TRUNCATE") else self
        action = getattr(doer, f"_{verb.lower()}_{(kind or '').lower()}", None)
        if action is None:
            raise not_supported(" ".join(token.text for token in statement.tokens[:3]))
        action(reader)

    # --- CREATE

    def _create_table(self, reader: TokenReader) -> None:
        schema, name = self._target(reader)
        body = TableReader(reader, schema, name, self._session.server.release)
        reader.expect_symbol("(")
        body.item()
        while reader.accept_symbol(","):
            if is_symbol(reader.peek(), ")"):
                break
            body.item()
        reader.expect_symbol(")")
        if reader.accept("AS"):
            body.add_graph_columns(reader.accept_any("NODE", "EDGE") or "")
        while (word := reader.accept_any("ON", "TEXTIMAGE_ON", "WITH")) is not None:
            if word == "WITH":
                reader.skip_parentheses()
            else:
                reader.name()
        if not reader.at_end():
            raise reader.unexpected()
        self.create(body.table())

    def create(self, table: Table) -> Table:
        """Makes a table: catalog rows, storage, identity counter. Raises 2714, 2760 or 1767."""
        if self._catalog.schema_id(table.schema) is None or table.schema.lower() in ("sys", "information_schema"):
            raise SqlError(
                2760,
                f'The specified schema name "{table.schema}" either does not exist or you do not have permission to use it.',
            )
        if self._catalog.object_id(table.schema, table.name) is not None:
            raise SqlError(2714, f"There is already an object named '{table.name}' in the database.")
        table = replace(table, foreign_keys=tuple(self._storage.checked(foreign) for foreign in table.foreign_keys))
        stored = self._catalog.add_table(table, self._now())
        self._storage.create_storage(stored)
        if stored.identity is not None:
            self._storage.restart_identity(stored, given(stored.identity.seed))
        return stored

    def _create_schema(self, reader: TokenReader) -> None:
        name = reader.name()
        if reader.accept("AUTHORIZATION"):
            reader.name()
        if not reader.at_end():
            raise not_supported("CREATE SCHEMA with its tables in one statement")
        if self._catalog.schema_id(name) is not None:
            raise SqlError(2714, f"There is already an object named '{name}' in the database.")
        self._catalog.create_schema(name)

    def _create_view(self, reader: TokenReader) -> None:
        schema, name = self._target(reader)
        reader.expect("AS")
        text = reader.rest()
        query = Compiler(self._session).query(parse_one(text), None)
        columns = tuple(Column(output.name, output.type, output.nullable) for output in query.outputs)
        for position, column in enumerate(columns, 1):
            if not column.name:
                raise SqlError(
                    4511, f"Create View or Function failed because no column name was specified for column {position}."
                )
        if self._catalog.object_id(schema, name) is not None:
            raise SqlError(2714, f"There is already an object named '{name}' in the database.")
        self._catalog.add_table(Table(schema, name, columns, definition=text), self._now())

    def _create_index(self, reader: TokenReader, is_unique: bool = False) -> None:
        name = reader.name()
        reader.expect("ON")
        table = self._existing(reader)
        columns = tuple(reader.name_list())
        for column in columns:
            if table.column(column) is None:
                raise SqlError(1911, f"Column name '{column}' does not exist in the target table or view.")
        if reader.accept("INCLUDE"):
            reader.skip_parentheses()
        if reader.accept("WHERE"):
            raise not_supported("filtered indexes")
        key = Key(name, columns, False, False, is_unique)
        if is_unique:
            self._storage.create_unique_index(table, key)
        self._catalog.add_key(table, key, self._now())
        self._catalog.modified(table, self._now())

    # --- synonyms

    def _create_synonym(self, reader: TokenReader) -> None:
        schema, name = self._target(reader)
        reader.expect("FOR")
        base = ".".join("[" + part.replace("]", "]]") + "]" for part in reader.qualified_name())
        self._catalog.add_object(name, schema, "SN", self._now(), definition=base)

    # --- row-level security

    def _create_function(self, reader: TokenReader) -> None:
        self._session.server.policies.create_function(reader.rest())

    def _create_security(self, reader: TokenReader) -> None:
        reader.expect("POLICY")
        text = reader.rest()
        number = self._catalog.add_object(text.split()[0], "dbo", "SP", self._now())
        self._session.server.policies.create(text, number)

    def _alter_security(self, reader: TokenReader) -> None:
        reader.expect("POLICY")
        self._session.server.policies.alter(reader.rest())

    # --- ALTER TABLE

    def _alter_table(self, reader: TokenReader) -> None:
        Alterations(self._session).run(self._existing(reader), reader)
