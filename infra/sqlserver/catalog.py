"""What the stand-in knows about its objects: a few DuckDB tables that live and roll back with the data.

`Catalog` reads and writes them through the session's own DuckDB cursor, so that a CREATE TABLE in a transaction that
rolls back leaves nothing. `system_views.py` shows them as SQL Server's sys.* and INFORMATION_SCHEMA views.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import duckdb

from flowforge.domain.given import given

from .catalog_reading import read_table, read_tables
from .kept_definitions import KeptDefinitions
from .tables import Column, ForeignKey, Key, Table, quote
from .types import COLLATION_NAME, counts_case
from .variables import split_name

COLUMNS_AT_ONCE = 50  # recorded by one statement
MANY = 8  # a session that asks for more tables than so many gets all: each takes four queries, and so do all
# in what is kept: that every table was read; their list; numbers of schemas
_ALL, _TABLES, _SCHEMA = ("all",), ("tables",), ("schema",)


@dataclass
class Catalog(KeptDefinitions):
    """The catalog as one session's transaction sees it; what was read is kept until a definition changes."""

    cursor: duckdb.DuckDBPyConnection
    database: str
    collation: str = COLLATION_NAME

    def _rows(self, sql: str, *values) -> list[tuple]:
        return self.cursor.execute(sql, list(values)).fetchall()

    def _is(self, column: str) -> str:
        """The condition that a name is the one that is bound."""
        return f"{column} = ?" if counts_case(self.collation) else f"lower({column}) = lower(?)"

    def schema_id(self, name: str) -> int | None:
        """The schema's number; None where there is none."""
        kept = self._found
        if (_SCHEMA, name) not in kept:
            found = self._rows(f"SELECT schema_id FROM meta.schemas WHERE {self._is('name')}", name)
            kept[_SCHEMA, name] = found[0][0] if found else None
        return kept[_SCHEMA, name]

    def create_schema(self, name: str) -> None:
        """Records a schema and makes DuckDB's for its tables."""
        number = self._rows("SELECT greatest(5, max(schema_id) + 1) FROM meta.schemas")[0][0]
        self.cursor.execute("INSERT INTO meta.schemas VALUES (?, ?)", [number, name])
        self.cursor.execute(f"CREATE SCHEMA {quote('db_' + name.lower())}")
        self.forget()

    def drop_schema(self, name: str) -> None:
        """Removes a schema, from DuckDB too."""
        self.cursor.execute(f"DELETE FROM meta.schemas WHERE {self._is('name')}", [name])
        self.cursor.execute(f"DROP SCHEMA {quote('db_' + name.lower())}")
        self.forget()

    def find(self, schema: str, name: str) -> Table | None:
        """The table or view of this name, as the database's collation compares names; None if there is none."""
        key = self._key(schema, name)
        found = self._found  # of one version, whatever others change meanwhile
        if key not in found and len(found) >= MANY and _ALL not in found:
            found |= {self._key(table.schema, table.name): table for table in read_tables(self._rows)}
            found[_ALL] = None
        if key not in found:
            found[key] = self._load(schema, name)
        return found[key]

    def _key(self, schema: str, name: str) -> tuple[str, str]:
        return (schema, name) if counts_case(self.collation) else (schema.lower(), name.lower())

    def object_id(self, schema: str, name: str) -> int | None:
        """The number of an object of any type; None where there is none."""
        found = self._rows(
            "SELECT object_id FROM meta.objects o JOIN meta.schemas s USING (schema_id)"
            f" WHERE {self._is('o.name')} AND {self._is('s.name')}",
            name,
            schema,
        )
        return found[0][0] if found else None

    def synonym(self, schema: str, name: str) -> list[str] | None:
        """The parts of the name that a synonym stands for; None where there is none."""
        found = self._rows(
            "SELECT o.definition FROM meta.objects o JOIN meta.schemas s USING (schema_id)"
            f" WHERE {self._is('o.name')} AND {self._is('s.name')} AND o.type = 'SN'",
            name,
            schema,
        )
        return split_name(found[0][0]) if found else None

    def _load(self, schema: str, name: str) -> Table | None:
        return read_table(self._rows, f"{self._is('o.name')} AND {self._is('s.name')}", schema, name)

    # --- writing

    def add_object(self, name: str, schema: str, kind: str, now: dt.datetime, parent: int = 0, definition=None) -> int:
        """Records an object of sys.objects.type `kind`; returns its object_id."""
        number = self._rows("SELECT nextval('meta.object_ids')")[0][0]
        self.cursor.execute(
            "INSERT INTO meta.objects VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [number, name, self.schema_id(schema), parent, kind, now, now, definition],
        )
        return number

    def modified(self, table: Table, now: dt.datetime) -> None:
        """Records that a table's definition has changed."""
        self.cursor.execute("UPDATE meta.objects SET modify_date = ? WHERE object_id = ?", [now, table.object_id])

    def add_table(self, table: Table, now: dt.datetime) -> Table:
        """Records a table with its columns and keys; the rows' storage is made by `definitions.py`."""
        number = self.add_object(table.name, table.schema, "V" if table.definition else "U", now, 0, table.definition)
        columns = tuple(replace(column, column_id=position) for position, column in enumerate(table.columns, 1))
        self._add_columns(number, columns)
        if table.foreign_keys or table.definition or len(table.keys) > 1:
            stored = given(self._load(table.schema, table.name))
            for key in table.keys:
                self.add_key(stored, key, now)
            for foreign in table.foreign_keys:
                self.add_foreign_key(stored, foreign, now)
            self.forget()
            return given(self.find(table.schema, table.name))
        made = self._as_read(replace(table, object_id=number, columns=columns))
        for key in table.keys:
            self.add_key(made, key, now)
        self.forget()
        self._made = {self._key(table.schema, table.name): made}
        self._found.update(self._made)
        return made

    def add_column(self, number: int, column: Column) -> None:
        """Records a column of the object."""
        self._add_columns(number, [column])

    def _as_read(self, table: Table) -> Table:
        """A table of at most one key as it is read again."""
        kinds = (replace(column.type, collation=column.type.collation or self.collation) for column in table.columns)
        typed = [replace(kind, collation=kind.collation_name) for kind in kinds]
        table = replace(
            table, columns=tuple(map(lambda column, kind: replace(column, type=kind), table.columns, typed))
        )
        keys = []
        for key in table.keys:
            names = tuple(given(table.column(name)).name for name in key.columns)
            keys.append(replace(key, columns=names, index_id=1 if key.is_primary else 2))
        return replace(table, keys=tuple(keys))

    def _add_columns(self, number: int, columns: Sequence[Column]) -> None:
        row = f"({', '.join('?' * 20)})"
        for start in range(0, len(columns), COLUMNS_AT_ONCE):
            portion = columns[start : start + COLUMNS_AT_ONCE]
            values = [value for column in portion for value in self._column_values(number, column)]
            self.cursor.execute(f"INSERT INTO meta.columns VALUES {', '.join([row] * len(portion))}", values)

    def _column_values(self, number: int, column: Column) -> list:
        kind = replace(column.type, collation=column.type.collation or self.collation)
        return [number, column.column_id, column.name, kind.base, kind.length, kind.precision, kind.scale, column.nullable,
             column.seed, column.increment if column.seed is not None else None, column.default, column.default_name,
             kind.catalog_name, kind.system_type_id, kind.user_type_id, kind.max_length, kind.catalog_precision,
             kind.catalog_scale, kind.collation_name, asdict(column.traits)]  # fmt: skip

    def add_key(self, table: Table, key: Key, now: dt.datetime) -> None:
        """Records a key or an index, with its constraint if it is one."""
        kind = "PK" if key.is_primary else "UQ"
        constraint = self.add_object(key.name, table.schema, kind, now, table.object_id) if key.is_constraint else None
        index = 1 if key.is_primary else self._rows(
            "SELECT greatest(1, coalesce(max(index_id), 1)) + 1 FROM meta.indexes WHERE object_id = ?", table.object_id
        )[0][0]  # fmt: skip
        self.cursor.execute(
            "INSERT INTO meta.indexes VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [table.object_id, index, key.name, 1 if key.is_primary else 2, key.is_unique, key.is_primary,
             key.is_constraint and not key.is_primary, constraint],
        )  # fmt: skip
        for ordinal, name in enumerate(key.columns, 1):
            self.cursor.execute(
                "INSERT INTO meta.index_columns VALUES (?, ?, ?, ?, false, false)",
                [table.object_id, index, ordinal, given(table.column(name)).column_id],
            )
        self.forget()

    def add_foreign_key(self, table: Table, foreign: ForeignKey, now: dt.datetime) -> None:
        """Records a foreign key, whose other table must be there."""
        referenced = given(self.find(foreign.referenced_schema, foreign.referenced_table))
        number = self.add_object(foreign.name, table.schema, "F", now, table.object_id)
        values = [number, table.object_id, referenced.object_id]
        self.cursor.execute("INSERT INTO meta.foreign_keys VALUES (?, ?, ?)", values)
        for ordinal, (name, other) in enumerate(zip(foreign.columns, foreign.referenced_columns, strict=True), 1):
            ids = [number, ordinal, given(table.column(name)).column_id, given(referenced.column(other)).column_id]
            self.cursor.execute("INSERT INTO meta.foreign_key_columns VALUES (?, ?, ?, ?)", ids)

    def remove_table(self, table: Table) -> None:
        """Removes all that the catalog has of a table."""
        number = [table.object_id]
        self.cursor.execute(
            "DELETE FROM meta.foreign_key_columns WHERE object_id IN"
            " (SELECT object_id FROM meta.foreign_keys WHERE parent_object_id = ?)", number
        )  # fmt: skip
        self.cursor.execute("DELETE FROM meta.foreign_keys WHERE parent_object_id = ?", number)
        for name in ("columns", "indexes", "index_columns"):
            self.cursor.execute(f"DELETE FROM meta.{name} WHERE object_id = ?", number)
        self.cursor.execute("DELETE FROM meta.objects WHERE object_id = ? OR parent_object_id = ?", number * 2)
        self.forget()

    def remove_constraint(self, table: Table, name: str) -> None:
        """Removes a key or a foreign key of the table from the catalog."""
        found = self._rows(
            "SELECT object_id FROM meta.objects WHERE parent_object_id = ? AND lower(name) = lower(?)",
            table.object_id,
            name,
        )
        for (number,) in found:
            index = self._rows("SELECT index_id FROM meta.indexes WHERE constraint_id = ?", number)
            for (index_id,) in index:
                values = [table.object_id, index_id]
                self.cursor.execute("DELETE FROM meta.index_columns WHERE object_id = ? AND index_id = ?", values)
                self.cursor.execute("DELETE FROM meta.indexes WHERE object_id = ? AND index_id = ?", values)
            for place in ("foreign_key_columns", "foreign_keys", "objects"):
                self.cursor.execute(f"DELETE FROM meta.{place} WHERE object_id = ?", [number])
        self.forget()

    def referencing_tables(self, table: Table) -> list[Table]:
        """The other tables with a foreign key to this one."""
        key = ("referencing", table.object_id)
        if key in self._found:
            return self._found[key]
        rows = self._rows(
            "SELECT DISTINCT s.name, o.name FROM meta.foreign_keys f JOIN meta.objects o ON o.object_id = f.parent_object_id"
            " JOIN meta.schemas s USING (schema_id) WHERE f.referenced_object_id = ?",
            table.object_id,
        )
        self._found[key] = [self.find(*row) for row in rows]
        return self._found[key]

    def tables(self) -> list[tuple[int, str, str]]:
        """(object_id, schema, name) of every user table."""
        found = self._found
        if _TABLES not in found:
            found[_TABLES] = self._rows(
                "SELECT object_id, s.name, o.name FROM meta.objects o JOIN meta.schemas s USING (schema_id) WHERE o.type = 'U'"
            )
        return found[_TABLES]
