"""Tables as a statement that reads versions finds them: definitions have none, so one that was changed since cannot be read."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from .errors import changed_since, invalid_object, reads_past_versions
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


def check_read_past(session: Session, hints: Sequence[str]) -> None:
    """Raises 650 for READPAST among a table's hints where the session's reads take no locks ("Table hints", T-SQL reference)."""
    reads_versions = session.server.reads_versions and "READCOMMITTEDLOCK" not in hints
    if session.isolation not in ("READ COMMITTED", "REPEATABLE READ") or (
        reads_versions and session.isolation == "READ COMMITTED"
    ):
        raise reads_past_versions()
