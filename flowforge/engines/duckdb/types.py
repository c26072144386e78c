"""Types on the way into Delta: which DuckDB type stands for one that Delta does not have.

    UTINYINT, USMALLINT, UINTEGER   the next larger signed integer (Delta knows no unsigned ones)
    UBIGINT, HUGEINT, UHUGEINT      exact decimals
    TIME                            ISO string, hh:mm:ss[.ffffff] without trailing zeros (it sorts as the time does)
    TIMESTAMP_S, _MS, _NS           TIMESTAMP, in microseconds, still without a zone (timestamp_ntz)
    UUID, INTERVAL, ENUM, JSON, BIT string

DuckDB reads a time(7) in microseconds: the digit of 100 ns stays in bronze only.
Everything else is stored as it is: DECIMAL exactly, TIMESTAMPTZ as UTC, BLOB (fixed size too) as binary.
"""

from flowforge.engines.duckdb.sql import identifier

STORED_AS = {
    "UTINYINT": "SMALLINT",
    "USMALLINT": "INTEGER",
    "UINTEGER": "BIGINT",
    "UBIGINT": "DECIMAL(20,0)",
    "HUGEINT": "DECIMAL(38,0)",
    "UHUGEINT": "DECIMAL(38,0)",
    "TIME": "VARCHAR",
    "TIME_NS": "VARCHAR",
    "TIME WITH TIME ZONE": "VARCHAR",
    "TIMESTAMP_S": "TIMESTAMP",
    "TIMESTAMP_MS": "TIMESTAMP",
    "TIMESTAMP_NS": "TIMESTAMP",
    "UUID": "VARCHAR",
    "INTERVAL": "VARCHAR",
    "JSON": "VARCHAR",
    "BIT": "VARCHAR",
    "NULL": "VARCHAR",
}


def stored_type(duckdb_type: str) -> str:
    """The DuckDB type that a column of `duckdb_type` has in a Delta table."""
    return "VARCHAR" if duckdb_type.startswith("ENUM(") else STORED_AS.get(duckdb_type, duckdb_type)


def stored_column(name: str, duckdb_type: str) -> str:
    """The select item that turns a column into its stored type."""
    column, target = identifier(name), stored_type(duckdb_type)
    return column if target == duckdb_type else f"CAST({column} AS {target}) AS {column}"
