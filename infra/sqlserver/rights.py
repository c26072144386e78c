"""What a login may do beside reading: GRANT and REVOKE, and what hangs on them.

The first login is the owner and may do everything. Any other may read every table, and has of these rights what it was granted:
UNMASK (on the database, and from 2022 on a table or columns of it), VIEW DEFINITION, ALTER ANY SECURITY POLICY and VIEW CHANGE
TRACKING (on a table).
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from .errors import not_supported
from .token_reader import TokenReader

if TYPE_CHECKING:
    from .script import Simple

RIGHTS = ("UNMASK", "VIEW DEFINITION", "ALTER ANY SECURITY POLICY", "VIEW CHANGE TRACKING")
WHOLE = ""  # the database, as a securable


class Rights:
    """The rights of a server's logins. Used by all its threads."""

    def __init__(self, owner: str, release: int):
        self._owner, self._release = owner.lower(), release
        self._lock = threading.Lock()
        self._granted: set[tuple[str, str, str]] = set()

    def change(self, statement: Simple) -> None:
        """Runs GRANT right [ON table [(columns)]] TO login, or REVOKE … FROM login."""
        reader = TokenReader(statement)
        is_grant = reader.name().upper() == "GRANT"
        right = next((words for words in RIGHTS if reader.accept(*words.split())), None)
        if right is None:
            raise not_supported(statement.text[:60])
        places = [WHOLE]
        if reader.accept("ON"):
            parts = reader.qualified_name()
            place = ".".join(parts if len(parts) > 1 else ["dbo", *parts]).lower()
            places = [f"{place}.{name.lower()}" for name in reader.name_list()] if reader.opens() else [place]
        if not reader.accept_any("TO", "FROM"):
            raise reader.unexpected()
        login = reader.name().lower()
        with self._lock:
            for found in {(login, right, place) for place in places}:
                (self._granted.add if is_grant else self._granted.discard)(found)

    def everywhere(self, login: str, right: str) -> bool:
        """Whether a login holds the right on the whole database."""
        with self._lock:
            return login.lower() == self._owner or (login.lower(), right, WHOLE) in self._granted

    def places(self, login: str, right: str) -> list[str]:
        """The tables and columns (`schema.table.column`, lower case) on which a login was granted the right."""
        with self._lock:
            return sorted(
                place for who, what, place in self._granted if (who, what) == (login.lower(), right) and place
            )

    def knows_places(self, right: str) -> bool:
        """Whether this release knows the right below the database; HAS_PERMS_BY_NAME is NULL where it does not."""
        return right != "UNMASK" or self._release >= 2022

    def sees_through(self, login: str, schema: str, table: str, column: str) -> bool:
        """Whether a login sees the values behind a column's mask."""
        place = f"{schema}.{table}".lower()
        return self.everywhere(login, "UNMASK") or bool(
            {place, f"{place}.{column.lower()}"} & set(self.places(login, "UNMASK"))
        )
