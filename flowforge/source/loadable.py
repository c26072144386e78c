"""What of a table is loaded, judged by the catalog before anything is claimed or read.

Guarantees: a column that no read can carry stops the table by its name, with the reason; nothing is left out in silence.
"""

from flowforge.errors import UnsupportedSource
from flowforge.source.description import TableDescription


def refuse_unreadable(description: TableDescription) -> None:
    """Raises UnsupportedSource that names every column that cannot be read, and why."""
    if not description.unreadable:
        return
    told = "; ".join(f"column {c.name!r} ({c.sql_type}): {c.problem}" for c in description.unreadable)
    raise UnsupportedSource(f"{description.qualified_name}: {told}", description.unreadable[0].remedy)
