"""What a statement asks of its session while it is compiled, and whether its text may be used again.

A compiled statement holds what it was told: tables, masks, rows of a view, the clock. What it asked through `fact` can be asked
again, and while all answers are the same the compiled text is, too (`kept.py`). Whoever takes the session itself, a parameter
or the clock makes the text one that is used once: nobody knows what it depends on.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from .errors import SqlError
from .kept import Question
from .types import SqlType
from .values import Typed

if TYPE_CHECKING:
    from .profiles import Profile
    from .session import Session


class Asked:
    """The session as one statement sees it, with its parameters and one reading of its clock."""

    def __init__(self, session: Session):
        self._session = session
        self._now_ticks = session.server.clock.utc_ticks()
        self.binds: dict[str, object] = {}
        self.facts: list[tuple[Question, Any]] = []
        self.is_lasting = True

    @property
    def session(self) -> Session:
        """The session; the statement's text is not used again."""
        self.is_lasting = False
        return self._session

    @property
    def now_ticks(self) -> int:
        """The clock, in UTC: ticks of 100 ns since 0001-01-01; the statement's text is not used again."""
        self.is_lasting = False
        return self._now_ticks

    @property
    def profile(self) -> Profile:
        """The kind of server, which never changes."""
        return self._session.server.profile

    @property
    def release(self) -> int:
        """The server's release, which never changes."""
        return self._session.server.release

    @property
    def collation(self) -> str:
        """The database's collation, which never changes."""
        return self._session.server.collation

    @property
    def shown_views(self) -> dict[str, Any]:
        """How the server shows its system views, as far as anybody has asked."""
        return self._session.server.kept.views

    def fact(self, question: Question) -> Any:
        """The answer to a question that is asked again before the statement's text is used again."""
        answer = question(self._session)
        self.facts.append((question, answer))
        return answer

    def parameter(self, name: str) -> Typed:
        """A variable or parameter as a bound value. Raises SqlError 137 where it is not declared."""
        found = self.session.variables.get(name.lower())
        if found is None:
            raise SqlError(137, f'Must declare the scalar variable "@{name}".', 15)
        return self.bind(*found)

    def bind(self, kind: SqlType, value: Any) -> Typed:
        """A typed DuckDB parameter for a value in the representation of `types.py`."""
        if value is None:
            return Typed(f"CAST(NULL AS {kind.duckdb})", kind, True)
        if kind.base == "datetimeoffset":
            ticks, offset = value
            fields = f"ticks := CAST({self._placeholder(ticks)} AS BIGINT), off := CAST({self._placeholder(offset)} AS SMALLINT)"
            text = f"struct_pack({fields})"
        elif kind.base == "sql_variant":
            fields = f"base := {self._placeholder(value['base'])}, txt := {self._placeholder(value['txt'])}"
            text = f"struct_pack({fields}, sort := CAST(NULL AS VARCHAR))"
        else:
            bound = str(value) if kind.base in ("decimal", "money", "smallmoney") else value
            text = f"CAST({self._placeholder(bound)} AS {kind.duckdb})"
        constant = value if isinstance(value, str) and kind.is_character else None
        return Typed(text, kind, True, constant)

    def _placeholder(self, value: object) -> str:
        name = f"ff_bind_{len(self.binds) + 1}"
        self.binds[name] = value
        return f"${name}"

    def used_binds(self, sql: str) -> dict[str, object] | None:
        """The bound values that `sql` refers to, as DuckDB wants them."""
        names = set(re.findall(r"\$(ff_bind_\d+)", sql))
        return {name: self.binds[name] for name in names} or None

    def server_variable(self, name: str) -> Typed:
        """The value of `@@NAME`."""
        return self.session.server_variable(name)
