"""What the source says of its tables: which there are, their columns, keys and size, their first rows.

Guarantees: types come from the catalog, names are bound as values and compared by the server, and a table that is not
there (or not visible to the login) is an UnknownTable that names what comes near. Views are described as tables are.
"""

import datetime as dt
import decimal
import difflib
import fnmatch
import uuid
from collections.abc import Sequence
from typing import Any

from events.names import split_table_name
from flowforge.domain.errors import FlowForgeError, UnknownTable
from flowforge.domain.interval import Interval
from flowforge.sources.sqlserver import catalog_sql
from flowforge.sources.sqlserver.catalog_columns import readable_columns
from flowforge.sources.sqlserver.connection import SourceConnection
from flowforge.sources.sqlserver.description import CatalogColumn, TableDescription, TableSummary, UnreadableColumn
from flowforge.sources.sqlserver.masking import with_shown_masks
from flowforge.sources.sqlserver.optional import estimate, optional_rows
from flowforge.sources.sqlserver.sql_text import select_statement
from flowforge.sources.sqlserver.statement import Statement, parametrised, qualified
from flowforge.sources.sqlserver.table_kinds import synonym_target

_NAMES = ("found_id", "schema_name", "object_name", "object_type")
DROPPED = "mssql_droppedledger"  # how the names begin under which a server keeps dropped ledger tables, and their views
AT_ONCE = "how many rows the table has is not known, so it is read at once, in no slices"
BY_ROWS = "how large the table is is not known, so slices go by its rows alone"


def list_tables(connection: SourceConnection) -> list[TableSummary]:
    """All user tables and views that the login can see, by schema and name, but for dropped ones that a ledger keeps; without
    estimates where there are none."""
    found = connection.rows(catalog_sql.LIST)
    rows = _row_estimates(connection)
    return [
        TableSummary(
            schema_name=row["schema_name"],
            name=row["object_name"],
            type=_object_type(row["object_type"]),
            row_estimate=rows.get(row["object_id"]),
        )
        for row in found
        if not row["object_name"].lower().startswith(DROPPED)
    ]


def objects_named(table_name: str) -> Statement:
    """Which table or view has a name: `table`, `schema.table` or `[schema].[table]`. Raises UnknownTable for what is no name."""
    return parametrised(catalog_sql.OBJECTS, _split(table_name))


def describe_table(connection: SourceConnection, table_name: str, ahead: Sequence[Statement] = ()) -> TableDescription:
    """Describes `table`, `schema.table` or `[schema].[table]`; without a schema dbo. `ahead` are questions that the caller asks
    next, which go along.

    A synonym is what it stands for. Columns that cannot be read are told apart (`unreadable`). Raises UnknownTable, with near
    matches, UnsupportedSource for a synonym that leads out of the database.
    """
    schema, name = _split(table_name)
    found = connection.rows(objects_named(table_name), about=table_name)
    exact = [row for row in found if (row["schema_name"], row["object_name"]) == (schema, name)]
    if not found and (target := synonym_target(connection, schema, name)):
        return describe_table(connection, target[1], ahead).model_copy(update={"synonym": target[0]})
    if not found:
        raise _unknown_table(connection, schema, name)
    if len(found) > 1 and not exact:
        raise UnknownTable(
            f"{schema}.{name} fits several tables at {connection.where}", "write the name in its own case"
        )
    row = (exact or found)[0]
    object_id, where = row["found_id"], f"{row['schema_name']}.{row['object_name']}"
    of_table = (catalog_sql.COLUMNS, catalog_sql.INDEXES, catalog_sql.ROW_ESTIMATE)
    connection.ask_together(*(parametrised(text, (object_id,)) for text in of_table), *ahead, about=where)
    columns, unreadable = _columns(connection, object_id, where)
    if any(column.masked for column in columns):
        columns = with_shown_masks(connection, object_id, columns)
    if not columns and not unreadable:
        raise UnknownTable(
            f"the columns of {where} at {connection.where} are not visible to this login",
            f"ask for GRANT SELECT ON {where}",
        )
    keys = connection.rows(catalog_sql.INDEXES, (object_id,), about=where)
    return TableDescription(
        schema_name=row["schema_name"],
        name=row["object_name"],
        type=_object_type(row["object_type"]),
        object_id=object_id,
        columns=columns,
        primary_key=[k["name"] for k in keys if k["is_primary_key"]],
        indexed_columns=list(dict.fromkeys(k["name"] for k in keys if k["key_ordinal"] == 1)),
        unique_keys=_unique_keys(keys),
        unreadable=unreadable,
        facts={} if row["object_id"] is None else {k: v for k, v in row.items() if k not in _NAMES},
        row_estimate=estimate(connection, catalog_sql.ROW_ESTIMATE, (object_id,), "sys.partitions", AT_ONCE),
    )


