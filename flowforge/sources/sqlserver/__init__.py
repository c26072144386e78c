"""SQL Server as a source: connect, look at the catalog, plan an interval, read it as Arrow.

Modules that control functions need (connection, catalog, bounds, sql_text, sql_types) import no pyarrow; the drivers'
readers are imported by `reader` only when a read is opened.
"""
