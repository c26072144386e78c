"""The questions to SQL Server's catalog views. `%s` stands for a bound value.

Views and columns as documented: sys.objects, sys.tables, sys.columns, sys.types, sys.indexes, sys.partitions,
sys.allocation_units, sys.databases, sys.default_constraints, sys.sql_modules, sys.security_policies, sys.security_predicates and
sys.dm_exec_describe_first_result_set. They show what the login may see, nothing else. Where a column came with a later release
than others, the question takes all columns of the view and names none. Types are joined by what they are and not by their
numbers, which other servers than SQL Server choose for themselves.
"""

# t.* first: its columns are NULL for a view, and what follows has names that sys.tables does not use.
OBJECTS = """SELECT t.*, o.object_id AS found_id, s.name AS schema_name, o.name AS object_name, o.type AS object_type
FROM sys.objects AS o JOIN sys.schemas AS s ON s.schema_id = o.schema_id
LEFT JOIN sys.tables AS t ON t.object_id = o.object_id
WHERE s.name = %s AND o.name = %s AND o.type IN ('U', 'V')"""

SYNONYMS = """SELECT s.name AS schema_name, y.name AS object_name, y.base_object_name, DB_NAME() AS database_name
FROM sys.synonyms AS y JOIN sys.schemas AS s ON s.schema_id = y.schema_id WHERE s.name = %s AND y.name = %s"""

LIST = """SELECT s.name AS schema_name, o.name AS object_name, o.type AS object_type, o.object_id
FROM sys.objects AS o JOIN sys.schemas AS s ON s.schema_id = o.schema_id
WHERE o.type IN ('U', 'V') AND o.is_ms_shipped = 0
ORDER BY s.name, o.name"""

ROW_ESTIMATES = """SELECT p.object_id, SUM(p.rows) AS row_estimate FROM sys.partitions AS p WHERE p.index_id IN (0, 1)
GROUP BY p.object_id"""

COLUMNS = """SELECT c.*, t.name AS type_name, b.name AS base_name, t.is_user_defined, t.is_assembly_type
FROM sys.columns AS c JOIN sys.types AS t ON t.user_type_id = c.user_type_id
LEFT JOIN (SELECT y.system_type_id, MIN(y.name) AS name FROM sys.types AS y
WHERE y.is_user_defined = 0 AND y.is_assembly_type = 0 AND y.name <> 'sysname' GROUP BY y.system_type_id) AS b
ON t.is_user_defined = 1 AND t.is_assembly_type = 0 AND b.system_type_id = t.system_type_id
WHERE c.object_id = %s ORDER BY c.column_id"""

# Of many tables at once, by their numbers in {ids}.
TABLES_OF = """SELECT t.*, s.name AS schema_name
FROM sys.tables AS t JOIN sys.schemas AS s ON s.schema_id = t.schema_id WHERE t.object_id IN ({ids})"""

LEADING_OF = """SELECT i.object_id, c.name
FROM sys.indexes AS i JOIN sys.index_columns AS ic ON ic.object_id = i.object_id AND ic.index_id = i.index_id
JOIN sys.columns AS c ON c.object_id = ic.object_id AND c.column_id = ic.column_id
WHERE i.object_id IN ({ids}) AND i.is_disabled = 0 AND i.is_hypothetical = 0 AND i.has_filter = 0 AND ic.key_ordinal = 1"""

ROWS_OF = """SELECT p.object_id, SUM(p.rows) AS row_estimate FROM sys.partitions AS p
WHERE p.index_id IN (0, 1) AND p.object_id IN ({ids}) GROUP BY p.object_id"""

COUNTERS_OF = """SELECT o.object_id, CONVERT(varchar(40), IDENT_CURRENT(QUOTENAME(s.name) + N'.' + QUOTENAME(o.name))) AS counter
FROM sys.objects AS o JOIN sys.schemas AS s ON s.schema_id = o.schema_id WHERE o.object_id IN ({ids})"""

DEFINITION = "SELECT m.definition FROM sys.sql_modules AS m WHERE m.object_id = %s"

DEFAULTS = """SELECT d.parent_column_id, d.definition FROM sys.default_constraints AS d WHERE d.parent_object_id = %s"""

# A BLOCK predicate (type 1) judges writes only.
ROW_FILTERS = """SELECT s.name AS schema_name, o.name AS object_name, p.target_object_id, p.predicate_definition
FROM sys.security_predicates AS p JOIN sys.security_policies AS y ON y.object_id = p.object_id
JOIN sys.objects AS o ON o.object_id = p.target_object_id JOIN sys.schemas AS s ON s.schema_id = o.schema_id
WHERE p.predicate_type = 0 AND y.is_enabled = 1 ORDER BY p.object_id, p.security_predicate_id"""

