"""DROP and TRUNCATE: what refers to an object keeps it, with SQL Server's numbers."""

from __future__ import annotations

from flowforge.domain.given import given

from .captured_tables import forget_captured, refuse_truncation
from .errors import SqlError
from .objects import Objects
from .tables import Table
from .token_reader import TokenReader
from .tracked_tables import forget, truncated


class Drops(Objects):
    """Runs one statement that drops or empties something."""

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
        if table.is_captured:
            forget_captured(self._session, table)
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
        refuse_truncation(table)
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

    def _drop_synonym(self, reader: TokenReader) -> None:
        schema, name = self._target(reader)
        number = self._catalog.object_id(schema, name)
        self._cursor.execute("DELETE FROM meta.objects WHERE object_id = ? AND type = 'SN'", [number])

    def _drop_security(self, reader: TokenReader) -> None:
        reader.expect("POLICY")
        self._session.server.policies.drop(reader.rest())
