"""Numbers of objects and of IDENTITY columns, as OBJECT_ID, IDENT_CURRENT and IDENT_INCR tell them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowforge.domain.given import given

from .tables import Column, Table
from .variables import split_name

if TYPE_CHECKING:
    from .session import Session


def object_id(session: Session, text: str, kind: str | None) -> int | None:
    """OBJECT_ID('schema.name', 'U')."""
    parts = split_name(text)
    schema = (parts[-2] if len(parts) > 1 else "") or "dbo"
    number = session.catalog.object_id(schema, parts[-1])
    if number is None or not kind:
        return number
    query = "SELECT 1 FROM meta.objects WHERE object_id = ? AND type = ?"
    return number if session.cursor.execute(query, [number, kind.strip().upper()]).fetchone() else None


def current_identity(session: Session, text: str) -> int | None:
    """IDENT_CURRENT('table'): the last value that the table gave out; its seed when there was none yet."""
    table = _named(session, text)
    if table is None or table.identity is None:
        return None
    return _last_given(table.identity, *identity_state(session, table))


def current_identities(session: Session) -> list[tuple[str, int]]:
    """IDENT_CURRENT of each table with an identity column, by `schema.table` in lower case."""
    query = "SELECT sequence_name, start_value, last_value FROM duckdb_sequences() WHERE schema_name = 'meta'"
    states = {name: (start, last) for name, start, last in session.cursor.execute(query).fetchall()}
    found = []
    for number, schema, name in session.catalog.tables():
        if state := states.get(f"identity_{number}"):
            table = given(session.catalog.find(schema, name))
            found.append((f"{schema}.{name}".lower(), _last_given(given(table.identity), *state)))
    return found


def identity_increment(session: Session, text: str) -> int | None:
    """IDENT_INCR('table')."""
    table = _named(session, text)
    return None if table is None or table.identity is None else table.identity.increment


def identity_state(session: Session, table: Table) -> tuple[int, int | None]:
    """The start of a table's IDENTITY, and the last number that it has given (None: none yet)."""
    query = "SELECT start_value, last_value FROM duckdb_sequences() WHERE schema_name = 'meta' AND sequence_name = ?"
    (start, last) = given(session.cursor.execute(query, [f"identity_{table.object_id}"]).fetchone())
    return start, last


def _named(session: Session, text: str) -> Table | None:
    parts = split_name(text)
    return session.catalog.find(parts[-2] if len(parts) > 1 else "dbo", parts[-1])


def _last_given(identity: Column, start: int, last: int | None) -> int:
    if last is not None:
        return last
    return start if start == identity.seed else start - identity.increment
