"""Dynamic data masking: columns of which a login without UNMASK is given `xxxx`, 0 and 1900-01-01 in place of the values.

Nothing in a result tells a mask from a value, so the catalog is asked. Guarantees: a column counts as masked unless the server
says that this login sees through its mask. A view, and a query, show the masks of the columns below them and their own catalog
rows do not say so: for these every masked column of the database counts that the login may know of. A computed column that
depends on a masked one returns masks, though it has none itself ("Dynamic data masking", limitations): it counts as masked unless
its definition is shown and names none of them.
"""

from collections.abc import Sequence
from typing import NamedTuple

from flowforge.domain.errors import UnsupportedSource
from flowforge.sources.sqlserver import catalog_sql
from flowforge.sources.sqlserver.connection import SourceConnection
from flowforge.sources.sqlserver.description import CatalogColumn, TableDescription
from flowforge.sources.sqlserver.optional import optional_rows
from flowforge.sources.sqlserver.sql_types import parse_sql_type
from flowforge.sources.sqlserver.statement import quote_identifier

SHOWN = 10  # columns that are named of those that a view or query may show


class Mask(NamedTuple):
    """A column whose mask this login sees."""

    table: str  # schema.table
    column: str


def masks(connection: SourceConnection, object_id: int | None = None) -> list[Mask]:
    """The columns of a table, or of all that the login may know of, whose values this login is not given."""
    if object_id is None:
        rows = optional_rows(connection, catalog_sql.MASKS)  # a server before 2016 has no masks
    else:
        rows = connection.rows(catalog_sql.MASKS_OF_TABLE, (object_id,))
    return [
        Mask(f"{row['schema_name']}.{row['object_name']}", row["column_name"])
        for row in rows or []
        if (row["on_database"] if row["on_column"] is None else row["on_column"]) != 1
    ]


def with_shown_masks(
    connection: SourceConnection, object_id: int, columns: Sequence[CatalogColumn]
) -> list[CatalogColumn]:
    """A table's columns, each of them masked where this login is not given its values."""
    hidden = {mask.column for mask in masks(connection, object_id)}
    if hidden and any(column.computed for column in columns):
        found = optional_rows(connection, catalog_sql.COMPUTED, (object_id,)) or []
        shown = {row["name"]: row["definition"] for row in found}
        over = [quote_identifier(name).lower() for name in hidden]  # as the server writes names in a definition
        for column in columns:
            definition = shown.get(column.name)
            if column.computed and (definition is None or any(name in definition.lower() for name in over)):
                hidden.add(column.name)
    return [column.model_copy(update={"masked": column.name in hidden}) for column in columns]


def told_masks(description: TableDescription) -> list[str]:
    """What a run says of a table's masked columns."""
    names = [column.name for column in description.columns if column.masked]
    return (
        [f"masked for this login, so masks landed and not values: {', '.join(names)}; {_grant(description)}"]
        if names
        else []
    )


def told_masks_below(found: Sequence[Mask], names: Sequence[str], where: str) -> list[str]:
    """What a run says of the masked columns that a view or query may show; those first that have a name of its columns."""
    if not found:
        return []
    own = {name.lower() for name in names}
    likely = sorted(found, key=lambda mask: (mask.column.lower() not in own, mask))
    listed = ", ".join(f"{mask.table}.{mask.column}" for mask in likely[:SHOWN])
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return [f"masked for this login, so what {where} takes from them are masks and not values: {listed}{more}"]


def refuse_masked(description: TableDescription, keys: Sequence[str], cursors: Sequence[str]) -> None:
    """Raises UnsupportedSource for a masked key or cursor, and for a mask that the column's way of travelling would break."""
    masked = {column.name: column for column in description.columns if column.masked}
    for role, names in (("key", keys), ("cursor", cursors)):
        for name in masked:
            if name.lower() in {wanted.lower() for wanted in names}:
                raise UnsupportedSource(
                    f"{description.qualified_name}.{name} is masked for this login, and is a {role}: rows would look alike",
                    _grant(description),
                )
    for column in masked.values():
        kind = parse_sql_type(column.sql_type)
        if kind.base == "time" and kind.scale == 7:
            raise UnsupportedSource(
                f"{description.qualified_name}.{column.name} is masked for this login; a {column.sql_type} cannot carry a mask",
                f"{_grant(description)}, or leave the column out",
            )


def _grant(description: TableDescription) -> str:
    return f"GRANT UNMASK TO this login (from SQL Server 2022: ON {description.qualified_name}) shows the values"
