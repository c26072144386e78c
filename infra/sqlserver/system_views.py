"""SQL Server's catalog and management views over the stand-in's own catalog.

Each view is a list of typed columns and a DuckDB SELECT that gives them in this order. What changes from moment to
moment (sessions, transactions, row counts) is written into the query text when the view is asked.
"""

# ruff: noqa: E501 - SQL text and data read best unbroken; composing SQL is what this module does

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from .live_views import LIVE_VIEWS
from .type_rows import TYPE_COLUMNS
from .view_text import SystemView, literal, view

if TYPE_CHECKING:
    from .session import Session


_OBJECT_COLUMNS = (
    "name sysname;object_id int;principal_id int;schema_id int;parent_object_id int;type char(2);type_desc nvarchar(60);"
    "create_date datetime;modify_date datetime;is_ms_shipped bit"
)
_OBJECT_SELECT = """SELECT name, object_id, CAST(NULL AS INTEGER), schema_id, parent_object_id, rpad(type, 2, ' '), CASE type
 WHEN 'U' THEN 'USER_TABLE' WHEN 'V' THEN 'VIEW' WHEN 'PK' THEN 'PRIMARY_KEY_CONSTRAINT' WHEN 'UQ' THEN 'UNIQUE_CONSTRAINT'
 WHEN 'F' THEN 'FOREIGN_KEY_CONSTRAINT' WHEN 'D' THEN 'DEFAULT_CONSTRAINT' END, create_date, modify_date,
 object_id IN (SELECT c.object_id FROM meta.captures c){more}
 FROM meta.objects {where}"""
_TABLE_FACTS = """, 0, object_id IN (SELECT source_id FROM meta.captures), false,
 CASE WHEN object_id IN (SELECT c.object_id FROM meta.columns c WHERE c.traits.generated_always = 1)
 THEN 2 ELSE 0 END, NULL, false, object_id IN (SELECT c.object_id FROM meta.columns c WHERE c.name LIKE '$node_id%'),
 object_id IN (SELECT c.object_id FROM meta.columns c WHERE c.name LIKE '$edge_id%')"""
_SYSTEM_COLUMNS = (
    "object_id int;name sysname;column_id int;system_type_id tinyint;user_type_id int;max_length smallint;precision tinyint;"
    "scale tinyint;collation_name sysname;is_nullable bit;is_ansi_padded bit;is_rowguidcol bit;is_identity bit;"
    "is_computed bit;is_filestream bit;is_replicated bit;is_sparse bit;is_column_set bit;default_object_id int;"
    "generated_always_type tinyint@2016;generated_always_type_desc nvarchar(60)@2016;is_hidden bit@2016;is_masked bit@2016;"
    "encryption_type int@2016;graph_type int@2017;graph_type_desc nvarchar(60)@2017"
)
_SYSTEM_COLUMNS_SELECT = """SELECT object_id, name, column_id, system_type_id, user_type_id, max_length, catalog_precision,
 catalog_scale, collation_name, is_nullable, true, false, seed IS NOT NULL, false, false, false, traits.is_sparse,
 traits.is_column_set, CASE WHEN default_text IS NULL THEN 0 ELSE object_id + column_id END, traits.generated_always,
 CASE traits.generated_always WHEN 0 THEN 'NOT_APPLICABLE' WHEN 1 THEN 'AS_ROW_START' WHEN 2 THEN 'AS_ROW_END' ELSE 'AS_SEQUENCE_NUMBER' END,
 traits.is_hidden, traits.mask IS NOT NULL, traits.encryption_type, traits.graph_type, CAST(traits.graph_type AS VARCHAR)
 {more}FROM meta.columns{where}"""


