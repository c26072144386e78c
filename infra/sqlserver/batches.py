"""A client's batch: cut into statements that run one after another; results go to a `Sink` (the wire in real life)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import ClientGone
from .script import parse_batch
from .statements import Statements

if TYPE_CHECKING:
    from .execution import Execution
    from .session import Session
    from .sink import Sink
    from .types import SqlType


class Batches:
    """Runs the batches of a session; `execution` in place of its own answers the queries and changes."""

    def __init__(self, session: Session, execution: Execution | None = None):
        self._session, self._statements = session, Statements(session, execution)

    def run(self, sql: str, sink: Sink, variables: dict[str, tuple[SqlType, object]] | None = None) -> bool:
        """Runs a batch; errors go to the sink. Returns whether all of it ran."""
        self._session.variables = dict(variables or {})
        try:
            for statement in parse_batch(sql):
                self._statements.run(statement, sink)
        except ClientGone:
            raise
        except Exception as error:  # whatever it was, it is the statement's failure, not the connection's
            self._session.fail(error, sink)
            return False
        return True
