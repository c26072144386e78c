"""What of a table is loaded, judged by the catalog before anything is claimed or read.

Guarantees: a column that no read can carry stops the table by its name, with the reason, unless the request leaves it out; keys
and cursors are never left out. Columns that two readers of the lake would take for one, or for one of ours, stop it too.
"""

from collections.abc import Sequence

from flowforge.domain.batch import SourceColumn
from flowforge.domain.errors import UnsupportedSource
from flowforge.domain.own_columns import is_own
from flowforge.sources.sqlserver.description import TableDescription, find_column

EXCLUDE = "databaseConfig.columns.exclude"


def chosen_columns(description: TableDescription, excluded: Sequence[str], needed: Sequence[str]) -> list[SourceColumn]:
    """The table's columns without the excluded ones; `needed` are keys and cursors, which cannot be left out.

    Raises UnknownColumn for an excluded column that is not there, UnsupportedSource that names every column that cannot be read.
    """
    where, known = description.qualified_name, [*description.columns, *description.unreadable]
    left_out = {find_column(known, name, where).name for name in excluded}
    for name in needed:
        if any(name.lower() == other.lower() for other in left_out):
            raise UnsupportedSource(f"{where}: {EXCLUDE} names {name!r}, which is a key or a cursor", "leave it in")
    unreadable = [column for column in description.unreadable if column.name not in left_out]
    if unreadable:
        told = "; ".join(f"column {c.name!r} ({c.sql_type}): {c.problem}" for c in unreadable)
        raise UnsupportedSource(f"{where}: {told}", f"{unreadable[0].remedy} ({EXCLUDE})")
    fields = set(SourceColumn.model_fields)
    kept = [column for column in description.columns if column.name not in left_out and not column.column_set]
    return [SourceColumn(**column.model_dump(include=fields)) for column in kept]


def refuse_clashes(columns: Sequence[SourceColumn], audited: bool, where: str, is_query: bool) -> None:
    """Raises UnsupportedSource for names that differ by case only, and for names that FlowForge gives to columns of its own."""
    rename = (
        "Give it another name in the query."
        if is_query
        else (
            f"Leave it out ({EXCLUDE}), or read the table by a query that gives it another name (SELECT …, {{0}} AS another)."
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
