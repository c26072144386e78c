"""How a table is kept in DuckDB: its columns and keys, the index behind a unique one, the counter of its identity column."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from flowforge.domain.given import given

from .constraints import key_form
from .errors import SqlError
from .tables import ForeignKey, Key, Table, quote
from .types import CHARACTERS

if TYPE_CHECKING:
    from .session import Session


class Storage:
    """Makes what DuckDB keeps of tables, in the session's transaction."""

    def __init__(self, session: Session):
        self._catalog, self._cursor = session.catalog, session.cursor

    def checked(self, foreign: ForeignKey) -> ForeignKey:
        """The key with the names of the referenced columns. Raises SqlError 1767 or 1770 where table or columns are not there."""
        referenced = self._catalog.find(foreign.referenced_schema, foreign.referenced_table)
        if referenced is None:
            raise SqlError(
                1767,
                f"Foreign key '{foreign.name}' "
                f"references invalid table '{foreign.referenced_schema}.{foreign.referenced_table}'.",
            )
        others = foreign.referenced_columns or (referenced.primary_key.columns if referenced.primary_key else ())
        if len(others) != len(foreign.columns) or any(referenced.column(name) is None for name in others):
            raise SqlError(
                1770,
                f"Foreign key '{foreign.name}' references invalid column in referenced table '{foreign.referenced_table}'.",
            )
        return replace(foreign, referenced_columns=others)

    def restart_identity(self, table: Table, first: int) -> None:
        """Makes `first` the next identity value of the table."""
        step = given(table.identity).increment
        bounds = f"MINVALUE {-(2**63)} MAXVALUE {2**63 - 1}"
        self._cursor.execute(
            f"CREATE OR REPLACE SEQUENCE {table.identity_sequence} INCREMENT {step} {bounds} START {first}"
        )

    def create_storage(self, table: Table) -> None:
        """Makes the DuckDB table that holds a table's rows."""
        columns = []
        for column in table.columns:
            collation = " COLLATE NOCASE" if column.type.base in CHARACTERS else ""
            columns.append(
                f"{quote(column.name)} {column.type.duckdb}{collation}{'' if column.nullable else ' NOT NULL'}"
            )
        plain = {key for key in table.keys if key.is_constraint and self._is_plain(table, key)}
        for key in table.keys:
            if key in plain:
                names = ", ".join(quote(given(table.column(name)).name) for name in key.columns)
                columns.append(f"{'PRIMARY KEY' if key.is_primary else 'UNIQUE'} ({names})")
        self._cursor.execute(f"CREATE TABLE {table.storage} ({', '.join(columns)})")
        for key in table.keys:
            if key.is_unique and key not in plain:
                self.create_unique_index(table, key)

    def _is_plain(self, table: Table, key: Key) -> bool:
        """Whether DuckDB compares the key's columns as they are."""
        columns = [given(table.column(name)) for name in key.columns]
        return all(key_form(column) == quote(column.name) for column in columns)

    def create_unique_index(self, table: Table, key: Key) -> None:
        """Makes the DuckDB index that holds a key which compares as SQL Server does."""
        forms = [key_form(given(table.column(column))) for column in key.columns]
        names = ", ".join(form if form.startswith('"') else f"({form})" for form in forms)
        index = quote(f"{key.name}_{table.object_id}")
        self._cursor.execute(f"CREATE UNIQUE INDEX {index} ON {table.storage} ({names})")
