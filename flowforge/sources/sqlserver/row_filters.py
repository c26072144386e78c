"""Row-level security: a login may see a part of a table's rows, and nothing in a result says so.

The catalog shows a policy to those with VIEW DEFINITION or ALTER ANY SECURITY POLICY only. Guarantees: a policy that is shown and
filters the table is told; where none would be shown, that is told, and is no proof that there is none. A filter applies to owners
too, and whether its function lets this login see every row is not known: it counts as one that hides.
"""

from typing import NamedTuple

from flowforge.sources.sqlserver import catalog_sql
from flowforge.sources.sqlserver.connection import SourceConnection
from flowforge.sources.sqlserver.description import TableDescription
from flowforge.sources.sqlserver.optional import optional_rows
from flowforge.sources.sqlserver.statement import Statement

ROW_FILTERS, SEES_ROW_FILTERS = Statement((catalog_sql.ROW_FILTERS,)), Statement((catalog_sql.SEES_ROW_FILTERS,))
SHOWN = 5  # predicates that are named


class RowFilters(NamedTuple):
    """The predicates that may filter a source, as the catalog writes them; `visible`: they would be shown to this login."""

    predicates: list[str]
    visible: bool

    @property
    def shown(self) -> str:
        """The predicates, for a sentence."""
        more = f" and {len(self.predicates) - SHOWN} more" if len(self.predicates) > SHOWN else ""
        return ", ".join(self.predicates[:SHOWN]) + more


def row_filters(connection: SourceConnection, object_id: int | None = None) -> RowFilters:
    """The filters of a table; without one those of the whole database, any of which a view or query may run into."""
    found = optional_rows(connection, ROW_FILTERS)
    if found is None:
        return RowFilters([], True)  # a server before 2016 has no such policies
    rights = [] if found else optional_rows(connection, SEES_ROW_FILTERS) or []
    visible = bool(found) or any(1 in (row["definitions"], row["policies"]) for row in rights)
    if object_id is not None:
        return RowFilters(
            [row["predicate_definition"] for row in found if row["target_object_id"] == object_id], visible
        )
    named = [f"{row['schema_name']}.{row['object_name']} by {row['predicate_definition']}" for row in found]
    return RowFilters(named, visible)


def told_rests(filters: RowFilters, description: TableDescription) -> list[str]:
    """What a comparison of the table with another place rests on: rows and values that this login may not be given."""
    told = []
    if filters.predicates:
        told.append(
            f"the rows that a security policy shows this login ({filters.shown}): what is only in silver may be hidden"
        )
    elif not filters.visible:
        told.append("the rows that this login is shown; it cannot see whether a security policy hides others")
    masked = [column.name for column in description.columns if column.masked]
    if masked:
        told.append(f"columns that are not masked for this login; these are: {', '.join(masked)}")
    return told
