"""The DuckDB tables behind the catalog, and what all sessions keep of them until a definition changes."""

import itertools
from typing import Any

import duckdb

FIRST_OBJECT_ID = 901_578_250
_SCHEMAS = [(1, "dbo"), (2, "guest"), (3, "INFORMATION_SCHEMA"), (4, "sys")]
_TABLES = """
CREATE SCHEMA meta;
CREATE SEQUENCE meta.object_ids START {first} INCREMENT 16;
CREATE SEQUENCE meta.rowversions START 2001;
CREATE TABLE meta.schemas(schema_id INTEGER, name VARCHAR);
CREATE TABLE meta.objects(object_id INTEGER, name VARCHAR, schema_id INTEGER, parent_object_id INTEGER, type VARCHAR,
  create_date TIMESTAMP, modify_date TIMESTAMP, definition VARCHAR);
CREATE TABLE meta.columns(object_id INTEGER, column_id INTEGER, name VARCHAR, base VARCHAR, length INTEGER,
  prec INTEGER, scale INTEGER, is_nullable BOOLEAN, seed BIGINT, increment BIGINT, default_text VARCHAR,
  default_name VARCHAR, catalog_name VARCHAR, system_type_id INTEGER, user_type_id INTEGER, max_length INTEGER,
  catalog_precision INTEGER, catalog_scale INTEGER, collation_name VARCHAR,
  traits STRUCT(mask VARCHAR, is_hidden BOOLEAN, is_sparse BOOLEAN, is_column_set BOOLEAN, generated_always TINYINT,
    encryption_type INTEGER, graph_type INTEGER));
CREATE TABLE meta.indexes(object_id INTEGER, index_id INTEGER, name VARCHAR, type INTEGER, is_unique BOOLEAN,
  is_primary_key BOOLEAN, is_unique_constraint BOOLEAN, constraint_id INTEGER);
CREATE TABLE meta.index_columns(object_id INTEGER, index_id INTEGER, ordinal INTEGER, column_id INTEGER,
  is_descending BOOLEAN, is_included BOOLEAN);
CREATE TABLE meta.foreign_keys(object_id INTEGER, parent_object_id INTEGER, referenced_object_id INTEGER);
CREATE TABLE meta.foreign_key_columns(object_id INTEGER, ordinal INTEGER, parent_column_id INTEGER,
  referenced_column_id INTEGER);
"""


def create_catalog(connection: duckdb.DuckDBPyConnection) -> None:
    """Makes the tables behind the catalog's views."""
    connection.execute(_TABLES.format(first=FIRST_OBJECT_ID))
    for schema_id, name in _SCHEMAS:
        connection.execute("INSERT INTO meta.schemas VALUES (?, ?)", [schema_id, name])
    connection.execute('CREATE SCHEMA "db_dbo"')


class CatalogVersion:
    """Counts the changes of definitions in the whole database, and keeps what was read since the last one.

    A change counts twice: as it is made, and as its transaction ends. What another session reads in between is the old
    state, and is dropped by the second count.
    """

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self.now: tuple[int, dict[Any, Any]] = 0, {}  # replaced as one, so that nothing is kept under another's number

    @property
    def number(self) -> int:
        """The version's number; no two versions have the same."""
        return self.now[0]

    def advance(self) -> None:
        """Called when a definition has changed: what sessions remember is old."""
        self.now = next(self._numbers), {}