_IS_COLUMNS = (
    "TABLE_CATALOG nvarchar(128);TABLE_SCHEMA nvarchar(128);TABLE_NAME sysname;COLUMN_NAME sysname;ORDINAL_POSITION int;"
    "COLUMN_DEFAULT nvarchar(4000);IS_NULLABLE varchar(3);DATA_TYPE nvarchar(128);CHARACTER_MAXIMUM_LENGTH int;"
    "CHARACTER_OCTET_LENGTH int;NUMERIC_PRECISION tinyint;NUMERIC_PRECISION_RADIX smallint;NUMERIC_SCALE int;"
    "DATETIME_PRECISION smallint;CHARACTER_SET_NAME sysname;COLLATION_NAME sysname"
)


def _information_columns(session: Session) -> str:
    exact = "('tinyint','smallint','int','bigint','decimal','money','smallmoney')"
    return f"""SELECT {literal(session.server.database)}, s.name, o.name, c.name, c.column_id, CASE WHEN c.default_text IS NULL THEN NULL
 ELSE '(' || c.default_text || ')' END, CASE WHEN c.is_nullable THEN 'YES' ELSE 'NO' END, c.catalog_name,
 CASE WHEN c.base IN ('char','varchar','nchar','nvarchar','binary','varbinary') THEN c.length WHEN c.base IN ('text','image') THEN
 2147483647 WHEN c.base = 'ntext' THEN 1073741823 WHEN c.base = 'xml' THEN -1 END,
 CASE WHEN c.base IN ('char','varchar','nchar','nvarchar','binary','varbinary','xml') THEN c.max_length WHEN c.base IN
 ('text','image','ntext') THEN 2147483647 END, CASE WHEN c.base IN {exact} OR c.base IN ('real','float') THEN c.catalog_precision END,
 CASE WHEN c.base IN {exact} THEN 10 WHEN c.base IN ('real','float') THEN 2 END, CASE WHEN c.base IN {exact} THEN c.catalog_scale END,
 CASE WHEN c.base IN ('time','datetime2','datetimeoffset') THEN c.scale WHEN c.base = 'datetime' THEN 3 WHEN c.base IN ('date',
 'smalldatetime') THEN 0 END, CASE WHEN c.base IN ('char','varchar','text') THEN 'iso_1' WHEN c.base IN ('nchar','nvarchar','ntext')
 THEN 'UNICODE' END, c.collation_name FROM meta.columns c JOIN meta.objects o USING (object_id) JOIN meta.schemas s USING (schema_id)"""


def _information(tail: str) -> Callable[[Session], str]:
    return lambda session: tail.replace("@database", literal(session.server.database))


