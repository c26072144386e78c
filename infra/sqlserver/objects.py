"""What statements that define or drop objects share: the session, and the objects that their tokens name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import SqlError, not_supported
from .storage import Storage
from .tables import Table
from .token_reader import TokenReader

if TYPE_CHECKING:
    from .session import Session


class Objects:
    """The objects of a session's database, as DDL names them."""

    def __init__(self, session: Session):
        self._session, self._catalog, self._cursor = session, session.catalog, session.cursor
        self._storage = Storage(session)

    def _now(self):
        return self._session.server.now()

    def _target(self, reader: TokenReader) -> tuple[str, str]:
        parts = reader.qualified_name()
        if parts[-1].startswith("#"):
            raise not_supported("temporary tables")
        if len(parts) > 2:
            self._session.check_database(parts[-3], ".".join(parts))
        return (parts[-2] if len(parts) > 1 else "dbo"), parts[-1]

    def _existing(self, reader: TokenReader) -> Table:
        schema, name = self._target(reader)
        table = self._catalog.find(schema, name)
        if table is None or table.definition is not None:
            raise SqlError(
                4902,
                f'Cannot find the object "{schema}.{name}" because it does not exist or you do not have permissions.',
            )
        return table
