"""ALTER TABLE: every change of shape stores the rows anew, so that one path serves them all."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from flowforge.domain.given import given

from .captured_tables import refuse_new_shape
from .conversion import convert
from .dialect import is_word, parse_expression
from .errors import SqlError, invalid_column, not_supported
from .queries import Compiler
from .scopes import Scope
from .storage import Storage
from .table_reader import TableReader
from .tables import Column, Table, quote
from .token_reader import TokenReader
from .tracking_settings import alter_table, refuse_key_dropped
from .types import SqlType
from .values import Typed

if TYPE_CHECKING:
    from .session import Session


_GROWING = {"varchar", "nvarchar", "varbinary"}  # may get longer under an index and a constraint but a primary key


class Alterations:
    """Runs ALTER TABLE in the session's transaction."""

    def __init__(self, session: Session):
        self._session, self._storage = session, Storage(session)
        self._catalog, self._cursor = session.catalog, session.cursor

    def run(self, table: Table, reader: TokenReader) -> None:
        """Runs what follows ALTER TABLE name."""
        token = reader.peek()
        if token is not None and is_word(token, "ADD", "DROP", "ALTER"):
            refuse_new_shape(table)
        if reader.accept("ADD"):
            body = TableReader(reader, table.schema, table.name, self._session.server.release)
            body.item()
            while reader.accept_symbol(","):
                body.item()
            self._add(table, body)
        elif reader.accept("DROP", "COLUMN"):
            self._drop_columns(table, reader)
        elif reader.accept("DROP"):
            reader.accept("CONSTRAINT")
            self._drop_constraint(table, reader)
        elif reader.accept("ALTER", "COLUMN"):
            self._change_column(table, reader)
        elif not alter_table(self._session, table, reader):
            raise not_supported(f"ALTER TABLE ... {token.text if (token := reader.peek()) else ''}")

    def _add(self, table: Table, body: TableReader) -> None:
        for column in body.columns:
            if table.column(column.name) is not None:
                raise SqlError(
                    2705,
                    f"Column names in each table must be unique. "
                    f"Column name '{column.name}' in table '{table.name}' is specified more than once.",
                )
        next_id = max(column.column_id for column in table.columns) + 1
        added = [replace(column, column_id=next_id + i) for i, column in enumerate(body.columns)]
        columns = [*table.columns, *added]
        for name, text in body.defaults:
            found = table.column(name)
            if found is None:
                raise invalid_column(name)
            changed = replace(found, default=text, default_name=f"DF_{table.name}_{name}")
            columns = [changed if column.name == found.name else column for column in columns]
        foreign = tuple(self._storage.checked(item) for item in body.foreign_keys)
        primary = {name.lower() for key in body.keys if key.is_primary for name in key.columns}
        columns = [replace(c, nullable=False) if c.name.lower() in primary else c for c in columns]
        self.rebuild(table, replace(table, columns=tuple(columns), keys=(*table.keys, *body.keys)))
        stored = given(self._catalog.find(table.schema, table.name))
        for key in body.keys:
            self._catalog.add_key(stored, key, self._session.server.now())
        for item in foreign:
            self._catalog.add_foreign_key(stored, item, self._session.server.now())
        self._catalog.forget()

    def _drop_columns(self, table: Table, reader: TokenReader) -> None:
        if_exists = reader.accept("IF", "EXISTS")
        names = [reader.name()]
        while reader.accept_symbol(","):
            reader.accept("COLUMN")
            names.append(reader.name())
        for name in names:
            if table.column(name) is None and not if_exists:
                raise SqlError(
                    4924,
                    f"ALTER TABLE DROP COLUMN failed because column '{name}' does not exist in table '{table.name}'.",
                )
            if any(
                name.lower() in (item.lower() for item in key.columns) for key in (*table.keys, *table.foreign_keys)
            ):
                raise SqlError(5074, f"The object '{table.name}' is dependent on column '{name}'.")
        gone = {name.lower() for name in names}
        self.rebuild(table, replace(table, columns=tuple(c for c in table.columns if c.name.lower() not in gone)))

    def _drop_constraint(self, table: Table, reader: TokenReader) -> None:
        name = reader.name()
        refuse_key_dropped(table, name)
        if any(column.default_name and column.default_name.lower() == name.lower() for column in table.columns):
            columns = tuple(
                replace(c, default=None, default_name=None) if (c.default_name or "").lower() == name.lower() else c
                for c in table.columns
            )
            self.rebuild(table, replace(table, columns=columns))
            return
        kept_keys = tuple(key for key in table.keys if key.name.lower() != name.lower())
        kept_foreign = tuple(item for item in table.foreign_keys if item.name.lower() != name.lower())
        if len(kept_keys) == len(table.keys) and len(kept_foreign) == len(table.foreign_keys):
            raise SqlError(3728, f"'{name}' is not a constraint.")
        self._catalog.remove_constraint(table, name)
        self.rebuild(table, replace(table, keys=kept_keys, foreign_keys=kept_foreign))

    def _change_column(self, table: Table, reader: TokenReader) -> None:
        name = reader.name()
        found = table.column(name)
        if found is None:
            raise SqlError(
                4924, f"ALTER TABLE ALTER COLUMN failed because column '{name}' does not exist in table '{table.name}'."
            )
        kind = reader.sql_type()
        if reader.accept("COLLATE"):
            kind = replace(kind, collation=reader.name())
        nullable = not reader.accept("NOT", "NULL")
        changed = replace(found, type=kind, nullable=nullable)
        _refuse_dependent(table, found, changed, self._catalog.collation)
        self.rebuild(
            table, replace(table, columns=tuple(changed if c.name == found.name else c for c in table.columns))
        )

    def rebuild(self, old: Table, new: Table) -> None:
        """Stores the rows of `old` anew in the shape of `new`; columns are matched by their ids."""
        compiler = Compiler(self._session)
        if new.has_rowversion:
            self._session.server.rowversions.hold(self._session.open_transaction.number)
        before = {column.column_id: column for column in old.columns}
        values = []
        for column in new.columns:
            if column.column_id in before:
                source = before[column.column_id]
                place = f"table '{self._session.server.database}.{new.schema}.{new.name}', column '{column.name}'"
                values.append(convert(Typed(quote(source.name), source.type), column.type, storing=place).sql)
            elif column.seed is not None:
                values.append(
                    f"CAST({column.seed} + (row_number() OVER () - 1) * {column.increment} AS {column.type.duckdb})"
                )
            elif column.type.base == "rowversion":
                values.append("rowversion_of(nextval('meta.rowversions'))")
            elif column.default is not None and not column.nullable:
                values.append(
                    convert(compiler.expressions.value(parse_expression(column.default), Scope()), column.type).sql
                )
            else:
                values.append(f"CAST(NULL AS {column.type.duckdb})")
        temporary = f"temp.rebuilt_{old.object_id}"
        self._cursor.execute(f"CREATE TEMP TABLE {temporary.split('.')[1]} AS SELECT * FROM {old.storage}")
        self._cursor.execute(f"DROP TABLE {old.storage}")
        self._storage.create_storage(new)
        self._cursor.execute(f"INSERT INTO {new.storage} SELECT {', '.join(values)} FROM {temporary}")
        self._cursor.execute(f"DROP TABLE {temporary}")
        self._cursor.execute("DELETE FROM meta.columns WHERE object_id = ?", [old.object_id])
        for column in new.columns:
            self._catalog.add_column(old.object_id, column)
        self._catalog.modified(old, self._session.server.now())
        if new.identity is not None and old.identity is None:
            (count,) = given(self._cursor.execute(f"SELECT count(*) FROM {new.storage}").fetchone())
            self._storage.restart_identity(new, given(new.identity.seed) + count * new.identity.increment)
        self._catalog.forget()


def _refuse_dependent(table: Table, before: Column, after: Column, collation: str) -> None:
    """Raises 5074 for a column of a primary key that changes, of another key or index unless it only grows, and of a default
    that gets another type. (ALTER TABLE, ALTER COLUMN, "the modified column can't be". The server sends 4922 behind it.)"""
    is_alike = (before.type.collation or collation) == (after.type.collation or collation)
    if before == after and is_alike:
        return
    if before.default is not None and before.type.base != after.type.base:
        raise SqlError(5074, f"The object '{before.default_name}' is dependent on column '{before.name}'.")
    grows = (
        before.type.base in _GROWING
        and before.nullable == after.nullable
        and is_alike
        and _grows(before.type, after.type)
    )
    for key in table.keys:
        if before.name.lower() in map(str.lower, key.columns) and (key.is_primary or not grows):
            what = "object" if key.is_constraint else "index"
            raise SqlError(5074, f"The {what} '{key.name}' is dependent on column '{before.name}'.")


def _grows(before: SqlType, after: SqlType) -> bool:
    return before.base == after.base and (after.length == -1 or 0 < before.length <= after.length)
