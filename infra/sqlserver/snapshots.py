"""Tables as a statement under SNAPSHOT finds them: definitions have no versions, so one that was changed since cannot be read."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from .errors import changed_since, invalid_object
from .tables import Table

if TYPE_CHECKING:
    from .session import Session

_MODIFIED = "SELECT modify_date FROM meta.objects WHERE object_id = ?"


def find_table(session: Session, schema: str, name: str) -> Table | None:
    """The table or view of this name for a statement that reads it. Raises 3961 where another transaction has changed its
    definition since the snapshot began, and 208 where it is gone: definitions have no versions."""
    table, catalog = session.catalog.find(schema, name), session.catalog
    if table is None or session.isolation != "SNAPSHOT" or not catalog.is_behind:
        return table
    with closing(session.cursor.cursor()) as newest:  # in no transaction
        then, now = (one.execute(_MODIFIED, [table.object_id]).fetchone() for one in (session.cursor, newest))
    if now is None:
        raise invalid_object(f"{schema}.{name}")
    if then != now:
        raise changed_since(session.server.database)
    return table
