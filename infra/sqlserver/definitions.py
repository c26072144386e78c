"""CREATE, ALTER, DROP and TRUNCATE: read from tokens, because SQL Server's DDL says more than a generic parser keeps.

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
from .errors import SqlError, not_supported
from .queries import Compiler
from .storage import Storage
from .table_reader import TableReader
from .tables import Column, Key, Table
from .token_reader import TokenReader
from .tracked_tables import forget, truncated

if TYPE_CHECKING:
    from .script import Simple
    from .session import Session

_KINDS = ("TABLE", "VIEW", "SCHEMA", "FUNCTION", "SECURITY", "SYNONYM", "INDEX", "UNIQUE", "CLUSTERED", "NONCLUSTERED")


class Definitions:
    """Runs one DDL statement in the session's transaction."""

    def __init__(self, session: Session):
        self._session, self._catalog, self._cursor = session, session.catalog, session.cursor
        self._storage = Storage(session)

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
        action = getattr(self, f"_{verb.lower()}_{(kind or '').lower()}", None)
        if action is None:
            raise not_supported(" ".join(token.text for token in statement.tokens[:3]))
        action(reader)

    def _now(self):
        return self._session.server.now()

    def _target(self, reader: TokenReader) -> tuple[str, str]:
        parts = reader.qualified_name()
        if parts[-1].startswith("#"):
            raise not_supported("temporary tables")
        if len(parts) > 2:
            self._session.check_database(parts[-3], ".".join(parts))
        return (parts[-2] if len(parts) > 1 else "dbo"), parts[-1]

    def _existing(self, reader: TokenReader) -> Table:
        schema, name = self._target(reader)
        table = self._catalog.find(schema, name)
        if table is None or table.definition is not None:
            raise SqlError(
                4902,
                f'Cannot find the object "{schema}.{name}" because it does not exist or you do not have permissions.',
            )
        return table

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

    # --- DROP and TRUNCATE

    def _drop_table(self, reader: TokenReader) -> None:
        if_exists = reader.accept("IF", "EXISTS")
        while True:
            schema, name = self._target(reader)
            table = self._catalog.find(schema, name)
            if table is None or table.definition is not None:
                if not if_exists:
                    raise SqlError(
                        3701,
                        f"Cannot drop the table '{name}', because it does not exist or you do not have permission.",
                        11,
                    )
            else:
                self._drop(table)
            if not reader.accept_symbol(","):
                return

    def _drop(self, table: Table) -> None:
        if any(other.object_id != table.object_id for other in self._catalog.referencing_tables(table)):
            raise SqlError(
                3726, f"Could not drop object '{table.name}' because it is referenced by a FOREIGN KEY constraint."
            )
        self._cursor.execute(f"DROP TABLE {table.storage}")
        if table.is_tracked:
            forget(self._session, table)
        if table.identity is not None:
            self._cursor.execute(f"DROP SEQUENCE {table.identity_sequence}")
        self._catalog.remove_table(table)

    def _drop_view(self, reader: TokenReader) -> None:
        if_exists = reader.accept("IF", "EXISTS")
        schema, name = self._target(reader)
        table = self._catalog.find(schema, name)
        if table is not None and table.definition is not None:
            self._catalog.remove_table(table)
        elif not if_exists:
            raise SqlError(
                3701, f"Cannot drop the view '{name}', because it does not exist or you do not have permission.", 11
            )

    def _drop_schema(self, reader: TokenReader) -> None:
        if_exists = reader.accept("IF", "EXISTS")
        name = reader.name()
        if self._catalog.schema_id(name) is None:
            if if_exists:
                return
            raise SqlError(
                15151, f"Cannot drop the schema '{name}', because it does not exist or you do not have permission."
            )
        if any(schema.lower() == name.lower() for _, schema, _ in self._catalog.tables()):
            raise SqlError(3729, f"Cannot drop schema '{name}' because it is being referenced by an object.")
        self._catalog.drop_schema(name)

    def _truncate_table(self, reader: TokenReader) -> None:
        table = self._existing(reader)
        if any(other.object_id != table.object_id for other in self._catalog.referencing_tables(table)):
            raise SqlError(
                4712,
                f"Cannot truncate table '{table.name}' because it is being referenced by a FOREIGN KEY constraint.",
            )
        self._cursor.execute(f"DELETE FROM {table.storage}")
        if table.is_tracked:
            truncated(self._session, table)
        if table.identity is not None:
            self._storage.restart_identity(table, given(table.identity.seed))

    # --- synonyms

    def _create_synonym(self, reader: TokenReader) -> None:
        schema, name = self._target(reader)
        reader.expect("FOR")
        base = ".".join("[" + part.replace("]", "]]") + "]" for part in reader.qualified_name())
        self._catalog.add_object(name, schema, "SN", self._now(), definition=base)

    def _drop_synonym(self, reader: TokenReader) -> None:
        schema, name = self._target(reader)
        number = self._catalog.object_id(schema, name)
        self._cursor.execute("DELETE FROM meta.objects WHERE object_id = ? AND type = 'SN'", [number])

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

    def _drop_security(self, reader: TokenReader) -> None:
        reader.expect("POLICY")
        self._session.server.policies.drop(reader.rest())

    # --- ALTER TABLE

    def _alter_table(self, reader: TokenReader) -> None:
        Alterations(self._session).run(self._existing(reader), reader)
