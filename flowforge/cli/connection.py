"""Which SQL Server `test-connection`, `tables` and `describe` ask about.

A saved connection, the one of a job request, one spelled out by options, else the one that the table was loaded from, else the
local stack's own.
"""

from dataclasses import dataclass
from typing import Any

from flowforge.cli.document import read_document
from flowforge.cli.failure import BadRequest
from flowforge.cli.secret import read_password
from flowforge.cli.target import local_stack


@dataclass(frozen=True)
class SourceChoice:
    """The options as given; `resolve` makes a connection of them."""

    connection_id: str | None = None
    request_file: str | None = None
    host: str | None = None
    port: int = 1433
    database: str | None = None
    username: str | None = None
    trust: bool = False
    password_stdin: bool = False

    @property
    def is_named(self) -> bool:
        """Whether an option names a source."""
        return any(option is not None for option in (self.connection_id, self.request_file, self.host))

    def resolve(self, api: str | None, loaded: dict[str, Any] | None = None) -> dict[str, Any]:
        """The API's `connection` object; `loaded` is what counts where no option names one, before the stack's own.

        BadRequest when the options name none, or more than one.
        """
        named = [o for o in (self.connection_id, self.request_file, self.host) if o is not None]
        if len(named) > 1:
            raise BadRequest("give one of --connection, --request, --host")
        if self.connection_id is not None:
            return {"connectionId": self.connection_id}
        if self.request_file is not None:
            return _of_request(self.request_file)
        if self.host is not None:
            return inline_connection(
                self.host, self.port, self.database, self.username, self.trust, self.password_stdin
            )
        if self.database or self.username:
            raise BadRequest("--database and --username go with --host")
        return _as_asked(loaded) if loaded else _of_stack(api)


def _as_asked(loaded: dict[str, Any]) -> dict[str, Any]:
    """A source as the API shows it, in the form in which a request names it."""
    return {"connectionId": loaded["connectionId"]} if loaded.get("connectionId") else loaded


def server_of(connection: dict[str, Any]) -> str:
    """A connection's server and database, for people."""
    if connection.get("connectionId"):
        return f"connection {connection['connectionId']}"
    return f"{connection.get('host')}:{connection.get('port', 1433)}/{connection.get('database')}"


def inline_connection(
    host: str, port: int, database: str | None, username: str | None, trust: bool, password_stdin: bool
) -> dict[str, Any]:
    """A connection with its password, which is asked for; BadRequest when a field is missing."""
    missing = [f"--{name}" for name, value in (("database", database), ("username", username)) if not value]
    if missing:
        raise BadRequest(f"--host needs {' and '.join(missing)} as well")
    password = read_password(username or "", host, password_stdin)
    fields = {"host": host, "port": port, "database": database, "username": username, "password": password}
    return {**fields, "trustServerCertificate": True} if trust else fields


def _of_request(name: str) -> dict[str, Any]:
    _, document = read_document(name)
    config = document.get("source_config")
    connection = config.get("connection") if isinstance(config, dict) else None
    if not isinstance(connection, dict):
        raise BadRequest(f"{name} has no source_config.connection")
    return connection


def _of_stack(api: str | None) -> dict[str, Any]:
    stack = local_stack(api)
    if stack is None or not stack.get("sqlserver"):
        raise BadRequest(
            "which SQL Server?", "name one with --connection ID, --request FILE, or --host, --database and --username"
        )
    return {name: stack["sqlserver"][name] for name in ("host", "port", "database", "username", "password")}