def bytes_of(connection: SourceConnection, description: TableDescription) -> int | None:
    """The bytes of the pages of a table's rows, compressed as they are, by the catalog; None for a view, and where it does not
    say.

    Not a part of a description: a load that finds nothing new needs none.
    """
    asked = (description.object_id,)
    return estimate(connection, catalog_sql.BYTE_ESTIMATE, asked, "sys.allocation_units", BY_ROWS)


def expand_pattern(connection: SourceConnection, pattern: str) -> list[str]:
    """The base tables that `schema.*` or `schema.cust*` names, each as `[schema].[name]`, sorted; case does not matter.

    Raises UnknownTable when none fits.
    """
    schema, name = _split(pattern)
    tables = [t for t in list_tables(connection) if t.type == "table"]
    fitting = sorted(
        qualified(t)
        for t in tables
        if fnmatch.fnmatchcase(t.schema_name.lower(), _glob(schema))
        and fnmatch.fnmatchcase(t.name.lower(), _glob(name))
    )
    if not fitting:
        raise UnknownTable(f"no table at {connection.where} fits {pattern!r}", "`tables` lists what this login can see")
    return fitting


def preview(
    connection: SourceConnection, description: TableDescription, rows: int
) -> tuple[list[str], list[list[Any]]]:
    """The first `rows` rows (in no particular order) as the columns' names and values that JSON can hold."""
    names = [c.name for c in description.columns]
    statement = select_statement(description, description.columns, Interval(), top=max(0, rows))
    found = connection.rows(statement, about=description.qualified_name)
    return names, [[_json_value(row[name]) for name in names] for row in found]


def _split(written: str) -> tuple[str, str]:
    try:
        return split_table_name(written)
    except ValueError as error:
        raise UnknownTable(str(error), "write the name as table, schema.table or [schema].[table]") from error


def _row_estimates(connection: SourceConnection) -> dict[int, int]:
    try:
        rows = connection.rows(catalog_sql.ROW_ESTIMATES)
    except FlowForgeError:
        return {}  # a listing without figures
    return {row["object_id"]: int(row["row_estimate"] or 0) for row in rows}


def _columns(
    connection: SourceConnection, object_id: int, where: str
) -> tuple[list[CatalogColumn], list[UnreadableColumn]]:
    rows = connection.rows(catalog_sql.COLUMNS, (object_id,), about=where)
    if any(row.get("default_object_id") for row in rows):
        found = optional_rows(connection, catalog_sql.DEFAULTS, (object_id,))
        defaults = {row["parent_column_id"]: row["definition"] for row in found or []}
        rows = [row | {"default_definition": defaults.get(row["column_id"])} for row in rows]
    return readable_columns(rows)


def _unique_keys(rows: list[dict[str, Any]]) -> list[list[str]]:
    keys: dict[int, list[str]] = {}
    for row in rows:
        if row["is_unique"]:
            keys.setdefault(row["index_id"], []).append(row["name"])
    return list(keys.values())


def _unknown_table(connection: SourceConnection, schema: str, name: str) -> UnknownTable:
    tables = [f"{t.schema_name}.{t.name}" for t in list_tables(connection)]
    by_lower = {t.lower(): t for t in tables}
    near = difflib.get_close_matches(f"{schema}.{name}".lower(), by_lower, n=3, cutoff=0.6)
    elsewhere = [t for t in tables if t.lower().endswith(f".{name.lower()}")]
    hints = list(dict.fromkeys([*elsewhere, *(by_lower[n] for n in near)]))[:5]
    remedy = f"did you mean {', '.join(hints)}?" if hints else "`tables` lists what this login can see"
    return UnknownTable(f"{schema}.{name} does not exist at {connection.where}, or this login may not see it", remedy)


def _glob(text: str) -> str:
    # Only * is a wildcard: ? and [ are letters of a name.
    return "".join("*" if ch == "*" else f"[{ch}]" if ch in "?[" else ch for ch in text.lower())


def _object_type(code: str) -> str:
    return "view" if code.strip() == "V" else "table"


def _json_value(value: Any) -> Any:
    if isinstance(value, decimal.Decimal | uuid.UUID):
        return str(value)
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, bytes):
        return "0x" + value.hex()
    return value
