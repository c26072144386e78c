"""What the login of a load sees of its source, and what follows for the load: what it says, and what it refuses.

Masks and row-level security leave no trace in a result. Guarantees: the catalog is asked for both with every load, before
anything is claimed; what the catalog cannot tell is told. A load that takes out of silver what it did not read is refused
where a policy may have hidden them, unless the request accepts it.
"""

from collections.abc import Sequence

from flowforge.domain.errors import UnsupportedSource
from flowforge.domain.source_columns import SourceColumn
from flowforge.sources.plans import Wanted
from flowforge.sources.sqlserver.connection import SourceConnection
from flowforge.sources.sqlserver.description import TableDescription
from flowforge.sources.sqlserver.masking import masks, refuse_masked, told_masks, told_masks_below
from flowforge.sources.sqlserver.row_filters import RowFilters, row_filters
from flowforge.sources.sqlserver.table_kinds import told_kind, told_view_hints


def view_of_table(
    connection: SourceConnection, wanted: Wanted, description: TableDescription, columns: list[SourceColumn]
) -> tuple[list[SourceColumn], list[str]]:
    """A table's or view's columns as they can be read, and the notes of the run; raises UnsupportedSource."""
    told = told_kind(description)
    refuse_masked(description, [*description.primary_key, *wanted.key], _cursors(wanted))
    if description.type == "view":
        columns, below = view_of_query(connection, wanted, columns, description.qualified_name)
        return columns, told + below + told_view_hints(connection, description)
    filters = row_filters(connection, description.object_id)
    return columns, told + told_masks(description) + told_filters(wanted, filters, description.qualified_name)


def view_of_query(
    connection: SourceConnection, wanted: Wanted, columns: list[SourceColumn], where: str
) -> tuple[list[SourceColumn], list[str]]:
    """The same for what reads from tables that the catalog does not name: any of its columns may be a mask and travels on its
    own, any filter of the database may hide rows from it."""
    found = masks(connection)
    if found:
        columns = [column.model_copy(update={"masked": True}) for column in columns]
    masked = told_masks_below(found, [column.name for column in columns], where)
    return columns, masked + told_filters(wanted, row_filters(connection), where)


def told_filters(wanted: Wanted, filters: RowFilters, where: str) -> list[str]:
    """What a run says of rows that its login may not see. Raises UnsupportedSource where they would be taken for deleted."""
    removes = wanted.removes_rows
    if filters.predicates and removes and not wanted.read.accept_partial_view:
        raise UnsupportedSource(
            f"{where}: a security policy filters rows ({filters.shown}), and this load takes out of silver what it does not read",
            "Load with a login that the policy shows every row, set silverConfig.deletes to ignore (with mergeStrategy replace: "
            "merge), or, if what this login sees is all that silver shall hold, databaseConfig.acceptPartialView to true.",
        )
    if filters.predicates:
        return [f"this login may see a part of the rows of {where}: a security policy filters them ({filters.shown})"]
    if not filters.visible and removes:
        return [
            f"whether a security policy hides rows of {where} this login cannot see (GRANT VIEW DEFINITION shows it); "
            "what it did not read was taken out of silver"
        ]
    return []


def keys_and_cursors(wanted: Wanted) -> list[str]:
    """The columns that a request names as keys and cursors."""
    return [*wanted.key, *_cursors(wanted)]


def _cursors(wanted: Wanted) -> Sequence[str]:
    return [wanted.read.delta_column, *wanted.read.tie_columns] if wanted.read.delta_column else []
