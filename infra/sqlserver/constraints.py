"""Keys: SQL Server's words for what DuckDB found, and foreign keys, which are checked here.

Foreign keys are checked after each change rather than by DuckDB, whose own forbid many an UPDATE. A check looks at the
whole table, so its cost grows with it: milliseconds per million rows.
"""

import re

import duckdb

from flowforge.domain.given import given

from .catalog import Catalog
from .errors import SqlError, translate_error
from .tables import Column, ForeignKey, Table, quote
from .types import CHARACTERS
from .values import quote_text


def violated_reference(
    cursor: duckdb.DuckDBPyConnection, catalog: Catalog, table: Table, verb: str, written: frozenset[str] | None
) -> SqlError | None:
    """Error 547 if the table's rows, or rows that refer to it, lack their parent after a change; else None.

    An UPDATE is checked only where it wrote a key: `written` has its columns in lower case.
    """

    def is_touched(columns: tuple[str, ...]) -> bool:
        return written is None or any(name.lower() in written for name in columns)

    if verb in ("INSERT", "UPDATE"):
        for foreign in table.foreign_keys:
            parent = given(catalog.find(foreign.referenced_schema, foreign.referenced_table))
            if is_touched(foreign.columns) and _has_orphan(cursor, table, foreign, parent):
                return _conflict(catalog, verb, "FOREIGN KEY", foreign, parent, foreign.referenced_columns[0])
    if verb in ("DELETE", "UPDATE"):
        for child in catalog.referencing_tables(table):
            for foreign in child.foreign_keys:
                parent = given(catalog.find(foreign.referenced_schema, foreign.referenced_table))
                refers_here = parent.object_id == table.object_id
                if (
                    refers_here
                    and is_touched(foreign.referenced_columns)
                    and _has_orphan(cursor, child, foreign, table)
                ):
                    return _conflict(catalog, verb, "REFERENCE", foreign, child, foreign.columns[0])
    return None


def _has_orphan(cursor: duckdb.DuckDBPyConnection, child: Table, foreign: ForeignKey, parent: Table) -> bool:
    pairs = zip(foreign.columns, foreign.referenced_columns, strict=True)
    match = " AND ".join(f"p.{quote(theirs)} = c.{quote(ours)}" for ours, theirs in pairs)
    filled = " AND ".join(f"c.{quote(name)} IS NOT NULL" for name in foreign.columns)
    missing = f"NOT EXISTS (SELECT 1 FROM {parent.storage} p WHERE {match})"
    query = f"SELECT 1 FROM {child.storage} c WHERE {filled} AND {missing} LIMIT 1"
    return bool(cursor.execute(query).fetchall())


def _conflict(catalog: Catalog, verb: str, kind: str, foreign: ForeignKey, where: Table, column: str) -> SqlError:
    return SqlError(
        547,
        f'The {verb} statement conflicted with the {kind} constraint "{foreign.name}". The conflict occurred in database'
        f' "{catalog.database}", table "{where.schema}.{where.name}", column \'{column}\'.',
    )


def key_form(column: Column) -> str:
    """What DuckDB compares of a key's column: texts by their collation and without blanks at the end, bytes without zeros there,
    instants without their offsets; a NULL is a value like others."""
    name, base = quote(column.name), column.type.base
    form = name
    if base in CHARACTERS:
        form = f"rtrim({name})" if column.type.counts_case else f"lower(rtrim({name}))"
    elif base == "datetimeoffset":
        form = f"(({name}).ticks)"
    elif base in ("binary", "varbinary"):
        form = f"regexp_replace(hex({name}), '(00)+$', '')"
    return f"coalesce(CAST({form} AS VARCHAR), chr(0))" if column.nullable else form


def violated_key(error: Exception, table: Table, database: str) -> SqlError:
    """2627, 2601 or 515 from DuckDB's words."""
    text = str(error)
    if found := re.search(r"NOT NULL constraint failed: .*?\.?([^.]+)$", text.splitlines()[0]):
        name = found.group(1).strip('"')
        return SqlError(
            515,
            f"Cannot insert the value NULL into column '{name}', table '{database}.{table.schema}.{table.name}'; "
            f"column does not allow nulls. INSERT fails.",
        )
    found = re.search(r'uplicate key "(.*)"(?: violates|$)', text, re.DOTALL)
    if not found:
        return translate_error(error)
    parts = [
        part.partition(": ") for part in found.group(1).split(", ")
    ]  # a form's own commas leave parts without a value
    named = any(sign for _, sign, _ in parts)  # two rows of one statement are told without their columns
    values = ", ".join(value if sign else label for label, sign, value in parts if sign or not named)
    told = " ".join(label.lower() for label, _, _ in parts)
    unique = [item for item in table.keys if item.is_unique]
    unique = [key for key in unique if all(name.lower() in told for name in key.columns)] if named else unique[:1]
    key = max(unique, key=lambda item: len(item.columns), default=None)
    where = f"object '{table.schema}.{table.name}'. The duplicate key value is ({values})."
    if key is not None and not key.is_constraint:
        return SqlError(
            2601,
            f"Cannot insert duplicate key row in {where.replace('. The', f' with unique index {quote_text(key.name)}. The')}",
            14,
        )
    kind = "PRIMARY" if key is None or key.is_primary else "UNIQUE"
    return SqlError(
        2627,
        f"Violation of {kind} KEY constraint '{key.name if key else ''}'. Cannot insert duplicate key in {where}",
        14,
    )
