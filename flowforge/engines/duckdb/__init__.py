"""DuckDB: its connection to the lake, SQL text, types, key forms."""
