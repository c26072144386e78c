"""Questions that a load can do without: what not every server has, and not every login may ask.

Guarantees: an answer is gone without only where the server itself says that it lacks what was asked for, or that this login may
not have it (`failures.is_lacking`). A timeout, a deadlock and a lost connection are what they are everywhere else. What is gone
without is told: the connection collects a sentence for each (`lacks`), for the run.
"""

from collections.abc import Sequence
from typing import Any

from flowforge.domain.errors import Fatal, FlowForgeError, UnsupportedSource
from flowforge.sources.sqlserver.connection import SourceConnection
from flowforge.sources.sqlserver.failures import is_denied, is_lacking
from flowforge.sources.sqlserver.statement import Statement


def tell(connection: SourceConnection, what: str, error: FlowForgeError, instead: str) -> None:
    """Takes note that `what` is not to be had, and of what holds instead; each sentence once."""
    sentence = f"{what} {said_of(error)}: {instead}"
    if sentence not in connection.lacks:
        connection.lacks.append(sentence)


def said_of(error: FlowForgeError) -> str:
    """Whose lack it is, in words."""
    if is_denied(error):
        return "may not be asked by this login"
    return "is not there on this server" if is_lacking(error) else "did not answer"


def rows_or_refusal(
    connection: SourceConnection, sql: Statement | str, params: Sequence[str | int | None] = (), about: str = ""
) -> list[dict[str, Any]] | FlowForgeError:
    """The rows, or the refusal of a server that lacks what is asked for. Raises every other error."""
    try:
        return connection.rows(sql, params, about)
    except Fatal as error:
        if not is_lacking(error):
            raise
        return error


def optional_rows(
    connection: SourceConnection, sql: Statement | str, params: Sequence[str | int | None] = (), about: str = ""
) -> list[dict[str, Any]] | None:
    """The rows, or None on a server that lacks what is asked for. Raises every other error."""
    found = rows_or_refusal(connection, sql, params, about)
    return found if isinstance(found, list) else None


def estimate(
    connection: SourceConnection, sql: str, params: Sequence[str | int | None], what: str, instead: str
) -> int | None:
    """A whole number for planning alone; None where the server gives none, whatever its reason, which is told."""
    try:
        found = connection.scalar(sql, params, what)
    except FlowForgeError as error:
        tell(connection, what, error, instead)
        return None
    return None if found is None else int(found)


def refused(connection: SourceConnection, feature: str, error: FlowForgeError, remedy: str) -> UnsupportedSource:
    """The one error for a server that lacks what a load cannot do without."""
    return UnsupportedSource(f"{connection.where}: {feature} {said_of(error)} ({server_version(connection)})", remedy)


def server_version(connection: SourceConnection) -> str:
    """The first line of what the server says that it is."""
    try:
        lines = str(connection.scalar("SELECT @@VERSION AS version") or "").splitlines()
    except FlowForgeError:
        lines = []
    return " ".join(lines[0].split())[:100] if lines else "its version is not known"
