"""Quoting of SQL text, for DuckDB and for delta-rs (DataFusion): both double the quote inside."""


def identifier(name: str, alias: str | None = None) -> str:
    """A quoted name, with its table's alias where given. Any character may be inside."""
    quoted = '"' + name.replace('"', '""') + '"'
    return f"{alias}.{quoted}" if alias else quoted


def literal(value: str) -> str:
    """A quoted string."""
    return "'" + value.replace("'", "''") + "'"


def read_parquet(uris: list[str]) -> str:
    """A table expression over exactly these files: columns by name, nothing guessed from the path."""
    files = ", ".join(literal(uri) for uri in uris)
    return f"read_parquet([{files}], union_by_name = true, hive_partitioning = false)"