SEES_ROW_FILTERS = """SELECT HAS_PERMS_BY_NAME(DB_NAME(), 'DATABASE', 'VIEW DEFINITION') AS definitions,
HAS_PERMS_BY_NAME(DB_NAME(), 'DATABASE', 'ALTER ANY SECURITY POLICY') AS policies"""

# UNMASK is a right on the database; from 2022 also on a schema, a table, a column, where the second question is NULL before.
MASKS = """SELECT s.name AS schema_name, o.name AS object_name, c.name AS column_name,
HAS_PERMS_BY_NAME(QUOTENAME(s.name) + N'.' + QUOTENAME(o.name), N'OBJECT', N'UNMASK', c.name, N'COLUMN') AS on_column,
HAS_PERMS_BY_NAME(DB_NAME(), N'DATABASE', N'UNMASK') AS on_database
FROM sys.columns AS c JOIN sys.objects AS o ON o.object_id = c.object_id JOIN sys.schemas AS s ON s.schema_id = o.schema_id
WHERE c.is_masked = 1"""
COMPUTED = "SELECT c.name, c.definition FROM sys.computed_columns AS c WHERE c.object_id = %s"
MASKS_OF_TABLE = MASKS + " AND c.object_id = %s"

HEAP = "SELECT COUNT(*) AS heaps FROM sys.indexes AS i WHERE i.object_id = %s AND i.index_id = 0"

INDEXES = """SELECT i.index_id, i.is_primary_key, i.is_unique, ic.key_ordinal, c.name
FROM sys.indexes AS i JOIN sys.index_columns AS ic ON ic.object_id = i.object_id AND ic.index_id = i.index_id
JOIN sys.columns AS c ON c.object_id = ic.object_id AND c.column_id = ic.column_id
WHERE i.object_id = %s AND i.is_disabled = 0 AND i.is_hypothetical = 0 AND i.has_filter = 0 AND ic.key_ordinal > 0
ORDER BY i.index_id, ic.key_ordinal"""

ROW_ESTIMATE = (
    "SELECT SUM(p.rows) AS row_estimate FROM sys.partitions AS p WHERE p.object_id = %s AND p.index_id IN (0, 1)"
)

# Not sys.dm_db_partition_stats: that needs VIEW DATABASE STATE, this what SELECT on the table gives. The rows' own pages, large
# objects and overflow; container_id is a partition_id for large objects, else a hobt_id (the documented join).
BYTE_ESTIMATE = """SELECT SUM(a.used_pages) * CONVERT(bigint, 8192) AS byte_estimate
FROM sys.partitions AS p JOIN sys.allocation_units AS a
ON a.container_id = CASE WHEN a.type = 2 THEN p.partition_id ELSE p.hobt_id END
WHERE p.object_id = %s AND p.index_id IN (0, 1)"""

DESCRIBE = """SELECT name, system_type_name, user_type_name, is_nullable, collation_name, error_number, error_message
FROM sys.dm_exec_describe_first_result_set(%s, NULL, 0)
WHERE is_hidden = 0 OR is_hidden IS NULL ORDER BY column_ordinal"""

DESCRIBE_BY_PROCEDURE = "EXEC sp_describe_first_result_set @tsql = %s"

COUNTER = "SELECT CONVERT(varchar(40), IDENT_CURRENT(%s)) AS current_value, IDENT_INCR(%s) AS step"

# A login that may not see its own database in sys.databases gets the names all the same.
IDENTITY = """SELECT CONVERT(nvarchar(256), SERVERPROPERTY('ServerName')) AS server_name, DB_NAME() AS database_name,
CONVERT(varchar(23), d.create_date, 121) AS database_created, d.snapshot_isolation_state, d.is_read_committed_snapshot_on,
CONVERT(int, SERVERPROPERTY('EngineEdition')) AS edition
FROM (SELECT DB_ID() AS database_id) AS this LEFT JOIN sys.databases AS d ON d.database_id = this.database_id"""

# The fork on which the database runs, and its identity in an availability group, which all replicas share.
FORK = """SELECT CONVERT(varchar(36), r.recovery_fork_guid) AS recovery_fork,
CONVERT(varchar(36), d.group_database_id) AS group_database
FROM sys.database_recovery_status AS r JOIN sys.databases AS d ON d.database_id = r.database_id
WHERE d.database_id = DB_ID()"""

IDENTITY_ALONE = "SELECT @@SERVERNAME AS server_name, DB_NAME() AS database_name"

EDITION = "SELECT CONVERT(int, SERVERPROPERTY('EngineEdition')) AS edition"
