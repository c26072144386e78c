"""Foreign keys, checked after each change rather than by DuckDB, whose own keys forbid many an UPDATE.

A check looks at the whole table, so its cost grows with the table: milliseconds per million rows.
"""

import duckdb

from .catalog import Catalog, ForeignKey, Table, quote
from .errors import SqlError


def violated(cursor: duckdb.DuckDBPyConnection, catalog: Catalog, table: Table, verb: str) -> SqlError | None:
    """Error 547 if the table's rows, or rows that refer to it, lack their parent after a change; else None."""
    if verb in ("INSERT", "UPDATE"):
        for foreign in table.foreign_keys:
            parent = catalog.find(foreign.referenced_schema, foreign.referenced_table)
            if _has_orphan(cursor, table, foreign, parent):
                return _conflict(catalog, verb, "FOREIGN KEY", foreign, parent, foreign.referenced_columns[0])
    if verb in ("DELETE", "UPDATE"):
        for child in catalog.referencing_tables(table):
            for foreign in child.foreign_keys:
                refers_here = (
                    catalog.find(foreign.referenced_schema, foreign.referenced_table).object_id == table.object_id
                )
                if refers_here and _has_orphan(cursor, child, foreign, table):
                    return _conflict(catalog, verb, "REFERENCE", foreign, child, foreign.columns[0])
    return None


def _has_orphan(cursor: duckdb.DuckDBPyConnection, child: Table, foreign: ForeignKey, parent: Table) -> bool:
    pairs = zip(foreign.columns, foreign.referenced_columns, strict=True)
    match = " AND ".join(f"p.{quote(theirs)} = c.{quote(ours)}" for ours, theirs in pairs)
    filled = " AND ".join(f"c.{quote(name)} IS NOT NULL" for name in foreign.columns)
    query = f"SELECT 1 FROM {child.storage} c WHERE {filled} AND NOT EXISTS (SELECT 1 FROM {parent.storage} p WHERE {match}) LIMIT 1"
    return bool(cursor.execute(query).fetchall())


def _conflict(catalog: Catalog, verb: str, kind: str, foreign: ForeignKey, where: Table, column: str) -> SqlError:
    return SqlError(
        547,
        f'The {verb} statement conflicted with the {kind} constraint "{foreign.name}". The conflict occurred in database'
        f' "{catalog.database}", table "{where.schema}.{where.name}", column \'{column}\'.',
    )