_VIEWS: dict[str, SystemView] = {
    "sys.objects": view(_OBJECT_COLUMNS, _OBJECT_SELECT.format(where="", more="")),
    "sys.all_objects": view(_OBJECT_COLUMNS, _OBJECT_SELECT.format(where="", more="")),
    "sys.tables": view(
        _OBJECT_COLUMNS + ";lob_data_space_id int;is_tracked_by_cdc bit;is_memory_optimized bit;temporal_type tinyint@2016;"
        "history_table_id int@2016;is_external bit@2016;is_node bit@2017;is_edge bit@2017",
        _OBJECT_SELECT.format(where="WHERE type = 'U'", more=_TABLE_FACTS),
    ),
    "sys.views": view(_OBJECT_COLUMNS + ";with_check_option bit", _OBJECT_SELECT.format(where="WHERE type = 'V'", more=", false")),
    "sys.schemas": view("name sysname;schema_id int;principal_id int", "SELECT name, schema_id, 1 FROM meta.schemas"),
    "sys.columns": view(_SYSTEM_COLUMNS, _SYSTEM_COLUMNS_SELECT.format(more="", where="")),
    "sys.all_columns": view(_SYSTEM_COLUMNS, _SYSTEM_COLUMNS_SELECT.format(more="", where="")),
    "sys.masked_columns": view(
        _SYSTEM_COLUMNS + ";masking_function nvarchar(4000)",
        _SYSTEM_COLUMNS_SELECT.format(more=", traits.mask ", where=" WHERE traits.mask IS NOT NULL"),
        since=2016,
    ),
    "sys.synonyms": view(
        _OBJECT_COLUMNS + ";base_object_name nvarchar(1035)",
        _OBJECT_SELECT.format(where="WHERE type = 'SN'", more=", definition"),
    ),
    "sys.sql_modules": view(
        "object_id int;definition nvarchar(max);uses_ansi_nulls bit;uses_quoted_identifier bit",
        "SELECT object_id, 'CREATE VIEW ' || name || ' AS ' || definition, true, true FROM meta.objects WHERE type = 'V'",
    ),
    "sys.types": view(TYPE_COLUMNS, "SELECT * FROM meta.types"),
    "sys.identity_columns": view(
        "object_id int;name sysname;column_id int;seed_value bigint;increment_value bigint;is_identity bit",
        "SELECT object_id, name, column_id, seed, increment, true FROM meta.columns WHERE seed IS NOT NULL",
    ),
    "sys.computed_columns": view(
        "object_id int;name sysname;column_id int;definition nvarchar(max);is_persisted bit",
        "SELECT 0, '', 0, '', false WHERE false",
    ),
    "sys.extended_properties": view(  # nobody can add one here; SQLAlchemy asks for column comments
        "class tinyint;class_desc nvarchar(60);major_id int;minor_id int;name sysname;value nvarchar(3750)",
        "SELECT 0, '', 0, 0, '', '' WHERE false",
    ),
    "sys.default_constraints": view(
        "name sysname;object_id int;parent_object_id int;parent_column_id int;definition nvarchar(max)",
        "SELECT default_name, 0, object_id, column_id, '(' || default_text || ')' FROM meta.columns WHERE default_text IS NOT NULL",
    ),
    "sys.indexes": view(
        "object_id int;name sysname;index_id int;type tinyint;type_desc nvarchar(60);is_unique bit;data_space_id int;"
        "is_primary_key bit;is_unique_constraint bit;is_disabled bit;is_hypothetical bit;has_filter bit;"
        "filter_definition nvarchar(max)",
        """SELECT object_id, name, index_id, type, CASE type WHEN 1 THEN 'CLUSTERED' ELSE 'NONCLUSTERED' END, is_unique, 1,
 is_primary_key, is_unique_constraint, false, false, false, NULL FROM meta.indexes UNION ALL
 SELECT object_id, NULL, 0, 0, 'HEAP', false, 1, false, false, false, false, false, NULL FROM meta.objects o WHERE type = 'U'
 AND NOT EXISTS (FROM meta.indexes i WHERE i.object_id = o.object_id AND i.index_id = 1)""",
    ),
    "sys.index_columns": view(
        "object_id int;index_id int;index_column_id int;column_id int;key_ordinal tinyint;partition_ordinal tinyint;"
        "is_descending_key bit;is_included_column bit",
        "SELECT object_id, index_id, ordinal, column_id, CASE WHEN is_included THEN 0 ELSE ordinal END, 0, is_descending,"
        " is_included FROM meta.index_columns",
    ),
    "sys.key_constraints": view(
        "name sysname;object_id int;schema_id int;parent_object_id int;type char(2);type_desc nvarchar(60);unique_index_id int;"
        "is_system_named bit;is_enforced bit",
        """SELECT o.name, o.object_id, o.schema_id, o.parent_object_id, o.type, CASE o.type WHEN 'PK' THEN 'PRIMARY_KEY_CONSTRAINT'
 ELSE 'UNIQUE_CONSTRAINT' END, i.index_id, false, true FROM meta.objects o JOIN meta.indexes i ON i.constraint_id = o.object_id""",
    ),
    "sys.foreign_keys": view(
        "name sysname;object_id int;schema_id int;parent_object_id int;type char(2);referenced_object_id int;is_disabled bit",
        "SELECT o.name, o.object_id, o.schema_id, o.parent_object_id, 'F ', f.referenced_object_id, false FROM meta.foreign_keys f"
        " JOIN meta.objects o USING (object_id)",
    ),
    "sys.foreign_key_columns": view(
        "constraint_object_id int;constraint_column_id int;parent_object_id int;parent_column_id int;referenced_object_id int;"
        "referenced_column_id int",
        "SELECT c.object_id, ordinal, f.parent_object_id, parent_column_id, f.referenced_object_id, referenced_column_id"
        " FROM meta.foreign_key_columns c JOIN meta.foreign_keys f USING (object_id)",
    ),
    "information_schema.tables": view(
        "TABLE_CATALOG nvarchar(128);TABLE_SCHEMA nvarchar(128);TABLE_NAME sysname;TABLE_TYPE varchar(10)",
        _information("SELECT @database, s.name, o.name, CASE type WHEN 'U' THEN 'BASE TABLE' ELSE 'VIEW' END FROM meta.objects o"
                     " JOIN meta.schemas s USING (schema_id) WHERE type IN ('U', 'V')"),
    ),
    "information_schema.columns": view(_IS_COLUMNS, _information_columns),
    "information_schema.key_column_usage": view(
        "CONSTRAINT_CATALOG nvarchar(128);CONSTRAINT_SCHEMA nvarchar(128);CONSTRAINT_NAME sysname;TABLE_CATALOG nvarchar(128);"
        "TABLE_SCHEMA nvarchar(128);TABLE_NAME sysname;COLUMN_NAME nvarchar(128);ORDINAL_POSITION int",
        _information("""SELECT @database, s.name, i.name, @database, s.name, o.name, c.name, ic.ordinal FROM meta.indexes i
 JOIN meta.objects o USING (object_id) JOIN meta.schemas s USING (schema_id) JOIN meta.index_columns ic ON ic.object_id = i.object_id
 AND ic.index_id = i.index_id JOIN meta.columns c ON c.object_id = i.object_id AND c.column_id = ic.column_id
 WHERE i.constraint_id IS NOT NULL UNION ALL
 SELECT @database, s.name, k.name, @database, s.name, o.name, c.name, fc.ordinal FROM meta.foreign_keys f JOIN meta.objects k
 USING (object_id) JOIN meta.objects o ON o.object_id = f.parent_object_id JOIN meta.schemas s ON s.schema_id = o.schema_id
 JOIN meta.foreign_key_columns fc ON fc.object_id = f.object_id JOIN meta.columns c ON c.object_id = o.object_id
 AND c.column_id = fc.parent_column_id"""),
    ),
    "information_schema.table_constraints": view(
        "CONSTRAINT_CATALOG nvarchar(128);CONSTRAINT_SCHEMA nvarchar(128);CONSTRAINT_NAME sysname;TABLE_CATALOG nvarchar(128);"
        "TABLE_SCHEMA nvarchar(128);TABLE_NAME sysname;CONSTRAINT_TYPE varchar(11);IS_DEFERRABLE varchar(2);INITIALLY_DEFERRED varchar(2)",
        _information("""SELECT @database, s.name, k.name, @database, s.name, o.name, CASE k.type WHEN 'PK' THEN 'PRIMARY KEY' WHEN 'UQ'
 THEN 'UNIQUE' ELSE 'FOREIGN KEY' END, 'NO', 'NO' FROM meta.objects k JOIN meta.objects o ON o.object_id = k.parent_object_id
 JOIN meta.schemas s ON s.schema_id = o.schema_id WHERE k.type IN ('PK', 'UQ', 'F')"""),
    ),
}  # fmt: skip


def find_view(schema: str, name: str, release: int) -> SystemView | None:
    """The system view of this name, if the stand-in has it and a server of that release does."""
    key = f"{schema}.{name}".lower()
    found = _VIEWS.get(key) or LIVE_VIEWS.get(key)
    return found if found and found.since <= release else None
