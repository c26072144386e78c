"""CREATE, ALTER, DROP and TRUNCATE: read from tokens, because SQL Server's DDL says more than a generic parser keeps.

Reading and doing are apart: `TableReader` turns tokens into a `catalog.Table`; `Definitions` makes the storage and the
catalog rows. What is read but has no effect here (file groups, clustering, fill factors) is skipped; what would change
results (CHECK constraints, computed columns, triggers) is refused.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from sqlglot.tokens import Token

from .catalog import Column, ForeignKey, Key, Table, quote
from .conversion import convert
from .dialect import LITERALS, is_symbol, is_word, parse_expression, parse_one
from .errors import SqlError, invalid_column, not_supported, syntax_error
from .queries import Compiler
from .scopes import Scope
from .types import CHARACTERS, SqlType, parse_type
from .values import Typed

if TYPE_CHECKING:
    from .script import Simple
    from .session import Session


class TokenReader:
    """Walks over the tokens of one statement."""

    def __init__(self, statement: Simple):
        self._sql_start = statement.tokens[0].start
        self._text, self._tokens, self._at = statement.text, statement.tokens, 0

    def peek(self, ahead: int = 0) -> Token | None:
        index = self._at + ahead
        return self._tokens[index] if index < len(self._tokens) else None

    def at_end(self) -> bool:
        return self._at >= len(self._tokens)

    def accept(self, *words: str) -> bool:
        """Consumes these words if they come next, all of them."""
        if all((token := self.peek(i)) is not None and is_word(token, word) for i, word in enumerate(words)):
            self._at += len(words)
            return True
        return False

    def accept_any(self, *words: str) -> str | None:
        token = self.peek()
        if token is not None and is_word(token, *words):
            self._at += 1
            return token.text.upper()
        return None

    def accept_symbol(self, symbol: str) -> bool:
        if is_symbol(self.peek(), symbol):
            self._at += 1
            return True
        return False

    def expect(self, *words: str) -> None:
        if not self.accept(*words):
            raise self.unexpected()

    def expect_symbol(self, symbol: str) -> None:
        if not self.accept_symbol(symbol):
            raise self.unexpected()

    def unexpected(self) -> SqlError:
        token = self.peek()
        return syntax_error(token.text if token else self._tokens[-1].text)

    def name(self) -> str:
        token = self.peek()
        if token is None or token.token_type in LITERALS or is_symbol(token, "(", ")", ".", ",", ";", "="):
            raise self.unexpected()
        self._at += 1
        return token.text

    def until_comma(self) -> str:
        """The text up to the next comma outside parentheses, or to the end."""
        mark, depth = self._at, 0
        while self.peek() is not None and (depth or not is_symbol(self.peek(), ",")):
            depth += is_symbol(self.peek(), "(") - is_symbol(self.peek(), ")")
            self._at += 1
        if self._at == mark:
            raise self.unexpected()
        return self.text_since(mark)

    def qualified_name(self) -> list[str]:
        """A name with up to three parts; an empty middle part means dbo."""
        parts = [self.name()]
        while self.accept_symbol("."):
            token = self.peek()
            parts.append("dbo" if is_symbol(token, ".") else self.name())
        return parts

    def name_list(self) -> list[str]:
        """`(a, b DESC, ...)`."""
        self.expect_symbol("(")
        names = [self.name()]
        self.accept_any("ASC", "DESC")
        while self.accept_symbol(","):
            names.append(self.name())
            self.accept_any("ASC", "DESC")
        self.expect_symbol(")")
        return names

    def skip_parentheses(self) -> None:
        """Skips one balanced group, if one comes next."""
        if not self.accept_symbol("("):
            return
        depth = 1
        while depth:
            token = self.peek()
            if token is None:
                raise self.unexpected()
            depth += is_symbol(token, "(") - is_symbol(token, ")")
            self._at += 1

    def text_since(self, mark: int) -> str:
        first, last = self._tokens[mark], self._tokens[self._at - 1]
        return self._text[first.start - self._sql_start : last.end + 1 - self._sql_start]

    def rest(self) -> str:
        mark, self._at = self._at, len(self._tokens)
        return self.text_since(mark)

    def sql_type(self) -> SqlType:
        """A data type with its arguments."""
        mark = self._at
        parts = self.qualified_name()
        if parts[-1].upper() == "DOUBLE":
            self.accept("PRECISION")
        self.skip_parentheses()
        text = re.sub(r"^\[?sys\]?\.", "", self.text_since(mark), flags=re.IGNORECASE)
        try:
            return parse_type(text)
        except ValueError:
            raise SqlError(2715, f"Cannot find data type {parts[-1]}.") from None

    def default_text(self) -> str:
        """The expression of a DEFAULT: a parenthesised one, a literal, or a function call."""
        mark = self._at
        if is_symbol(self.peek(), "("):
            self.skip_parentheses()
        else:
            self.accept_symbol("-")
            self._at += 1
            self.skip_parentheses()
        return self.text_since(mark)


class TableReader:
    """Reads the body of CREATE TABLE or the additions of ALTER TABLE."""

    def __init__(self, reader: TokenReader, schema: str, name: str):
        self._reader, self._schema, self._name = reader, schema, name
        self.columns: list[Column] = []
        self.keys: list[Key] = []
        self.foreign_keys: list[ForeignKey] = []
        self.defaults: list[tuple[str, str]] = []

    def item(self) -> None:
        """One column or table constraint."""
        reader, name = self._reader, None
        if reader.accept("CONSTRAINT"):
            name = reader.name()
        if reader.accept_any("CHECK"):
            raise not_supported("CHECK constraints")
        if word := self._key_word():
            self.keys.append(self._key(name, word == "PRIMARY", tuple(reader.name_list())))
            self._skip_options()
        elif reader.accept("FOREIGN", "KEY"):
            self._foreign_key(name, tuple(reader.name_list()))
        elif name is not None and reader.accept("DEFAULT"):
            text = reader.default_text()
            reader.expect("FOR")
            self.defaults.append((reader.name(), text))
        elif reader.accept("DEFAULT"):
            text = reader.default_text()
            reader.expect("FOR")
            self.defaults.append((reader.name(), text))
        elif name is not None:
            raise reader.unexpected()
        elif reader.peek() is not None and is_word(reader.peek(), "PERIOD", "INDEX"):
            raise not_supported(f"{reader.peek().text.upper()} in a table definition")
        else:
            self._column()

    def _key_word(self) -> str | None:
        reader, word = self._reader, None
        if reader.accept("PRIMARY", "KEY"):
            word = "PRIMARY"
        elif reader.accept("UNIQUE"):
            word = "UNIQUE"
        if word:
            reader.accept_any("CLUSTERED", "NONCLUSTERED")
        return word

    def _key(self, name: str | None, is_primary: bool, columns: tuple[str, ...]) -> Key:
        prefix = "PK" if is_primary else "UQ"
        return Key(
            name or f"{prefix}_{self._name}" + ("" if is_primary else f"_{'_'.join(columns)}"), columns, is_primary
        )

    def _foreign_key(self, name: str | None, columns: tuple[str, ...]) -> None:
        reader = self._reader
        reader.expect("REFERENCES")
        parts = reader.qualified_name()
        others = tuple(reader.name_list()) if is_symbol(reader.peek(), "(") else ()
        while reader.accept("ON"):
            if not reader.accept_any("DELETE", "UPDATE"):
                raise reader.unexpected()
            if not reader.accept("NO", "ACTION"):
                raise not_supported("cascading foreign keys")
        schema = parts[-2] if len(parts) > 1 else "dbo"
        fallback = f"FK_{self._name}_{parts[-1]}_{'_'.join(columns)}"
        self.foreign_keys.append(ForeignKey(name or fallback, columns, schema, parts[-1], others))

    def _skip_options(self) -> None:
        reader = self._reader
        if reader.accept("WITH"):
            reader.skip_parentheses()
        if reader.accept("ON"):
            reader.name()

    def _column(self) -> None:
        reader = self._reader
        name = reader.name()
        if reader.accept("AS"):
            raise not_supported("computed columns")
        if reader.peek() is not None and is_word(reader.peek(), "TIMESTAMP") and name.lower() == "timestamp":
            reader.name()
        kind = reader.sql_type()
        column = Column(name, kind, nullable=kind.base != "rowversion")
        while reader.peek() is not None and not is_symbol(reader.peek(), ",", ")"):
            column = self._option(column)
        self.columns.append(column)

    def _option(self, column: Column) -> Column:
        reader, name = self._reader, None
        if reader.accept("CONSTRAINT"):
            name = reader.name()
        if reader.accept("NOT", "NULL"):
            return replace(column, nullable=False)
        if reader.accept("NULL"):
            return replace(column, nullable=True)
        if reader.accept("IDENTITY"):
            return self._identity(column)
        if word := self._key_word():
            self.keys.append(self._key(name, word == "PRIMARY", (column.name,)))
            self._skip_options()
            return replace(column, nullable=False) if word == "PRIMARY" else column
        if reader.accept("DEFAULT"):
            return replace(column, default=reader.default_text(), default_name=name or f"DF_{self._name}_{column.name}")
        if reader.accept("COLLATE"):
            reader.name()
            return column
        if reader.accept("NOT", "FOR", "REPLICATION") or reader.accept_any("ROWGUIDCOL", "SPARSE"):
            return column
        if reader.accept("FOREIGN", "KEY") or (reader.peek() is not None and is_word(reader.peek(), "REFERENCES")):
            self._foreign_key(name, (column.name,))
            return column
        if reader.accept("CHECK"):
            raise not_supported("CHECK constraints")
        raise reader.unexpected()

    def _identity(self, column: Column) -> Column:
        reader, seed, increment = self._reader, 1, 1
        if reader.accept_symbol("("):
            seed = self._integer()
            reader.expect_symbol(",")
            increment = self._integer()
            reader.expect_symbol(")")
        return replace(column, seed=seed, increment=increment, nullable=False)

    def _integer(self) -> int:
        sign = -1 if self._reader.accept_symbol("-") else 1
        return sign * int(self._reader.name())

    def table(self) -> Table:
        """What was read, checked: key columns exist and a primary key's are NOT NULL."""
        columns = {column.name.lower(): column for column in self.columns}
        if len(columns) != len(self.columns):
            raise SqlError(
                2705,
                f"Column names in each table must be unique. A column name in table '{self._name}' is specified more than once.",
            )
        if sum(key.is_primary for key in self.keys) > 1:
            raise SqlError(8110, f"Cannot add multiple PRIMARY KEY constraints to table '{self._name}'.")
        for key in self.keys:
            for name in key.columns:
                if name.lower() not in columns:
                    raise SqlError(1911, f"Column name '{name}' does not exist in the target table or view.")
                if key.is_primary:
                    columns[name.lower()] = replace(columns[name.lower()], nullable=False)
        if sum(column.seed is not None for column in self.columns) > 1:
            raise SqlError(
                2744,
                f"Multiple identity columns specified for table '{self._name}'. Only one identity column per table is allowed.",
            )
        if sum(column.type.base == "rowversion" for column in self.columns) > 1:
            raise SqlError(
                2738,
                f"A table can only have one timestamp column. Because table '{self._name}' already has one, another cannot be added.",
            )
        return Table(self._schema, self._name, tuple(columns.values()), tuple(self.keys), tuple(self.foreign_keys))


