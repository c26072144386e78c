"""The Delta tables of silver and gold on S3, and DuckDB beside them. Imports deltalake and duckdb, never pyarrow."""
