"""Tables that are more than rows and columns: synonyms, temporal, sparse, graph and ledger tables, and what lands of them.

synonym         the table or view of this database that it stands for; anything else is refused, a query reads it
temporal        every column, the period's too, whether hidden or not; the history is a table of its own
sparse          every sparse column; the column set, which repeats them as XML, does not land
graph           $node_id, $edge_id, $from_id and $to_id, under the names that the catalog gives them; what the engine keeps for
                itself (graph_id_…) no statement may read
ledger          every column, those that the server fills too; not one that was dropped, nor a table that was, which the server
                keeps under names of its own (MSSQL_DroppedLedgerColumn_…)
"""

import re

from events.names import written_name
from flowforge.domain.errors import QueryRefused, UnsupportedSource
from flowforge.sources.sqlserver import catalog_sql
from flowforge.sources.sqlserver.connection import SourceConnection
from flowforge.sources.sqlserver.description import TableDescription
from flowforge.sources.sqlserver.optional import optional_rows
from flowforge.sources.sqlserver.read_hints import loose_hints, told_hints
from flowforge.sources.sqlserver.statement import quote_identifier

VERSIONED = 2  # sys.tables.temporal_type of a table with a history; 1 is the history itself
_PART = re.compile(r"\[((?:[^\]]|\]\])*)\]|([^.\[\]]+)|(?<=\.)(?=\.)")


def synonym_target(connection: SourceConnection, schema: str, name: str) -> tuple[str, str] | None:
    """What a synonym stands for, as (its own name, the name `[schema].[table]`); None where there is no such synonym.

    Raises UnsupportedSource for one that leads to another database or server.
    """
    rows = optional_rows(connection, catalog_sql.SYNONYMS, (schema, name)) or []
    if not rows:
        return None
    own, base = written_name(rows[0]["schema_name"], rows[0]["object_name"]), rows[0]["base_object_name"]
    parts = [(quoted or plain).replace("]]", "]") for quoted, plain in _PART.findall(base)]
    *place, schema_, table = ["", *parts] if len(parts) == 1 else parts
    elsewhere = [part for part in place if part and part.lower() != str(rows[0]["database_name"]).lower()]
    if elsewhere or len(parts) > 3:
        raise UnsupportedSource(
            f"{own} is a synonym of {base}, which is not in this database",
            f"Load it from its own server and database, or by a query that reads {own}.",
        )
    return own, f"{quote_identifier(schema_ or 'dbo')}.{quote_identifier(table)}"


def told_kind(description: TableDescription) -> list[str]:
    """What a run says of a table that is more than rows and columns."""
    told = []
    if description.synonym:
        told.append(f"{description.synonym} is a synonym: what is read is {description.qualified_name}")
    if description.facts.get("temporal_type") == VERSIONED:
        name = description.qualified_name
        told.append(f"{name} is system-versioned: its current rows are read; its history is a table of its own")
    sets = [column.name for column in description.columns if column.column_set]
    if sets:
        told.append(f"the column set {', '.join(sets)} is left out: the sparse columns that it repeats land themselves")
    return told


def told_view_hints(connection: SourceConnection, view: TableDescription) -> list[str]:
    """What a run says of a view whose own definition reads with NOLOCK or the like; nothing where this login is not shown it."""
    rows = optional_rows(connection, catalog_sql.DEFINITION, (view.object_id,)) or []
    try:
        hints = loose_hints(rows[0]["definition"] or "") if rows else []
    except QueryRefused:  # T-SQL that this reader does not know; the server knew it
        return []
    return told_hints(hints, f"the view {view.qualified_name}")
