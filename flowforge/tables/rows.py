# ruff: noqa: S608 - SQL text of quoted names and counted values; no cell or request text is pasted in
"""The rows of lake tables as an engine reads and writes them, whatever the format: queries over exactly the files of a version.

Guarantees: a query has the table's columns also where no file has them (yet). The text is in the engine's dialect.
"""

from collections.abc import Iterable, Mapping

from flowforge.engines.base import Rows, Session
from flowforge.engines.duckdb.sql import identifier, read_parquet
from flowforge.tables.base import DataFile, LakeTable, NewFile

PLACED_FILE, PLACED_ROW = "_flowforge_file", "_flowforge_row"
MOST_KNOWN = 500  # schemas whose types in the engine are remembered: to ask takes 0.5 ms, five times for a batch
_types: dict[str, dict[str, str]] = {}


def types_of(rows: Rows) -> dict[str, str]:
    """The columns of rows in order, with the engine's types."""
    return dict(zip(rows.columns, map(str, rows.types), strict=True))


def column_types(session: Session, table: LakeTable) -> dict[str, str]:
    """The table's columns in order, with the engine's types."""
    columns = table.schema_text()
    if columns not in _types:
        if len(_types) >= MOST_KNOWN:
            _types.clear()
        _types[columns] = types_of(session.from_arrow(table.empty()))
    return dict(_types[columns])


def rows_query(session: Session, table: LakeTable, files: list[str] | None = None) -> str:
    """The query over the table's files of this version, or over `files` of any of its versions."""
    items = [f"CAST(NULL AS {kind}) AS {identifier(name)}" for name, kind in column_types(session, table).items()]
    query = f"SELECT {', '.join(items)} WHERE false"
    if uris := _near(session, table) if files is None else files:
        query += f" UNION ALL BY NAME SELECT * FROM {read_parquet(uris)}"
    return query


def _near(session: Session, table: LakeTable) -> list[str]:
    """The files of the table's version, as the session is to name them."""
    uris, sizes = table.file_uris(), table.file_sizes()
    return session.near([(uri, sizes[uri]) for uri in uris]) if sizes.keys() >= set(uris) else uris


def relation(session: Session, table: LakeTable) -> Rows:
    """The table's rows."""
    return session.sql(rows_query(session, table))


def create_view(session: Session, layer: str, table: str, query: str) -> None:
    """Makes a query readable as layer.table on this session."""
    session.execute(f"CREATE SCHEMA IF NOT EXISTS {identifier(layer)}")
    session.execute(f"CREATE VIEW {identifier(layer)}.{identifier(table)} AS {query}")


def placed_rows(session: Session, uri: str, files: Iterable[DataFile], types: Mapping[str, str]) -> str:
    """A table expression of the files' rows in the columns `types`, with their places: PLACED_FILE (in this list), PLACED_ROW."""
    paths = session.near([(f"{uri}/{file.path}", file.size) for file in files])
    if not paths:
        empty = ", ".join(f"CAST(NULL AS {kind}) AS {identifier(name)}" for name, kind in types.items())
        return f"(SELECT {empty}, 0::INTEGER AS {PLACED_FILE}, 0::BIGINT AS {PLACED_ROW} WHERE false)"
    there, rows = _with_places(paths, session.sql(f"SELECT * FROM {read_parquet(paths)}").columns)
    items = [f"CAST({there.get(name, 'NULL')} AS {kind}) AS {identifier(name)}" for name, kind in types.items()]
    return f"(SELECT {', '.join(items)}, {rows})"


def rows_in_place(session: Session, uris: list[str]) -> tuple[dict[str, str], str]:
    """The columns of Parquet files with their types, and a table expression of their rows with their places, as `placed_rows`."""
    types = types_of(session.sql(f"SELECT * FROM {read_parquet(uris)}"))
    there, rows = _with_places(uris, types)
    items = [f"{column} AS {identifier(name)}" for name, column in there.items()]
    return types, f"(SELECT {', '.join(items)}, {rows})"


def _with_places(uris: list[str], columns: Iterable[str]) -> tuple[dict[str, str], str]:
    """The files' columns by the names that they have behind the SELECT's end, which is given without its first items.

    By other names: a column that is called file_index or file_row_number itself would hide DuckDB's."""
    there = {name: f"_flowforge_column_{n}" for n, name in enumerate(columns)}
    places = f"file_index::INTEGER AS {PLACED_FILE}, file_row_number AS {PLACED_ROW}"
    return there, f"{places} FROM {read_parquet(uris)} f({', '.join(there.values())})"


def write_files(
    session: Session, table: LakeTable, query: str, types: Mapping[str, str] | None = None, *, few: bool = False
) -> list[NewFile]:
    """Writes the rows of `query` in the table's columns and types; none where there is no row. They are in no version yet: files
    of a commit that failed belong to nobody and go with the next vacuum.

    `query` has all columns of the table. `types` are others (name -> the engine's type), for a commit that changes the table's.
    `few`: they take megabytes at most, where what the session reads does.
    """
    types = types or column_types(session, table)
    written = session.write_files(query, table.uri, types, few=few)
    return [table.new_file(file.uri, file.rows, file.size, types, file.statistics) for file in written]


def allow_naive_timestamps(table: LakeTable, types: Iterable[str]) -> None:
    """Prepares the table where one of the types is a time without a zone."""
    if "TIMESTAMP" in types:
        table.allow_naive_timestamps()
