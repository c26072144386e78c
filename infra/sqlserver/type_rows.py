"""The rows of sys.types, kept as the table `meta.types`: read as text they take DuckDB 5 ms, for each question about columns."""

import duckdb

from .types import SYSTEM_TYPE_IDS, USER_TYPE_IDS, SqlType, parse_type

TYPE_COLUMNS = (
    "name sysname;system_type_id tinyint;user_type_id int;schema_id int;max_length smallint;precision tinyint;scale tinyint;"
    "collation_name sysname;is_nullable bit;is_user_defined bit;is_assembly_type bit;is_table_type bit"
)


def create_types(connection: duckdb.DuckDBPyConnection) -> None:
    """Creates the table, with its rows."""
    columns = [item.split() for item in TYPE_COLUMNS.split(";")]
    declared = ", ".join(f"{name} {parse_type(kind).duckdb}" for name, kind in columns)
    connection.execute(f"CREATE TABLE meta.types ({declared})")
    connection.executemany(f"INSERT INTO meta.types VALUES ({', '.join('?' * len(columns))})", _rows())


def _rows() -> list[tuple]:
    rows = []
    for name, user_id in USER_TYPE_IDS.items():
        if name in ("numeric", "sysname"):
            kind, length = (SqlType("decimal", 0, 38, 38), 17) if name == "numeric" else (SqlType("nvarchar", 128), 256)
        else:
            kind = {"decimal": SqlType("decimal", 0, 38, 38), "time": SqlType(name, 0, 0, 7)}.get(name) or parse_type(
                f"{name}(8000)"
                if name in ("varchar", "char", "binary", "varbinary")
                else f"{name}(4000)"
                if name in ("nvarchar", "nchar")
                else name
            )
            length = kind.max_length
        rows.append(
            (name, SYSTEM_TYPE_IDS[name], user_id, 4, length, kind.catalog_precision, kind.catalog_scale, kind.collation_name,
             True, False, name in ("hierarchyid", "geometry", "geography"), False)
        )  # fmt: skip
    return rows
