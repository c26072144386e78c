"""Tables as they were declared: columns, keys, and where DuckDB keeps their rows."""

from __future__ import annotations

from dataclasses import dataclass

from .types import SqlType


@dataclass(frozen=True)
class Traits:
    """What sys.columns says of a column beyond its type; `mask` is the masking function's text."""

    mask: str | None = None
    is_hidden: bool = False
    is_sparse: bool = False
    is_column_set: bool = False
    generated_always: int = 0
    encryption_type: int | None = None
    graph_type: int | None = None


@dataclass(frozen=True)
class Column:
    """A column as declared. `default` is T-SQL text; `seed` is None unless it is an identity column."""

    name: str
    type: SqlType
    nullable: bool = True
    seed: int | None = None
    increment: int = 1
    default: str | None = None
    column_id: int = 0
    default_name: str | None = None
    traits: Traits = Traits()

    @property
    def is_generated(self) -> bool:
        """Whether the server fills the column by itself."""
        return self.seed is not None or self.type.base == "rowversion"


@dataclass(frozen=True)
class Key:
    """A primary key, a unique constraint or an index."""

    name: str
    columns: tuple[str, ...]
    is_primary: bool = False
    is_constraint: bool = True
    is_unique: bool = True
    index_id: int = 0


@dataclass(frozen=True)
class ForeignKey:
    """A foreign key of a table: its columns, and those of the other table that they refer to."""

    name: str
    columns: tuple[str, ...]
    referenced_schema: str
    referenced_table: str
    referenced_columns: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A user table, or a view when `definition` holds its SELECT."""

    schema: str
    name: str
    columns: tuple[Column, ...]
    keys: tuple[Key, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    object_id: int = 0
    definition: str | None = None
    is_tracked: bool = False  # by Change Tracking
    is_captured: bool = False  # by Change Data Capture

    @property
    def storage(self) -> str:
        """The DuckDB name of the table's rows."""
        return storage_name(self.schema, self.name)

    @property
    def identity_sequence(self) -> str:
        """The DuckDB sequence behind the table's IDENTITY."""
        return f"meta.identity_{self.object_id}"

    @property
    def identity(self) -> Column | None:
        """The IDENTITY column; None where there is none."""
        return next((column for column in self.columns if column.seed is not None), None)

    @property
    def primary_key(self) -> Key | None:
        """The primary key; None where there is none."""
        return next((key for key in self.keys if key.is_primary), None)

    @property
    def has_rowversion(self) -> bool:
        """Whether a column is a rowversion."""
        return any(column.type.base == "rowversion" for column in self.columns)

    def column(self, name: str) -> Column | None:
        """The column of this name, whatever its case; None where there is none."""
        return next((column for column in self.columns if column.name.lower() == name.lower()), None)


def quote(name: str) -> str:
    """A DuckDB identifier."""
    return '"' + name.replace('"', '""') + '"'


def storage_name(schema: str, name: str) -> str:
    """DuckDB's name for a table; it takes names that differ by case for one, so capitals get a mark."""
    marked = "".join(f"^{char}" if char.isupper() else char for char in name)
    return f"{quote('db_' + schema.lower())}.{quote(marked)}"