class Definitions:
    """Runs one DDL statement in the session's transaction."""

    def __init__(self, session: Session):
        self._session, self._catalog, self._cursor = session, session.catalog, session.cursor

    def run(self, statement: Simple) -> None:
        reader = TokenReader(statement)
        verb = reader.name().upper()
        kind = reader.accept_any("TABLE", "VIEW", "SCHEMA", "INDEX", "UNIQUE", "CLUSTERED", "NONCLUSTERED")
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
        body = TableReader(reader, schema, name)
        reader.expect_symbol("(")
        body.item()
        while reader.accept_symbol(","):
            if is_symbol(reader.peek(), ")"):
                break
            body.item()
        reader.expect_symbol(")")
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
        table = replace(table, foreign_keys=tuple(self._checked(foreign) for foreign in table.foreign_keys))
        stored = self._catalog.add_table(table, self._now())
        self._create_storage(stored)
        if stored.identity is not None:
            self.restart_identity(stored, stored.identity.seed)
        return stored

    def _checked(self, foreign: ForeignKey) -> ForeignKey:
        referenced = self._catalog.find(foreign.referenced_schema, foreign.referenced_table)
        if referenced is None:
            raise SqlError(
                1767,
                f"Foreign key '{foreign.name}' references invalid table '{foreign.referenced_schema}.{foreign.referenced_table}'.",
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
        step = table.identity.increment
        bounds = f"MINVALUE {-(2**63)} MAXVALUE {2**63 - 1}"
        self._cursor.execute(
            f"CREATE OR REPLACE SEQUENCE {table.identity_sequence} INCREMENT {step} {bounds} START {first}"
        )

    def _create_storage(self, table: Table) -> None:
        columns = []
        for column in table.columns:
            collation = " COLLATE NOCASE" if column.type.base in CHARACTERS else ""
            columns.append(
                f"{quote(column.name)} {column.type.duckdb}{collation}{'' if column.nullable else ' NOT NULL'}"
            )
        for key in table.keys:
            if key.is_constraint:
                names = ", ".join(quote(table.column(name).name) for name in key.columns)
                columns.append(f"{'PRIMARY KEY' if key.is_primary else 'UNIQUE'} ({names})")
        self._cursor.execute(f"CREATE TABLE {table.storage} ({', '.join(columns)})")

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
        if is_unique:
            names = ", ".join(quote(column) for column in columns)
            self._cursor.execute(
                f"CREATE UNIQUE INDEX {quote(f'{name}_{table.object_id}')} ON {table.storage} ({names})"
            )
        self._catalog.add_key(table, Key(name, columns, False, False, is_unique), self._now())

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
        if table.identity is not None:
            self.restart_identity(table, table.identity.seed)

    # --- ALTER TABLE

    def _alter_table(self, reader: TokenReader) -> None:
        table = self._existing(reader)
        if reader.accept("ADD"):
            body = TableReader(reader, table.schema, table.name)
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
            self._alter_column(table, reader)
        else:
            raise not_supported(f"ALTER TABLE ... {reader.peek().text if reader.peek() else ''}")

    def _add(self, table: Table, body: TableReader) -> None:
        for column in body.columns:
            if table.column(column.name) is not None:
                raise SqlError(
                    2705,
                    f"Column names in each table must be unique. Column name '{column.name}' in table '{table.name}' is specified more than once.",
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
        foreign = tuple(self._checked(item) for item in body.foreign_keys)
        primary = {name.lower() for key in body.keys if key.is_primary for name in key.columns}
        columns = [replace(c, nullable=False) if c.name.lower() in primary else c for c in columns]
        self.rebuild(table, replace(table, columns=tuple(columns), keys=(*table.keys, *body.keys)))
        stored = self._catalog.find(table.schema, table.name)
        for key in body.keys:
            self._catalog.add_key(stored, key, self._now())
        for item in foreign:
            self._catalog.add_foreign_key(stored, item, self._now())
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

    def _alter_column(self, table: Table, reader: TokenReader) -> None:
        name = reader.name()
        found = table.column(name)
        if found is None:
            raise SqlError(
                4924, f"ALTER TABLE ALTER COLUMN failed because column '{name}' does not exist in table '{table.name}'."
            )
        kind = reader.sql_type()
        if reader.accept("COLLATE"):
            reader.name()
        nullable = not reader.accept("NOT", "NULL")
        changed = replace(found, type=kind, nullable=nullable)
        self.rebuild(
            table, replace(table, columns=tuple(changed if c.name == found.name else c for c in table.columns))
        )

    def rebuild(self, old: Table, new: Table) -> None:
        """Stores the rows of `old` anew in the shape of `new`; columns are matched by their ids."""
        compiler = Compiler(self._session)
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
        self._create_storage(new)
        self._cursor.execute(f"INSERT INTO {new.storage} SELECT {', '.join(values)} FROM {temporary}")
        self._cursor.execute(f"DROP TABLE {temporary}")
        self._cursor.execute("DELETE FROM meta.columns WHERE object_id = ?", [old.object_id])
        for column in new.columns:
            self._catalog.add_column(old.object_id, column)
        self._cursor.execute(
            "UPDATE meta.objects SET modify_date = ? WHERE object_id = ?", [self._now(), old.object_id]
        )
        if new.identity is not None and old.identity is None:
            count = self._cursor.execute(f"SELECT count(*) FROM {new.storage}").fetchone()[0]
            self.restart_identity(new, new.identity.seed + count * new.identity.increment)
        self._catalog.forget()
