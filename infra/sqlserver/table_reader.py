"""Reads the body of CREATE TABLE, or what ALTER TABLE adds, into columns, keys and foreign keys.

What has no effect here (file groups, clustering, fill factors) is skipped; what would change results (CHECK
constraints, computed columns) is refused.
"""

import hashlib
from dataclasses import replace

from .dialect import is_symbol, is_word
from .errors import SqlError, not_supported
from .tables import Column, ForeignKey, Key, Table, Traits
from .token_reader import TokenReader
from .types import SqlType


class TableReader:
    """Reads the body of CREATE TABLE or the additions of ALTER TABLE."""

    def __init__(self, reader: TokenReader, schema: str, name: str, release: int):
        self._reader, self._schema, self._name, self._release = reader, schema, name, release
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
        elif reader.accept("DEFAULT"):
            text = reader.default_text()
            reader.expect("FOR")
            self.defaults.append((reader.name(), text))
        elif name is not None:
            raise reader.unexpected()
        elif reader.accept("PERIOD", "FOR", "SYSTEM_TIME"):
            reader.skip_parentheses()
        elif (token := reader.peek()) is not None and is_word(token, "PERIOD", "INDEX"):
            raise not_supported(f"{token.text.upper()} in a table definition")
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
        if (token := reader.peek()) is not None and is_word(token, "TIMESTAMP") and name.lower() == "timestamp":
            reader.name()
        kind = reader.sql_type(self._release)
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
            return replace(column, type=replace(column.type, collation=reader.name()))
        if reader.accept("NOT", "FOR", "REPLICATION") or reader.accept_any("ROWGUIDCOL"):
            return column
        if (traits := self._traits(column.traits)) is not None:
            # A row that is inserted is current from now on, without end; UPDATE and DELETE keep no history here.
            period = {1: "SYSUTCDATETIME()", 2: "'9999-12-31 23:59:59.9999999'"}.get(traits.generated_always)
            default = {"default": period, "default_name": f"DF_{column.name}"} if period else {}
            return replace(column, traits=traits, nullable=column.nullable and not period, **default)
        if reader.accept("FOREIGN", "KEY") or ((token := reader.peek()) is not None and is_word(token, "REFERENCES")):
            self._foreign_key(name, (column.name,))
            return column
        if reader.accept("CHECK"):
            raise not_supported("CHECK constraints")
        raise reader.unexpected()

    def _traits(self, traits: Traits) -> Traits | None:
        """What sets a column apart, if that comes next."""
        reader = self._reader
        if reader.accept("SPARSE"):
            return replace(traits, is_sparse=True)
        if reader.accept("HIDDEN"):
            return replace(traits, is_hidden=True)
        if reader.accept("COLUMN_SET", "FOR", "ALL_SPARSE_COLUMNS"):
            return replace(traits, is_column_set=True)
        if reader.accept("MASKED", "WITH"):
            reader.expect_symbol("(")
            reader.expect("FUNCTION")
            reader.expect_symbol("=")
            mask = reader.literal()
            reader.expect_symbol(")")
            return replace(traits, mask=mask)
        if reader.accept("ENCRYPTED", "WITH"):
            mark = reader.mark()
            reader.skip_parentheses()
            return replace(traits, encryption_type=2 if "RANDOMIZED" in reader.text_since(mark).upper() else 1)
        if reader.accept("GENERATED", "ALWAYS", "AS", "ROW"):
            return replace(traits, generated_always=1 if reader.accept_any("START", "END") == "START" else 2)
        return None

    def _identity(self, column: Column) -> Column:
        reader, seed, increment = self._reader, 1, 1
        if reader.accept_symbol("("):
            seed = self._integer()
            reader.expect_symbol(",")
            increment = self._integer()
            reader.expect_symbol(")")
        return replace(column, seed=seed, increment=increment, nullable=False)

    def add_graph_columns(self, kind: str) -> None:
        """The columns that AS NODE and AS EDGE put before a table's own; those that no statement may read are hidden ones."""
        suffix = hashlib.md5(f"{self._schema}.{self._name}".encode(), usedforsecurity=False).hexdigest().upper()
        names = {"NODE": ["$node_id"], "EDGE": ["$edge_id", "$from_id", "$to_id"]}[kind]
        text = f'N\'{{"type":"{kind.lower()}","schema":"{self._schema}","table":"{self._name}","id":0}}\''
        hidden = Traits(is_hidden=True, graph_type=1)
        own = [Column(f"graph_id_{suffix}", SqlType("bigint"), traits=hidden)]
        for name, graph_type in zip(names, (2, 5, 8), strict=False):
            shown = Traits(graph_type=graph_type, is_hidden=False)
            own.append(
                Column(f"{name}_{suffix}", SqlType("nvarchar", 1000), default=text, default_name=name, traits=shown)
            )
        self.columns = own + self.columns

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
                f"A table can only have one timestamp column. Because table '{self._name}' "
                f"already has one, another cannot be added.",
            )
        return Table(self._schema, self._name, tuple(columns.values()), tuple(self.keys), tuple(self.foreign_keys))
