# ruff: noqa: S608 - SQL text of quoted names and counted values; no cell or request text is pasted in
"""The rows of lake tables as an engine reads and writes them, whatever the format: queries over exactly the files of a version.

Guarantees: a query has the table's columns also where no file has them (yet). The text is in the engine's dialect.
"""

from collections.abc import Iterable, Mapping

from flowforge.engines.base import Rows, Session
from flowforge.engines.duckdb.sql import identifier, read_parquet
from flowforge.tables.base import DataFile, LakeTable, NewFile


def types_of(rows: Rows) -> dict[str, str]:
    """The columns of rows in order, with the engine's types."""
    return dict(zip(rows.columns, map(str, rows.types), strict=True))


def column_types(session: Session, table: LakeTable) -> dict[str, str]:
    """The table's columns in order, with the engine's types."""
    return types_of(session.from_arrow(table.empty()))


def rows_query(session: Session, table: LakeTable, files: list[str] | None = None) -> str:
    """The query over the table's files of this version, or over `files` of any of its versions."""
    items = [f"CAST(NULL AS {kind}) AS {identifier(name)}" for name, kind in column_types(session, table).items()]
    query = f"SELECT {', '.join(items)} WHERE false"
    if uris := table.file_uris() if files is None else files:
        query += f" UNION ALL BY NAME SELECT * FROM {read_parquet(uris)}"
    return query


def relation(session: Session, table: LakeTable) -> Rows:
    """The table's rows."""
    return session.sql(rows_query(session, table))


def create_view(session: Session, layer: str, table: str, query: str) -> None:
    """Makes a query readable as layer.table on this session."""
    session.execute(f"CREATE SCHEMA IF NOT EXISTS {identifier(layer)}")
    session.execute(f"CREATE VIEW {identifier(layer)}.{identifier(table)} AS {query}")


def placed_rows(session: Session, uri: str, files: Iterable[DataFile], types: Mapping[str, str]) -> str:
    """A table expression of the files' rows in the columns `types`, and their places: `_file` (in this list) and `_row`."""
    paths = [f"{uri}/{file.path}" for file in files]
    if not paths:
        empty = ", ".join(f"CAST(NULL AS {kind}) AS {identifier(name)}" for name, kind in types.items())
        return f"(SELECT {empty}, 0::INTEGER AS _file, 0::BIGINT AS _row WHERE false)"
    found = read_parquet(paths)
    there = set(session.sql(f"SELECT * FROM {found}").columns)
    items = [
        f"CAST({identifier(name) if name in there else 'NULL'} AS {kind}) AS {identifier(name)}"
        for name, kind in types.items()
    ]
    return f"(SELECT {', '.join(items)}, file_index::INTEGER AS _file, file_row_number AS _row FROM {found})"


def write_files(
    session: Session, table: LakeTable, query: str, types: Mapping[str, str] | None = None
) -> list[NewFile]:
    """Writes the rows of `query` in the table's columns and types; none where there is no row. They are in no version yet: files
    of a commit that failed belong to nobody and go with the next vacuum.

    `query` has all columns of the table. `types` are others (name -> the engine's type), for a commit that changes the table's.
    """
    types = types or column_types(session, table)
    written = session.write_files(query, table.uri, types)
    return [table.new_file(file.uri, file.rows, file.size, types, file.statistics) for file in written]


def allow_naive_timestamps(table: LakeTable, types: Iterable[str]) -> None:
    """Prepares the table where one of the types is a time without a zone."""
    if "TIMESTAMP" in types:
        table.allow_naive_timestamps()
