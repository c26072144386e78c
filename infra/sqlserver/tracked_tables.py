"""Tables under Change Tracking: switched on and off, written to, truncated, and who may see what has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from flowforge.domain.given import given

from .errors import SqlError
from .tables import Table, quote
from .tracking import side_of
from .types import CHARACTERS

if TYPE_CHECKING:
    from .session import Session

RIGHT = "VIEW CHANGE TRACKING"
BEFORE = "temp.keys_before"  # of a statement that may write a key


def keep_keys(session: Session, table: Table, written: frozenset[str] | None) -> bool:
    """Keeps the keys of a table whose key a statement writes; says whether it does."""
    keys = key_names(table)
    if written is not None and not written.intersection(name.lower() for name in keys):
        return False
    names = ", ".join(map(quote, keys))
    session.cursor.execute(f"CREATE OR REPLACE TEMP TABLE {BEFORE[5:]} AS SELECT {names} FROM {table.storage}")
    return True


def note_changes(session: Session, table: Table, verb: str, keys: pa.Table, wrote_keys: bool = False) -> None:
    """Writes the keys of rows that a statement has changed to the table's log; they count once it commits."""
    if not keys.num_rows:
        return
    names = ", ".join(map(quote, key_names(table)))
    shown = keys.rename_columns([f"k{n}" for n in range(keys.num_columns)])
    session.cursor.register("changed_keys", shown)
    try:
        if wrote_keys:
            untouched = f"(SELECT {names} FROM {table.storage} EXCEPT SELECT * FROM changed_keys)"
            _add(session, table, "D", f"SELECT * FROM {BEFORE} EXCEPT {untouched}")
        operation = "I" if wrote_keys or verb == "INSERT" else verb[0]
        _add(session, table, operation, "SELECT * FROM changed_keys")
    finally:
        session.cursor.unregister("changed_keys")
    session.open_transaction.is_tracked = True


def _add(session: Session, table: Table, operation: str, keys: str) -> None:
    number = session.open_transaction.number
    head = f"SELECT {number}, '{operation}', nextval('meta.change_order'), c.* FROM"
    session.cursor.execute(f"INSERT INTO {side_of(table.object_id)} {head} ({keys}) AS c")


def enable(session: Session, table: Table, tells_columns: bool) -> None:
    """ALTER TABLE … ENABLE CHANGE_TRACKING."""
    if not session.server.tracking.is_on:
        text = (
            f"Change tracking must be enabled on database '{session.server.database}' before it can be enabled on table"
        )
        raise SqlError(1718, f"{text} '{table.name}'.")
    if table.is_tracked:
        raise SqlError(4996, f"Change tracking is already enabled for table '{table.name}'.")
    refused = f"Cannot enable change tracking on table '{table.name}'. Change tracking"
    if table.primary_key is None:
        text = "requires a primary key on the table. Create a primary key on the table before enabling change tracking."
        raise SqlError(4997, f"{refused} {text}")
    columns = [given(table.column(name)) for name in key_names(table)]
    if any(column.type.base == "rowversion" for column in columns):
        raise SqlError(4999, f"{refused} does not support a primary key of type timestamp on a table.")
    keys = ", ".join(
        f"{quote(c.name)} {c.type.duckdb}{' COLLATE NOCASE' if c.type.base in CHARACTERS else ''}" for c in columns
    )
    side = side_of(table.object_id)
    session.cursor.execute(f"CREATE TABLE {side} (xdes BIGINT, op VARCHAR, place BIGINT, {keys})")
    session.cursor.execute(
        "INSERT INTO meta.tracked SELECT ?, max(version), ?, ?, nextval('meta.object_ids') FROM meta.commits",
        [table.object_id, tells_columns, session.server.now()],
    )
    session.server.tracking.begin(table)
    session.catalog.forget()


def disable(session: Session, table: Table) -> None:
    """ALTER TABLE … DISABLE CHANGE_TRACKING."""
    if not table.is_tracked:
        raise SqlError(4998, f"Change tracking is not enabled on table '{table.name}'.")
    forget(session, table)
    session.catalog.forget()


def forget(session: Session, table: Table) -> None:
    """Drops the log of a table."""
    session.cursor.execute(f"DROP TABLE {side_of(table.object_id)}")
    session.cursor.execute("DELETE FROM meta.tracked WHERE object_id = ?", [table.object_id])


def truncated(session: Session, table: Table) -> None:
    """A table was truncated: that is no change of any row; its log begins anew."""
    session.cursor.execute(f"DELETE FROM {side_of(table.object_id)}")
    session.cursor.execute(
        "UPDATE meta.tracked SET begin_version = (SELECT max(version) FROM meta.commits) WHERE object_id = ?",
        [table.object_id],
    )


def key_names(table: Table) -> tuple[str, ...]:
    """The columns of its primary key, as the table spells them."""
    return tuple(given(table.column(name)).name for name in given(table.primary_key).columns)


def may_see(session: Session, table: Table) -> bool:
    """Whether the login has VIEW CHANGE TRACKING on the table."""
    rights, user = session.server.rights, session.login.user
    return rights.everywhere(user, RIGHT) or f"{table.schema}.{table.name}".lower() in rights.places(user, RIGHT)


def visible(session: Session) -> list[tuple[int, int]]:
    """Of each tracked table that the login may ask: its number and the lowest version that it may ask from."""
    found = [(number, valid) for number, _, valid, *_ in session.server.tracking.tables()]
    if session.server.rights.everywhere(session.login.user, RIGHT):
        return found
    places = set(session.server.rights.places(session.login.user, RIGHT))
    seen = {number for number, schema, name in session.catalog.tables() if f"{schema}.{name}".lower() in places}
    return [(number, valid) for number, valid in found if number in seen]
