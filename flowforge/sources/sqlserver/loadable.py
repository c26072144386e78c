"""What of a table is loaded, judged by the catalog before anything is claimed or read.

Guarantees: a column that no read can carry stops the table by its name, with the reason, unless the request leaves it out; keys
and cursors are never left out. Columns that two readers of the lake would take for one, or for one of ours, stop it too.
"""

from collections.abc import Sequence

from events.targets import SourceTable
from flowforge.domain.errors import UnsupportedSource
from flowforge.domain.own_columns import is_own
from flowforge.domain.source_columns import SourceColumn
from flowforge.sources.sqlserver.description import TableDescription, find_column

RENAME = "databaseConfig.rename"
EXCLUDE, INCLUDE = "databaseConfig.columns.exclude", "databaseConfig.columns.include"


def left_out_columns(description: TableDescription, read: SourceTable, needed: Sequence[str]) -> list[str]:
    """The columns that a request leaves out, in the table's spelling; `needed` are keys and cursors, which it cannot.

    Raises UnknownColumn for a named column that is not there.
    """
    where, known = description.qualified_name, [*description.columns, *description.unreadable]
    dropped = [name for name, how in read.protect.items() if how == "drop"]
    excluded = {find_column(known, name, where).name for name in [*read.excluded_columns, *dropped]}
    included = {find_column(known, name, where).name for name in read.included_columns}
    left_out = [c.name for c in known if c.name in excluded or (included and c.name not in included)]
    for name in needed:
        if any(name.lower() == other.lower() for other in left_out):
            what, remedy = (f"{INCLUDE} lacks", "add it") if included else (f"{EXCLUDE} names", "leave it in")
            raise UnsupportedSource(f"{where}: {what} {name!r}, which is a key or a cursor", remedy)
    return left_out


def chosen_columns(description: TableDescription, left_out: Sequence[str]) -> list[SourceColumn]:
    """The table's columns without those that are left out.

    Raises UnsupportedSource that names every column that cannot be read.
    """
    where = description.qualified_name
    unreadable = [column for column in description.unreadable if column.name not in left_out]
    if unreadable:
        told = "; ".join(f"column {c.name!r} ({c.sql_type}): {c.problem}" for c in unreadable)
        raise UnsupportedSource(f"{where}: {told}", f"{unreadable[0].remedy} ({EXCLUDE})")
    fields = set(SourceColumn.model_fields)
    kept = [column for column in description.columns if column.name not in left_out and not column.column_set]
    return [SourceColumn(**column.model_dump(include=fields)) for column in kept]


def renamed_columns(
    columns: Sequence[SourceColumn], read: SourceTable, needed: Sequence[str], where: str
) -> list[SourceColumn]:
    """The columns by their names in the lake; `needed` are keys and cursors, which keep the source's.

    Raises UnknownColumn for a named column that is not read, UnsupportedSource for a key or cursor.
    """
    wanted = {find_column(columns, name, where).name: new for name, new in read.rename.items()}
    for name in needed:
        if name.lower() in {old.lower() for old in wanted}:
            raise UnsupportedSource(
                f"{where}: {RENAME} names {name!r}, which is a key or a cursor: silver, watermark and source call it the same",
                "leave it out of rename, or load a view that renames it",
            )
    return [
        column.model_copy(update={"name": wanted[column.name], "source_name": column.name})
        if column.name in wanted and not column.derivation
        else column
        for column in columns
    ]


def refuse_clashes(columns: Sequence[SourceColumn], audited: bool, where: str, is_query: bool) -> None:
    """Raises UnsupportedSource for names that differ by case only, and for names that FlowForge gives to columns of its own."""
    rename = (
        "Give it another name in the query."
        if is_query
        else (
            f"Leave it out ({EXCLUDE}), rename it ({RENAME}), or read the table by a query that gives it another name "
            "(SELECT …, {0} AS another)."
        )
    )
    seen: dict[str, str] = {}
    for column in columns:
        name = column.name
        if name.lower() in seen:
            raise UnsupportedSource(
                f"{where}: the columns {seen[name.lower()]!r} and {name!r} differ by case only, which most "
                "readers of the lake take for one",
                rename.format(f"[{name}]"),
            )
        if is_own(name, audited):
            remedy = rename.format(f"[{name}]")
            if not is_own(name, False):
                remedy += " Or send bronzeConfig.auditColumns false, so that FlowForge adds none of that name."
            raise UnsupportedSource(f"{where}: the column {name!r} has the name of one that FlowForge adds", remedy)
        seen[name.lower()] = name
